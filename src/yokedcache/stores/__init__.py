"""
Places for entries. One file or folder a store; none knows another.
"""
