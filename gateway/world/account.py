"""Under which account of the system this process runs."""

from __future__ import annotations

import os
import pwd


def account_name() -> str:
    """The account's name, or its number where the system knows no name for it."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
