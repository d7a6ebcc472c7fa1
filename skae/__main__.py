"""Run the command as `python -m skae`."""

import sys

from ._command.main import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m skae"))
