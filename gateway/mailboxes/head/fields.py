"""The fields of a header section that IMAP tells of (RFC 3501 7.4.2), read tolerantly."""

from __future__ import annotations

from typing import Final

MAX_FIELDS: Final = 100  # Of one name.

Fields = dict[bytes, list[bytes]]  # By name in small letters: values in order, each unfolded on one line, stripped.

ENVELOPE: Final = (
    b"date", b"subject", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"in-reply-to", b"message-id",
)  # fmt: skip
CONTENT: Final = (
    b"content-type", b"content-transfer-encoding", b"content-id", b"content-description", b"content-disposition",
    b"content-language", b"content-location", b"content-md5",
)  # fmt: skip
_WANTED: Final = frozenset((*ENVELOPE, *CONTENT))


def fields_of(section: bytes) -> Fields:
    """The fields of `section`, which may end before its empty line. Lines that are no field are read over."""
    found: Fields = {}
    lines = section.split(b"\n")
    wanted: bytes | None = None  # The field that the last lines belong to, if it is one of ours.
    value, first = b"", 0
    for place, line in enumerate(lines):
        if line[:1] in (b" ", b"\t"):
            continue
        if wanted is not None:
            _keep(found, wanted, value, lines[first + 1 : place])
            wanted = None
        name, colon, value = line.partition(b":")
        if colon and (name := name.rstrip(b" \t").lower()) in _WANTED:
            wanted, first = name, place
    if wanted is not None:
        _keep(found, wanted, value, lines[first + 1 :])
    return found


def _keep(found: Fields, name: bytes, value: bytes, more: list[bytes]) -> None:
    values = found.setdefault(name, [])
    if len(values) >= MAX_FIELDS:
        return
    value = b"".join([value, *more]).strip() if more else value.strip()
    values.append(value.replace(b"\r", b"") if b"\r" in value else value)


def text_of(fields: Fields, name: bytes) -> bytes | None:
    """The first value of that name; None where there is none."""
    values = fields.get(name)
    return None if values is None else values[0]
