"""What an entity needs before it is signed, so that no host on the way has a reason to touch it (RFC 8551 3.1.2). Pure.

Octets over 127 are put into a transfer encoding; so is text with a line that begins with "From ", which mailbox files
put a ">" in front of, or with one that is longer than SMTP carries, which some hosts break. What lies inside a foreign
signature stays as it is.
"""

from __future__ import annotations

from typing import Final

from gateway.mail.downgrade import Unconvertible, downgrade
from gateway.mail.mime.editor import Editor
from gateway.mail.mime.part import Kind, Walked
from gateway.mail.mime.walk import Walk

LONGEST: Final = 998  # RFC 5321 4.5.3.1.6, without CR LF.

_TEXT: Final = frozenset((b"7bit", b"8bit", b"quoted-printable"))  # Encodings that leave lines as they are.


def steady(entity: bytes) -> bytes:
    """The entity as it is to be signed; itself where nothing is to be done, or where it can't be done.

    Takes 5 ms for each MiB where nothing is to be done. Lines end with CR LF.
    """
    is_odd = _is_odd(entity, 0, len(entity))
    if entity.isascii() and not is_odd:
        return entity
    walk = Walk()
    walk.feed(entity)
    walked = walk.end()
    try:
        edits = downgrade(walked, _odd(entity, walked) if is_odd else frozenset()).edits
    except Unconvertible:
        return entity
    editor = Editor(edits)
    return editor.feed(entity) + editor.end()


def _odd(entity: bytes, walked: Walked) -> frozenset[int]:
    """The places of the parts that have such lines and may be encoded."""
    if walked.flaw is not None:
        return frozenset()
    return frozenset(
        place
        for place, part in enumerate(walked.parts)
        if part.kind is Kind.LEAF
        and part.main != b"message"
        and part.body is not None
        and part.head.encoding in _TEXT
        and not any(
            outer.flaw is not None or (outer.main == b"multipart" and outer.sub in (b"signed", b"encrypted"))
            for outer in walked.line_of(place)
        )
        and _is_odd(entity, part.body, part.end)
    )


def _is_odd(octets: bytes, start: int, end: int) -> bool:
    """Whether there is a line between these places that somebody on the way might change."""
    if octets.startswith(b"From ", start, end) or octets.find(b"\nFrom ", start, end) >= 0:
        return True
    # From the last line end within reach to the next, so that it is no look at each octet.
    while end - start > LONGEST:
        place = octets.rfind(b"\n", start, start + LONGEST + 2)
        if place < 0:
            return True
        start = place + 1
    return False
