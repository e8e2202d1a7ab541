"""
How a statement of an attached session is answered: served, or fetched and kept.
"""
