"""`python -m skae`: is an autoencoder worth it on this table?"""

import sys

from ._command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
