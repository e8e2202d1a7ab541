"""
On whom else than the statement an answer may depend: listeners and settings.
"""
