"""The parts of `speed.py`: one module for each, and what they share."""
