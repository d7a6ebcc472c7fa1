"""The parts of `adbench.py`: tables, methods, stored cells, summary, page and pictures."""
