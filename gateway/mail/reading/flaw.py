"""Where a message is not what it should be, or more than is read of it."""

from __future__ import annotations

from enum import StrEnum


class Flaw(StrEnum):
    """Why readers may differ about a message, or why something in it was not read."""

    HEAD = "a header section holds lines that belong to no field"
    NO_END_OF_HEAD = "a header section does not end with an empty line"
    LONG_HEAD = "a header section is too long: the MIME fields and subjects of the rest alone were read"
    TYPES = "a part names several types, encodings or boundaries"
    ENCODING = "a transfer encoding is unknown, or does not fit what it encodes"
    CHARSET = "a charset is missing, unknown, or does not fit the octets"
    BOUNDARY = "a multipart has no boundary that is used, or lines that look like one"
    BEYOND = "parts stand where none may: in front of the first boundary or behind the last"
    DEEP = "parts lie too deep in each other: the innermost were read as text"
    MANY = "there are too many parts: the last one holds the rest"
    CUT = "there is more text than is read"
    TNEF = "a winmail.dat is broken"
