"""
The history check: many processes read and write, and all that they saw is judged.

What it does and how to read its table is told in README.md beside this file.
"""
