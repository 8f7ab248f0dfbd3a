"""`python -m slamflow`: the commands, where they are not installed as `slamflow`."""

import sys

from slamflow.commands import main

if __name__ == "__main__":
    sys.exit(main.main())
