"""The parts of `adbench.py`: tables, methods, stored results, summary, page and pictures."""
