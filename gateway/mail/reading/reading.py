"""A message, read. Each view is made when it is first asked for, and once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.mail.reading import rendering
from gateway.mail.reading.attachment import Attachment
from gateway.mail.reading.files import MAX_INSIDE, Files, files_of, may_hold_files
from gateway.mail.reading.flaw import Flaw
from gateway.mail.reading.header import Head, ReadField, field_texts, head_at
from gateway.mail.reading.kind import MessageKind, kinds_of
from gateway.mail.reading.once import once
from gateway.mail.reading.plain import plain_text
from gateway.mail.reading.structure import Leaf, Structure, structure_of
from gateway.mail.reading.text import Text

TEXT_LIMIT: Final = 12 << 20  # Octets of text that are read, decoded, in all.
MAX_LEVELS: Final = 5  # Messages that lie as files in each other (`.eml`).
MAX_MESSAGES: Final = 100  # Of them in all: each may hold many, and a broken one all that stands behind it.

_NO_FLAWS: Final[frozenset[Flaw]] = frozenset()


def read(octets: bytes, *, text_limit: int = TEXT_LIMIT) -> Reading:
    """What the message `octets` says. Never fails, whatever they are; costs nothing until something is asked for.

    `text_limit`: how many octets of text are read, after decoding; a flaw says where there were more.
    """
    return Reading(octets, text_limit)


class Reading:
    """One message. To be made by `read`, and kept as long as the message is judged."""

    def __init__(self, octets: bytes, text_limit: int, level: int = 0, room: list[int] | None = None) -> None:
        """`room`: how many files may still be read as messages, in the whole of which this is a part."""
        if b"\r" in octets and b"\n" not in octets:  # As old Macintoshes ended lines.
            octets = octets.replace(b"\r", b"\n")
        self._octets = octets
        self._limit = text_limit
        self._level = level
        self._room = [MAX_MESSAGES] if room is None else room
        self._crowded = False  # There were more.
        self._cut = False
        self._charset_doubtful = False

    def __repr__(self) -> str:
        return f"Reading({len(self._octets)} octets)"

    @once
    def _head(self) -> Head:
        return head_at(self._octets, 0, len(self._octets))

    @once
    def fields(self) -> tuple[ReadField, ...]:
        """The header fields, in order."""
        return tuple([ReadField(name.decode("latin-1"), raw) for name, raw in self._head.fields])

    @property
    def is_head_long(self) -> bool:
        """Whether there are header fields that were not read."""
        return self._head.is_long

    def named(self, name: str) -> tuple[ReadField, ...]:
        """The fields of that name, which is in small letters."""
        return tuple([field for field in self.fields if field.name == name])

    def raws(self, name: str) -> Sequence[bytes]:
        """What stands behind the colon in the fields of that name, which is in small letters."""
        return self._head.all(name.encode("latin-1")) if name.isascii() else [one.raw for one in self.named(name)]

    @once
    def subjects(self) -> tuple[str, ...]:
        """Every subject that a reader may see: of several fields, and by several charsets. Mostly one."""
        raws = self._head.all(b"subject")
        if len(raws) == 1:
            return field_texts(raws[0])
        return tuple(dict.fromkeys([text for raw in raws for text in field_texts(raw)]))

    @property
    def subject(self) -> str:
        """The first of them, empty where there is none."""
        return self.subjects[0] if self.subjects else ""

    @once
    def structure(self) -> Structure:
        """The parts."""
        return structure_of(self._octets, self._head)

    @once
    def _plain(self) -> str | None:
        """All that it shows, where it is one plain text and nothing else: then its parts need not be sought."""
        return plain_text(self._octets, self._head, self._limit)

    @once
    def texts(self) -> tuple[Text, ...]:
        """Every text that is shown, in order; behind them those of attachments, and of files that are messages."""
        if self._plain is not None:
            return (Text("body", self._plain),)
        leaves = [leaf for leaf in self.structure.leaves if rendering.may_be_text(leaf)]
        if len(leaves) > 1:
            leaves.sort(key=rendering.is_attached)  # Stable; whoever attaches much must not crowd out the text itself.
        found: list[Text] = []
        left = self._limit
        for leaf in leaves:
            left = self._leaf_texts(leaf, left, found)
        for where, head in self.structure.heads:
            found.extend(
                Text(f"subject of part {where}" if where else "subject inside", text)
                for raw in head.all(b"subject")
                for text in field_texts(raw)
            )
        for text in self._texts_of_files():
            if left <= 0:
                self._cut = True
                break
            found.append(text)
            left -= len(text.text)
        return tuple(found)

    def _leaf_texts(self, leaf: Leaf, left: int, found: list[Text]) -> int:
        octets, is_whole = rendering.octets_of(leaf, left)
        self._cut |= not is_whole and not rendering.is_attached(leaf)  # A file's text is read as far as there is room.
        if octets:
            texts = rendering.texts_of(leaf, octets)
            self._charset_doubtful |= sum(not text.hidden for text in texts) > 1
            found.extend(texts)
        return left - len(octets)

    def _texts_of_files(self) -> Iterator[Text]:
        if not any(may_hold_files(leaf) for leaf in self.structure.leaves):
            return
        yield from self._files.texts
        for place, inner in self._messages:
            for text in inner.subjects:
                yield Text(f"subject of attachment {place}", text)
            for one in inner.texts:
                yield Text(f"attachment {place}", one.text, one.hidden)

    @once
    def _files(self) -> Files:
        return files_of(self.structure.leaves)

    @once
    def _messages(self) -> list[tuple[str, Reading]]:
        """Files that are messages by their name alone: some readers open them in place."""
        if self._level >= MAX_LEVELS:
            return []
        found: list[tuple[str, Reading]] = []
        for one in self._files.attachments:
            if one.type.startswith("message/") or not any(name.lower().endswith(".eml") for name in one.names):
                continue
            if self._room[0] <= 0:
                self._crowded = True
                break
            self._room[0] -= 1
            found.append((one.where, Reading(one.octets(), self._limit, self._level + 1, self._room)))
        return found

    @once
    def attachments(self) -> tuple[Attachment, ...]:
        """Files, in order: what is said to be one, has a name, or is no text that is shown. Behind them those that lie
        in attached messages without being parts of this one.
        """
        if self._plain is not None:
            return ()
        inner = [one for _, message in self._messages for one in message.attachments]
        return (*self._files.attachments, *inner)

    @once
    def charsets(self) -> tuple[str, ...]:
        """Every charset that a part names, in small letters."""
        named = [name for leaf in self.structure.leaves for name in leaf.type.parameters.octets(b"charset")]
        return tuple(dict.fromkeys([name.decode("latin-1").strip(" '\"").lower() for name in named if name]))

    @once
    def kinds(self) -> frozenset[MessageKind]:
        """What kinds of message this one is."""
        return kinds_of(self.fields, self.structure, self.attachments)

    @property
    def flaws(self) -> frozenset[Flaw]:
        """What is wrong with it, as far as it was read: of texts and files only once they were asked for."""
        if self._plain is not None:
            return _NO_FLAWS
        if not self._cut and not self._charset_doubtful and "_files" not in self.__dict__:
            return frozenset(self.structure.flaws)
        found = set(self.structure.flaws)
        if "_files" in self.__dict__:
            if self._files.is_broken:
                found.add(Flaw.TNEF)
            if self._files.inside > MAX_INSIDE or self._crowded:
                found.add(Flaw.MANY)
        if self._cut:
            found.add(Flaw.CUT)
        if self._charset_doubtful:
            found.add(Flaw.CHARSET)
        return frozenset(found)
