"""The rows of `classics.py`: one module for each, and what they share."""
