"""`python -m ticklane` is the `ticklane` command."""

import sys

from ticklane.cli import main

if __name__ == "__main__":
    sys.exit(main())
