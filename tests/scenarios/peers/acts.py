"""A program that does what its first argument says, in Python: for the test of the launcher."""

from __future__ import annotations

import sys


def main() -> None:
    """Do it."""
    exec(sys.argv[1], {"__name__": "acts"})


if __name__ == "__main__":
    main()
