"""APPEND (RFC 3501 6.3.11), several messages at once (RFC 3502), as it is read: the connection fetches each literal.

pymap would hold a message three times over and read it before anybody knew whether it is wanted. Here the parser stops
in front of each message with `ExpectMessage`, and goes on once the connection has put an `Arrived` in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from pymap.parsing import EndLine, Params, Space
from pymap.parsing.command import Command
from pymap.parsing.command.auth import AppendCommand
from pymap.parsing.exceptions import NotParseable
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import DateTime
from pymap.parsing.state import ParsingExpectation, ParsingState

from gateway.imap import folder_name
from gateway.imap.answers import Refusal
from gateway.imap.flag_words import BadFlag, split

MAX_MESSAGES: Final = 100  # In one APPEND, which is read anew with each.

_FLAGS: Final = re.compile(rb" *\(((?: *\\?[\x21\x23\x24\x26\x27\x2b-\x5b\x5d\x5e-\x7a\x7c\x7e]+)*) *\) ")
_LITERAL: Final = re.compile(rb"(~?)\{([0-9]{1,10})(\+?)\}\r?\n")


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message's octets, and the line that goes on behind them."""

    octets: bytes = field(repr=False)
    rest: memoryview = field(repr=False)


class ExpectMessage(ParsingExpectation[Arrived]):
    """A message of `length` octets is to be read now. `folder` is where it goes, `before` how many octets came before.

    `waits`: the client sends it only once it is told to; else it is coming already (RFC 7888).
    """

    def __init__(self, folder: str, length: int, before: int, *, waits: bool) -> None:
        self.folder = folder
        self.length = length
        self.before = before
        self.waits = waits

    def consume(self, state: ParsingState) -> Arrived | None:
        found: Any = next(state.continuations, None)
        return found if isinstance(found, Arrived) else None


@dataclass(frozen=True, slots=True)
class Put:
    """One message that a client puts in. `flags` are system flags; `date` in seconds since 1970, None: now."""

    octets: bytes = field(repr=False)
    flags: int
    keywords: tuple[str, ...] = field(repr=False)
    date: float | None


class Append(AppendCommand):
    """`puts` are the messages. `cancelled`: an empty literal takes back all of them (RFC 3502 6.3.11)."""

    puts: tuple[Put, ...] = ()

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Append, memoryview]:
        _, buf = Space.parse(buf, params)
        folder, buf = folder_name.read(buf, params)
        puts: list[Put] = []
        cancelled = False
        while not puts or buf[:1].tobytes() == b" ":
            if len(puts) >= MAX_MESSAGES:
                raise NotParseable(buf)
            put, buf = _message(folder.value, sum(len(one.octets) for one in puts), buf, params)
            if not put.octets:
                cancelled = True
                break
            puts.append(put)
        _, buf = EndLine.parse(buf, params)
        nothing: list[AppendMessage] = []
        command = cls(params.tag, folder, nothing, cancelled)
        command.puts = tuple(puts)
        return command, buf


def _message(folder: str, before: int, buf: memoryview, params: Params) -> tuple[Put, memoryview]:
    _, buf = Space.parse(buf, params)
    flags = 0
    keywords: tuple[str, ...] = ()
    if match := _FLAGS.match(buf):
        try:
            flags, keywords = split(match[1].split())
        except BadFlag as error:
            raise NotParseable(buf) from error
        buf = buf[match.end() :]
    date: float | None = None
    if buf[:1].tobytes() == b'"':
        when, buf = DateTime.parse(buf, params)
        date = when.value.timestamp()
        _, buf = Space.parse(buf, params)
    literal = _LITERAL.match(buf)
    if literal is None:
        raise NotParseable(buf)
    length = int(literal[2])
    rest = buf[literal.end() :]
    if len(rest):
        raise NotParseable(buf)
    arrived = ExpectMessage(folder, length, before, waits=not literal[3]).expect(params.state)
    return Put(arrived.octets, flags, keywords, date), arrived.rest


class Refused(Command):
    """An APPEND that was refused while it was read."""

    command = b"APPEND"

    def __init__(self, tag: bytes, refusal: Refusal) -> None:
        super().__init__(tag)
        self.refusal = refusal

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Command, memoryview]:
        """It is made of an APPEND, and stands in no octets."""
        raise NotParseable(buf)
