"""
What a statement reads, writes and does: from its tree, or from its text.
"""
