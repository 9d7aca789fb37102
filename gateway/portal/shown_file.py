"""One file of a message as the portal shows and serves it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote

from gateway.mail.reading import Attachment
from gateway.mail.reading.charset import readings
from gateway.portal.file_kind import SNIFFED, FileKind, kind_of
from gateway.portal.file_name import disposition, safe_name

MAX_TEXT: Final = 1 << 20  # Octets of a text that are shown in a page.
_ENDINGS: Final = {
    "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/bmp": "bmp",
    "application/pdf": "pdf", "message/rfc822": "eml", "text/plain": "txt", "text/calendar": "ics", "text/csv": "csv",
    "text/vcard": "vcf", "application/zip": "zip",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownFile:
    """`number` is its place in the paths of the message, `name` a safe one, `type` what it is served as.

    `content_id` is without brackets, `is_in_text` whether the text shows it in its place, so that no list need.
    """

    number: int
    name: str
    size: int
    kind: FileKind
    type: str
    content_id: str = ""
    is_in_text: bool = False
    attachment: Attachment | None = field(default=None, repr=False)

    def blocks(self) -> Iterator[bytes]:
        """Its octets in pieces of about 1 MiB, decoded as they are asked for: nothing lies in memory twice."""
        return iter(()) if self.attachment is None else self.attachment.blocks()

    @property
    def told(self) -> ShownFile:
        """The same without its octets."""
        return replace(self, attachment=None)

    @property
    def can_be_shown(self) -> bool:
        """Whether the page itself shows it, also to whom nothing may be saved."""
        return self.kind is not FileKind.OTHER

    @property
    def is_drawn(self) -> bool:
        """Whether its octets may go to a browser as a part of the page: pictures and PDF."""
        return self.kind in (FileKind.PICTURE, FileKind.PDF)


def shown_file(number: int, attachment: Attachment, referred: frozenset[str]) -> ShownFile:
    """`attachment` at the place `number`; `referred`: the content ids that the text names."""
    beginning = next(iter(attachment.blocks()), b"")[:SNIFFED]
    kind, served = kind_of(attachment.type, attachment.name, beginning, attachment.size)
    ending = _ENDINGS.get(served, "bin")
    identity = content_id(attachment.content_id)
    return ShownFile(
        number,
        safe_name(attachment.names, f"attachment-{number}.{ending}"),
        attachment.size,
        kind,
        served,
        identity,
        bool(identity) and identity in referred and kind is FileKind.PICTURE,
        attachment,
    )


def content_id(raw: bytes | str) -> str:
    """As `cid:` addresses and Content-ID fields have it, brackets and percent codes taken off (RFC 2392 2)."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return unquote(text.strip().removeprefix("<").removesuffix(">").strip())[:1000]


def text_of(file: ShownFile) -> tuple[str, bool]:
    """What a text says, and whether that is all of it."""
    octets = b""
    for block in file.blocks():
        octets += block
        if len(octets) > MAX_TEXT:
            break
    return readings(octets[:MAX_TEXT], None)[0].replace("\x00", ""), len(octets) <= MAX_TEXT


def served_headers(file: ShownFile, *, inline: bool = False) -> dict[str, str]:
    """The fields of an answer that brings its octets. `inline` only has an effect on pictures and PDF: nothing else may
    be opened by a browser as a page of ours (RFC 6266 4.2).
    """
    shown = inline and file.is_drawn
    return {
        "Content-Type": file.type if shown or not file.type.startswith("text/") else f"{file.type}; charset=utf-8",
        "Content-Disposition": disposition(file.name, inline=shown),
        "Content-Length": str(file.size),
        "X-Content-Type-Options": "nosniff",
    }
