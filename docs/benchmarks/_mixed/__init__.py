"""The parts of `mixed.py`: tables, their encoding, one file a question, and the page."""
