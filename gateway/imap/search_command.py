"""SEARCH as it is read (RFC 3501 6.4.4), with the options of RFC 4731 and the key MODSEQ of RFC 7162 3.1.5 left out.

pymap reads the keys; charsets are US-ASCII and UTF-8 alone, and keys within limits.
"""

from __future__ import annotations

import re
from typing import Final

from pymap.parsing import EndLine, Params, Space
from pymap.parsing.command.select import SearchCommand, UidSearchCommand
from pymap.parsing.exceptions import NotParseable
from pymap.parsing.specials import AString, SearchKey

MAX_KEYS: Final = 200
CHARSETS: Final = {b"US-ASCII": "ascii", b"UTF-8": "utf-8", b"ASCII": "ascii", b"UTF8": "utf-8"}

_CHARSET: Final = re.compile(rb" +CHARSET +", re.IGNORECASE)
_RETURN: Final = re.compile(rb" +RETURN +\(((?: *(?:MIN|MAX|ALL|COUNT))*) *\)", re.IGNORECASE)


class _Arguments:
    """What stands behind SEARCH. `bad_charset`: it is one that we don't know, so the keys were not read."""

    def __init__(self, buf: memoryview, params: Params) -> None:
        self.returning: frozenset[bytes] | None = None
        self.bad_charset = False
        self.keys: tuple[SearchKey, ...] = ()
        if match := _RETURN.match(buf):
            self.returning = frozenset(match[1].upper().split()) or frozenset((b"ALL",))
            buf = buf[match.end() :]
        charset = "utf-8"  # Without one, text of 8 bits is what programs mean it to be.
        if match := _CHARSET.match(buf):
            name, buf = AString.parse(buf[match.end() :], params)
            known = CHARSETS.get(name.value.upper())
            if known is None:
                self.bad_charset = True
                self.rest = buf[:0]
                return
            charset = known
        found: list[SearchKey] = []
        while buf[:1].tobytes() == b" ":
            _, buf = Space.parse(buf, params)
            if found and bytes(buf[:2]).strip(b"\r\n") == b"":
                break
            key, buf = SearchKey.parse(buf, params.copy(charset=charset))
            found.append(key)
            if len(found) > MAX_KEYS:
                raise NotParseable(buf)
        if not found:
            raise NotParseable(buf)
        self.keys = tuple(found)
        _, self.rest = EndLine.parse(buf, params)


class Search(SearchCommand):
    """SEARCH. `wanted` are the keys in their order, all of which must hold."""

    wanted: tuple[SearchKey, ...] = ()
    returning: frozenset[bytes] | None = None
    bad_charset = False

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Search, memoryview]:
        arguments = _Arguments(buf, params)
        command = cls(params.tag, (), None)
        command.wanted, command.returning = arguments.keys, arguments.returning
        command.bad_charset = arguments.bad_charset
        return command, arguments.rest


class UidSearch(UidSearchCommand):
    """UID SEARCH."""

    delegate = SearchCommand
    wanted: tuple[SearchKey, ...] = ()
    returning: frozenset[bytes] | None = None
    bad_charset = False

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[UidSearch, memoryview]:
        arguments = _Arguments(buf, params)
        command = cls(params.tag, (), None)
        command.wanted, command.returning = arguments.keys, arguments.returning
        command.bad_charset = arguments.bad_charset
        return command, arguments.rest
