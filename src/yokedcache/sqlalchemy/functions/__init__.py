"""
What a cached function reaches and gives: sessions, what they hold, objects.
"""
