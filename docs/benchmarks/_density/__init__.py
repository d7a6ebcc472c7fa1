"""The parts of `density.py`: tables, planes, methods, summary and page."""
