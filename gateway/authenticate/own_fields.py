"""The header fields by which we say that we opened a message: those that come from elsewhere are taken out. Pure.

Leaves out: Authentication-Results, which others write too (`results`), and fields that prove themselves by a key.
"""

from __future__ import annotations

import re
from typing import Final

NAME: Final = b"x-gateway-smime"  # In lower case.
RIGHTS: Final = b"x-gateway-rights"

_FIELD = re.compile(
    rb"(?:\A|(?<=\r\n))x-gateway-(?:smime|rights)[ \t]*:[^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*(?:\r\n|\Z)",
    re.IGNORECASE,
)


def without_ours(section: bytes) -> bytes:
    """A header section without those fields, however often they stand there; all else octet for octet."""
    return _FIELD.sub(b"", section)
