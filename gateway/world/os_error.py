"""What it means, for people, that the system says no to a file or a socket: what, where, and what mends it."""

from __future__ import annotations

import errno
from typing import Final

_RIGHTS: Final = "run this as the gateway's user, or as root"
_ROOM: Final = "make room on that disk"
_MENDS: Final = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "it lies on a disk that is mounted read-only, or is kept so by the service's unit",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
}


def is_mendable(error: OSError) -> bool:
    """Whether it is a matter of rights or room: nothing is wrong with the program."""
    return error.errno in _MENDS


def words(error: OSError) -> str:
    """One sentence, without the number of the error."""
    said = error.strerror or str(error) or type(error).__name__
    place = f"{error.filename}: " if error.filename else ""
    mends = f"; {_MENDS[error.errno]}" if error.errno in _MENDS else ""
    return f"{place}{said}{mends}"
