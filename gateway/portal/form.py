"""Forms with files, read as they stream in (RFC 7578): fields in memory, files into the room, never in clear on a disk.

Everything is limited: octets in all, of a field and of a head, how many, and how long the browser may be silent. What
is wrong leaves nothing behind. Leaves out: forms without files, which are small and read at once; RFC 2231 names, which
RFC 7578 4.2 forbids here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.mail.message import Content, Message
from gateway.portal.desk import Room
from gateway.storage.spooling import Receiving
from gateway.storage.writer import StorageBroken
from gateway.world.clock import Clock

SILENCE: Final = 30.0  # Seconds without an octet after which a browser is taken for gone.
WHOLE: Final = 1800.0  # Seconds for all of a form: 25 MiB on a slow line take a quarter of an hour.
MAX_FIELDS: Final = 32
MAX_FILES: Final = 50
MAX_NAME: Final = 1024  # Octets of a file's name; what is longer is cut by whoever writes it down.
MAX_BOUNDARY: Final = 70  # RFC 2046 5.1.1
HEADS: Final = 8  # Lines in the head of one part, each up to the 4 KiB that the parser takes.
OVERHEAD: Final = 512 * 1024  # Octets of heads and delimiters, beside fields and files.
DRAINED: Final = 64 << 20  # Octets that are read and dropped, so that a browser hears why instead of a broken line.

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{1,70}")
_ESCAPES = re.compile(r"%(22|0D|0A)", re.IGNORECASE)  # What browsers write in names for a quote and for line ends.


class Wrong(StrEnum):
    """What a form has against it."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    SLOW = "slow"


class BadForm(ValueError):
    """A form that is not taken. Nothing of it is kept; no octet of it is in the words.

    `fields`: those that were read and admitted before, so that nobody has to type them again.
    """

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(wrong.value)
        self.wrong = wrong
        self.fields: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class FormLimits:
    """`octets`: of all files together. `text`: of one field; all together may have twice as many. `files`: how many."""

    octets: int
    text: int = 64 * 1024
    files: int = MAX_FILES


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file that was chosen: its field, its own name as the browser gave it, and what it is said to be."""

    of: str
    name: str
    content_type: str
    content: Content = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """`fields`: of several of one name the first. `files`: those that were chosen, in order."""

    fields: Mapping[str, str] = field(repr=False)
    files: tuple[FormFile, ...] = ()


async def read_form(
    blocks: AsyncIterator[bytes],
    content_type: str,
    limits: FormLimits,
    *,
    room: Room,
    clock: Clock,
    admit: Callable[[Mapping[str, str]], None] = lambda fields: None,
) -> Form:
    """The whole form. `admit` is asked once, with the fields that stand in front of the first file, before an octet of
    that is kept: what it raises ends the form. The files lie in the room and are the caller's.

    Raises BadForm; whatever the room, the browser's line and `admit` raise. Then nothing is left in the room.
    """
    reader = _Reader(_boundary(content_type), limits, room, admit)
    try:
        async with clock.timeout(WHOLE):
            await _fed(reader, blocks, clock)
            return await reader.end()
    except TimeoutError as error:
        raise reader.bad(Wrong.SLOW) from error
    except FormParserError as error:
        raise reader.bad(Wrong.MALFORMED) from error
    except BadForm as error:
        await reader.drop()
        if error.wrong is Wrong.TOO_LARGE:
            await _drained(blocks, clock)
        raise reader.bad(error.wrong) from None
    finally:
        await reader.drop()


def _boundary(content_type: str) -> bytes:
    kind, parameters = parse_options_header(content_type[:1000])
    boundary = parameters.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not _BOUNDARY.fullmatch(boundary) or boundary.endswith(b" "):
        raise BadForm(Wrong.MALFORMED)
    return boundary


async def _fed(reader: _Reader, blocks: AsyncIterator[bytes], clock: Clock) -> None:
    while True:
        async with clock.timeout(SILENCE):
            block = await anext(blocks, None)
        if block is None:
            return
        await reader.feed(block)


async def _drained(blocks: AsyncIterator[bytes], clock: Clock) -> None:
    """Read on, within bounds: a browser that is still sending would not look at an answer."""
    left = DRAINED
    try:
        async with clock.timeout(SILENCE):
            async for block in blocks:
                left -= len(block)
                if left < 0:
                    return
    except TimeoutError:
        return


class _Part:
    """The part that is being read."""

    __slots__ = ("content_type", "file", "name", "octets")

    def __init__(self, head: Mapping[bytes, bytes]) -> None:
        kind, parameters = parse_options_header(head.get(b"content-disposition", b"").decode("latin-1"))
        name = parameters.get(b"name")
        if kind != b"form-data" or name is None:
            raise BadForm(Wrong.MALFORMED)
        self.name = name.decode("utf-8", "replace")[:64]
        named = parameters.get(b"filename")
        self.file = None if named is None else _ESCAPES.sub(_unescaped, named[:MAX_NAME].decode("utf-8", "replace"))
        self.content_type = head.get(b"content-type", b"").decode("latin-1")[:100]
        self.octets = bytearray()  # Of a field; of a file that has not begun yet.


def _unescaped(match: re.Match[str]) -> str:
    return '"' if match[1] == "22" else " "


class _Reader:
    """Turns blocks into fields and files. Its parser calls `_head`, `_data` and so on in the order of the octets."""

    def __init__(
        self, boundary: bytes, limits: FormLimits, room: Room, admit: Callable[[Mapping[str, str]], None]
    ) -> None:
        self._limits = limits
        self._room = room
        self._admit = admit
        self._admitted = False
        self._fields: dict[str, str] = {}
        self._count = 0  # Of parts that are fields.
        self._files: list[FormFile] = []
        self._begun = 0  # Files.
        self._size = 0  # Octets of files.
        self._typed = 0  # Octets of fields.
        self._left = limits.octets + OVERHEAD + 2 * limits.text
        # No browser writes anything in front of the first delimiter. The parser passes over what stands there as far
        # as the block goes, so that it would depend on how a form was cut what comes of it.
        self._mark = b"--" + boundary
        self._front: bytes | None = b""
        self._head: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._part: _Part | None = None
        self._incoming: Receiving | None = None
        self._ended: list[tuple[_Part, Receiving]] = []  # Files that are whole, and not yet finished.
        self._full = False
        self._is_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_head,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part,
                "on_end": self._on_end,
            },
            max_header_count=HEADS,
        )
        # It writes down what it finds wrong, which anybody could fill a disk with: nobody hears this one.
        self._parser.logger = logging.Logger("forms", logging.CRITICAL)  # noqa: LOG001

    async def feed(self, block: bytes) -> None:
        """Take the next octets. Raises BadForm, FormParserError, what the room raises."""
        self._left -= len(block)
        if self._left < 0:
            raise BadForm(Wrong.TOO_LARGE)
        if self._front is not None:
            self._front += block
            if len(self._front) < len(self._mark):
                return
            if not self._front.startswith(self._mark):
                raise BadForm(Wrong.MALFORMED)
            block, self._front = self._front, None
        self._parser.write(block)
        await self._settle()

    async def end(self) -> Form:
        """All octets were fed."""
        if not self._is_whole:
            raise BadForm(Wrong.MALFORMED)
        self._ask()
        files, self._files = tuple(self._files), []
        return Form(self._fields, files)

    def bad(self, wrong: Wrong) -> BadForm:
        """What is to be raised."""
        error = BadForm(wrong)
        error.fields = dict(self._fields) if self._admitted else {}
        return error

    async def drop(self) -> None:
        """Forget everything that was not handed over."""
        unfinished = [incoming for _, incoming in self._ended]
        if self._incoming is not None:
            unfinished.append(self._incoming)
        files = self._files
        self._ended, self._incoming, self._files = [], None, []
        for incoming in unfinished:
            with suppress(OSError, StorageBroken):  # What stays behind is cleared at the next start.
                await incoming.abandon()
        for file in files:
            await self._room.forget(file.content)

    async def _settle(self) -> None:
        """What the callbacks could not do, since they can't wait."""
        while self._ended:
            part, incoming = self._ended[0]
            message: Message = await incoming.finish()
            del self._ended[0]
            self._files.append(FormFile(part.name, part.file or "", part.content_type, message.content))
        if self._full and self._incoming is not None:
            await self._incoming.flush()
        self._full = False

    def _ask(self) -> None:
        if not self._admitted:
            self._admitted = True
            self._admit(self._fields)

    # -- called by the parser -----------------------------------------------------------------------------------------

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        name = self._name.lower()
        if name in self._head:  # Two that say different things are read differently by everybody.
            raise BadForm(Wrong.MALFORMED)
        self._head[name] = self._value.strip()
        self._name = self._value = b""

    def _on_head(self) -> None:
        part = self._part = _Part(self._head)
        self._head = {}
        if part.file is None:
            self._count += 1
            if self._count > MAX_FIELDS:
                raise BadForm(Wrong.TOO_MANY)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part is None:
            raise BadForm(Wrong.MALFORMED)
        if part.file is None:
            part.octets += data[start:end]
            self._typed += end - start
            if len(part.octets) > self._limits.text or self._typed > 2 * self._limits.text:
                raise BadForm(Wrong.TOO_LARGE)
            return
        if self._incoming is None:
            self._begin()
        self._size += end - start
        if self._size > self._limits.octets:
            raise BadForm(Wrong.TOO_LARGE)
        if self._incoming is not None:
            self._full |= self._incoming.write(data[start:end])

    def _begin(self) -> None:
        self._ask()
        self._begun += 1
        if self._begun > self._limits.files:
            raise BadForm(Wrong.TOO_MANY)
        self._incoming = self._room.begin()

    def _on_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            raise BadForm(Wrong.MALFORMED)
        if part.file is None:
            self._fields.setdefault(part.name, part.octets.decode("utf-8", "replace"))
            return
        if self._incoming is None:
            if not part.file:  # A browser sends one such where no file was chosen.
                return
            self._begin()
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            self._ended.append((part, incoming))

    def _on_end(self) -> None:
        self._is_whole = True
