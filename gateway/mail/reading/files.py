"""The files of a message: attachments, what lies in winmail.dat, blocks of uuencode and yEnc in texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.mail.reading import rendering
from gateway.mail.reading.attachment import Attachment
from gateway.mail.reading.charset import readings
from gateway.mail.reading.encoded_word import decoded
from gateway.mail.reading.structure import Leaf
from gateway.mail.reading.text import Text
from gateway.mail.reading.tnef import Tnef, tnef
from gateway.mail.reading.transfer import Encoding, decoded_blocks
from gateway.mail.reading.unseen import without_unseen
from gateway.mail.reading.uublock import blocks

MAX_INSIDE: Final = 10_000  # Files inside of texts and of winmail.dat, in all of a message.
MAX_TEXT: Final = 1 << 20  # Letters inside of winmail.dat, in all; octets of an encoded text that files are sought in.
MAX_TNEF: Final = 64 << 20  # Octets of winmail.dat that are read, decoded, in all of a message.

_TNEF_TYPES: Final = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))


@dataclass(slots=True)
class Files:
    """What was found. `texts`: those inside of winmail.dat."""

    attachments: list[Attachment] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    is_broken: bool = False
    inside: int = 0
    left: int = MAX_TNEF
    text_left: int = MAX_TEXT

    def add_inside(self, attachment: Attachment) -> None:
        """One that lies in a part, unless there are too many of such."""
        self.inside += 1
        if self.inside <= MAX_INSIDE:
            self.attachments.append(attachment)


def files_of(leaves: Sequence[Leaf]) -> Files:
    """The files among the parts, each once for every reading that differs."""
    found = Files()
    for leaf in leaves:
        names = names_of(leaf)
        shown = rendering.is_text(leaf)
        if names or not shown or rendering.is_attached(leaf):
            found.attachments.append(
                Attachment(
                    names,
                    leaf.type.name,
                    leaf.where,
                    source=leaf.source,
                    start=leaf.start,
                    end=leaf.end,
                    encoding=leaf.encoding,
                    inline=leaf.disposition.startswith(b"inline"),
                    within=leaf.within,
                    content_id=leaf.content_id,
                )
            )
            if leaf.type.name in _TNEF_TYPES or any(name.lower() == "winmail.dat" for name in names):
                _open(leaf, found)
        if shown:
            _blocks(leaf, found)
    return found


def may_hold_files(leaf: Leaf) -> bool:
    """Whether a part may be a file that has texts inside, or be named as one; a quick look."""
    if not rendering.is_text(leaf):
        return True
    return may_be_named(leaf)


def may_be_named(leaf: Leaf) -> bool:
    """Whether a name may be told of it; most texts have none, though other parameters."""
    pieces = leaf.parameters.pieces + leaf.type.parameters.pieces
    return bool(pieces) and any(piece.name.startswith((b"name", b"filename")) for piece in pieces)


def _blocks(leaf: Leaf, found: Files) -> None:
    """Files that stand inside a text, as uuencode and yEnc; of an encoded one within its first 1 MiB."""
    source, start, end = leaf.source, leaf.start, leaf.end
    if leaf.encoding is not Encoding.NONE:
        source = rendering.octets_of(leaf, MAX_TEXT)[0]
        start, end = 0, len(source)
    for block in blocks(source, start, end):
        found.add_inside(
            Attachment(
                _few(decoded(block.name)),
                "application/octet-stream",
                leaf.where,
                source=source,
                start=block.start,
                end=block.end,
                encoding=block.encoding,
                within=leaf.within,
            )
        )


def names_of(leaf: Leaf) -> tuple[str, ...]:
    """The names that a reader may give it; the standard's first, Content-Disposition's before Content-Type's."""
    if not may_be_named(leaf):
        return ()
    return _few(
        [
            *leaf.parameters.texts(b"filename"),
            *leaf.type.parameters.texts(b"name"),
            *leaf.parameters.texts(b"name"),
            *leaf.type.parameters.texts(b"filename"),
        ]
    )


def _few(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([name for name in names if name.strip()]))


def _open(leaf: Leaf, found: Files) -> None:
    """Read a winmail.dat, unless there are too many octets of such."""
    octets = b"".join(decoded_blocks(leaf.source, leaf.start, leaf.end, leaf.encoding))
    found.left -= len(octets)
    read = tnef(octets) if found.left >= 0 else None
    if read is None:
        found.is_broken = True
        return
    _unpack(read, octets, leaf, found, 1)


def _unpack(read: Tnef, octets: bytes, leaf: Leaf, found: Files, level: int) -> None:
    where = f"attachment {leaf.where}".rstrip()
    found.is_broken |= read.is_broken
    for text in [*read.subjects, *read.bodies]:
        if text and found.text_left > 0:
            found.texts.append(Text(where, without_unseen(text[: found.text_left])))
            found.text_left -= len(text)
    for html in read.html:
        if found.text_left > 0:
            found.texts.extend(rendering.html_texts(where, list(readings(html[: found.text_left], None))))
            found.text_left -= len(html)
    for place, one in enumerate(read.files, 1):
        names = _few([*[without_unseen(name) for name in one.names], *one.names])
        found.add_inside(
            Attachment(
                names,
                one.type or "application/octet-stream",
                f"{leaf.where}.{place}",
                source=octets,
                start=one.start,
                end=one.end,
                within=leaf.within + level,
            )
        )
        if one.message is not None:
            _unpack(one.message, octets, leaf, found, level + 1)
