"""
What is sent over connections, what it writes and sees, and how it is committed.
"""
