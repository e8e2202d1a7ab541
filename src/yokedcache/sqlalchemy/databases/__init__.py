"""
What is known of a database: who it is, what it does by itself, who else uses it.
"""
