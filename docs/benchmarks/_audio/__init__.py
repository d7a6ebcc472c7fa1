"""The parts of audio.py."""
