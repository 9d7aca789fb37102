"""A no of the system, in words: what, where, what mends it, and no number of an error."""

from __future__ import annotations

import errno

import pytest

from gateway.world import os_error


@pytest.mark.parametrize(
    ("error", "words", "mendable"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/srv/data"),
            "/srv/data: Permission denied; run this as the gateway's user, or as root",
            True,
        ),
        (
            OSError(errno.EACCES, "cannot connect to /srv/control.sock: Permission denied"),
            "cannot connect to /srv/control.sock: Permission denied; run this as the gateway's user, or as root",
            True,
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/srv/lock"),
            "/srv/lock: Read-only file system; it lies on a disk that is mounted read-only, or is kept so by the "
            "service's unit",
            True,
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room on that disk", True),
        (OSError(errno.ECONNRESET, "Connection reset by peer"), "Connection reset by peer", False),
        (TimeoutError("timed out"), "timed out", False),
        (ConnectionError(), "ConnectionError", False),
    ],
)
def test_it_says_what_where_and_what_mends_it(error: OSError, words: str, mendable: bool) -> None:
    assert os_error.words(error) == words
    assert os_error.is_mendable(error) is mendable
