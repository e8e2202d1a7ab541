"""
What tests of whole scenarios share: a blog's models, databases, a statement count.
"""
