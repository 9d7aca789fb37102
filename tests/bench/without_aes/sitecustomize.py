"""What the interpreter loads first where this folder is in PYTHONPATH: contents of mailboxes go without AES.

For a gateway that is measured beside another, to see what AES costs there. Nothing else finds this file.
"""

from __future__ import annotations

import sys

TAG = bytes(16)


class Copying:
    """What AESGCM is called with, and as many octets as it gives."""

    __slots__ = ()

    def __init__(self, key: bytes) -> None:
        """It needs none."""

    def encrypt(self, nonce: bytes, octets: bytes, bound: bytes) -> bytes:
        return bytes(octets) + TAG

    def decrypt(self, nonce: bytes, octets: bytes, bound: bytes) -> bytes:
        return bytes(octets[:-16])


if "serve" in sys.orig_argv and sys.flags.safe_path:  # The process in which all code is loaded before it forks.
    from gateway.mailboxes.contents import chunk, content_map

    for module in (chunk, content_map):
        module.AESGCM = Copying  # type: ignore[attr-defined]
