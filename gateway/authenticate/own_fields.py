"""The header field by which we say that we decrypted a message: one that comes from elsewhere is taken out. Pure.

Leaves out: Authentication-Results, which others write too (`results`), and fields that prove themselves by a key.
"""

from __future__ import annotations

import re
from typing import Final

NAME: Final = b"x-gateway-smime"  # In lower case.

_FIELD = re.compile(
    rb"(?:\A|(?<=\r\n))x-gateway-smime[ \t]*:[^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*(?:\r\n|\Z)",
    re.IGNORECASE,
)


def without_ours(section: bytes) -> bytes:
    """A header section without that field, however often it stands there; all else octet for octet."""
    return _FIELD.sub(b"", section)
