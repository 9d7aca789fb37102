"""What may be done with a file in a page, by its octets and not by what its sender calls it. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

SNIFFED: Final = 1024  # Octets of its beginning that are looked at.
MAX_PICTURE: Final = 32 << 20  # Octets of a picture that is shown.
OCTETS: Final = "application/octet-stream"

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_ENDINGS: Final = frozenset(
    ("txt", "text", "log", "csv", "tsv", "md", "json", "yaml", "yml", "ini", "ics", "vcf", "asc")
)
_TEXTS: Final = frozenset(
    ("text/plain", "text/csv", "text/markdown", "text/calendar", "text/vcard", "application/json")
)
# Types that a browser hands to the right program and never shows as a page of ours.
_SERVED: Final = frozenset(
    (
        "application/pdf", "application/zip", "application/msword", "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint", "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.text",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "image/png", "image/jpeg",
        "image/gif", "image/webp", "text/calendar", "text/csv", "text/plain", "text/vcard",
    )
)  # fmt: skip


class FileKind(StrEnum):
    """How a file is shown. All but `other` can be read in the page, so also by whom nothing may be saved."""

    PICTURE = "picture"
    TEXT = "text"
    PDF = "pdf"
    MESSAGE = "message"
    OTHER = "other"


def picture_type(beginning: bytes) -> str | None:
    """The type of a picture that browsers draw without running anything in it (SVG is none); None: it is no such."""
    for magic, kind in _MAGIC:
        if beginning.startswith(magic):
            if kind == "image/bmp" and beginning[6:10] != bytes(4):
                return None  # `BM` begins many a text.
            return kind
    if beginning.startswith(b"RIFF") and beginning[8:12] == b"WEBP":
        return "image/webp"
    return None


def is_pdf(beginning: bytes) -> bool:
    """Whether it is a PDF: the sign stands at its very beginning, as browsers want it under `nosniff`."""
    return beginning.startswith(b"%PDF-")


def kind_of(told: str, name: str, beginning: bytes, size: int) -> tuple[FileKind, str]:
    """How it is shown, and the type that it is served as. `told`: the sender's word."""
    if told.startswith("message/") and told.endswith(("rfc822", "global")):
        return FileKind.MESSAGE, "message/rfc822"
    if (drawn := picture_type(beginning)) is not None:
        return (FileKind.PICTURE if size <= MAX_PICTURE else FileKind.OTHER), drawn
    if is_pdf(beginning):
        return FileKind.PDF, "application/pdf"
    ending = name.rpartition(".")[2].lower()
    served = told if told in _SERVED and not told.startswith("image/") else OCTETS
    if b"\x00" not in beginning and (told in _TEXTS or (ending in _ENDINGS and told in ("text/plain", OCTETS))):
        return FileKind.TEXT, served if served.startswith("text/") else "text/plain"
    return FileKind.OTHER, served
