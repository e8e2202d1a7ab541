"""
What users can see: log lines, statistics, explanations.
"""
