"""The key-access log as values: lines, the chain of hashes over them (SHA-256, FIPS 180-4), batches. No I/O.

A line is one JSON object in one form, beginning with its version mark and its number; numbers count from 1 without a
gap. Its hash is SHA-256 over the hash before it in hexadecimal digits, a line feed, the line, a line feed; before the
first line stand 64 zeros. So a shell with sha256sum can follow the chain.

A batch is what one process added in one transaction:

    0x01 | number of lines, 4 octets | the first 4 octets of each line's hash | the lines, each with LF, by zlib

The beginnings of the hashes tell which line of a batch was changed. Leaves out: signatures (`access_head`).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson

from gateway.keys.uses import Use
from gateway.storage.key_log_rows import Batch
from gateway.world.clock import rfc3339

GENESIS: Final = bytes(32)
MAX_LINES: Final = 5_000  # Of one batch: about a megabyte, and what is removed at once when it is old.
MAX_LINE: Final = 8_192  # Octets; ours have about 200.
MAX_OCTETS: Final = 32 << 20  # Of one batch when it is open.
MAX_WORDS: Final = 200  # Characters of each text that others choose.

_MARK: Final = b"\x01"
_VERSION: Final = 1
_HINT: Final = 4
_MOST_KNOWN: Final = 1_000  # Keys and their uses whose words are kept.
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_LEVEL: Final = 1  # Of zlib. The lines of a batch are alike: a sixth is left, and a higher level gains little.

USE: Final = "use"
LOST: Final = "lost"  # So many uses were not written: the memory for them was full.
ACCEPTED: Final = "accepted"  # Somebody answers for an older state having been put back.
_FORMS: Final[dict[str, tuple[str, ...]]] = {
    USE: ("who", "vault", "key", "version", "operation", "about", "outcome"),
    LOST: ("who", "uses"),
    ACCEPTED: ("who", "line", "hash", "reason"),
}


class BadLine(ValueError):
    """Octets that are no line, or no batch, of the log. The text says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `time`: RFC 3339 in UTC; `facts`: what lines of its kind have, in their order."""

    number: int
    time: str
    kind: str
    facts: Mapping[str, Any]

    def told(self) -> dict[str, Any]:
        """As a JSON value for people and programs."""
        return {"line": self.number, "time": self.time, "kind": self.kind, **self.facts}


# -- making ------------------------------------------------------------------------------------------------------------


class Bodies:
    """Makes lines about uses, quickly: most uses of a process differ in their time and in what they are about."""

    __slots__ = ("_around", "_minute", "_text")

    def __init__(self) -> None:
        self._around: dict[tuple[str, str, str, int | None, str, str], tuple[bytes, bytes]] = {}
        self._minute = -1
        self._text = b""

    def of(self, use: Use) -> bytes:
        """As `use_body`."""
        key = use.who, use.vault, use.key, use.version, use.operation, use.outcome
        around = self._around.get(key)
        if around is None:
            if len(self._around) >= _MOST_KNOWN:
                self._around.clear()
            body = use_body(replace(use, about=""))[len('"time":"2026-11-03T10:00:00.000Z"') :]
            before, _, after = body.rpartition(b'"about":""')
            around = self._around[key] = b'%b"about":' % before, after
        return b'"time":"%b"%b%b%b' % (self._time(use.time), around[0], orjson.dumps(_words(use.about)), around[1])

    def _time(self, time: float) -> bytes:
        whole = round(time * 1000)
        minute, left = divmod(whole, 60_000)
        if minute != self._minute:
            self._minute = minute
            self._text = rfc3339(minute * 60.0)[: len("2026-11-03T10:00:")].encode("ascii")
        return b"%b%02d.%03dZ" % (self._text, left // 1000, left % 1000)


def use_body(use: Use) -> bytes:
    """A line about a use, but for its version mark and number."""
    return _body(
        use.time,
        USE,
        {
            "who": _words(use.who),
            "vault": _words(use.vault),
            "key": _words(use.key),
            "version": use.version,
            "operation": use.operation.value,
            "about": _words(use.about),
            "outcome": use.outcome.value,
        },
    )


def lost_body(time: float, who: str, uses: int) -> bytes:
    """A line that tells how many uses could not be kept."""
    return _body(time, LOST, {"who": _words(who), "uses": uses})


def accepted_body(time: float, who: str, line: int, hash_: bytes, reason: str) -> bytes:
    """A line by which somebody answers for the chain not leading to `hash_` at `line` any more."""
    return _body(time, ACCEPTED, {"who": _words(who), "line": line, "hash": hash_.hex(), "reason": _words(reason)})


def _body(time: float, kind: str, facts: dict[str, Any]) -> bytes:
    return orjson.dumps({"time": rfc3339(time), "kind": kind, **facts})[1:]


def _words(text: str) -> str:
    short = text if len(text) <= MAX_WORDS else f"{text[: MAX_WORDS - 3]}..."
    return short if short.isascii() else short.encode("utf-8", "replace").decode("utf-8")


def line_of(number: int, body: bytes) -> bytes:
    """The line, without its end."""
    return b'{"v":1,"n":%d,%b' % (number, body)


def next_hash(before: bytes, line: bytes) -> bytes:
    """The hash of `line`, where `before` is that of the line before."""
    return hashlib.sha256(b"%b\n%b\n" % (before.hex().encode(), line)).digest()


def batch_of(first: int, before: bytes, bodies: Sequence[bytes]) -> Batch:
    """The batch that continues the chain at line `first`; `bodies` has at least one and at most MAX_LINES."""
    if not 0 < len(bodies) <= MAX_LINES:
        raise ValueError(f"a batch has 1 to {MAX_LINES} lines")
    lines: list[bytes] = []
    hints: list[bytes] = []
    hash_ = before
    for number, body in enumerate(bodies, start=first):
        line = line_of(number, body)
        hash_ = next_hash(hash_, line)
        lines.append(line)
        hints.append(hash_[:_HINT])
    return Batch(first, first + len(bodies) - 1, _time_of(bodies[-1]), before, hash_, kept(lines, hints))


def _time_of(body: bytes) -> int:
    return milliseconds(body[len(b'"time":"') :].partition(b'"')[0].decode("ascii"))


def milliseconds(time: str) -> int:
    """A line's time in milliseconds since 1970. Raises ValueError."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def kept(lines: Sequence[bytes], hints: Sequence[bytes]) -> bytes:
    """The octets of a batch with these lines and beginnings of hashes."""
    text = b"\n".join(lines) + b"\n"
    return _MARK + len(lines).to_bytes(4, "big") + b"".join(hints) + zlib.compress(text, _LEVEL)


# -- reading -----------------------------------------------------------------------------------------------------------


def opened(octets: bytes) -> tuple[list[bytes], list[bytes]]:
    """The lines of a batch, and the beginnings of their hashes. Raises BadLine."""
    if octets[:1] != _MARK:
        raise BadLine("its version mark is unknown: a newer gateway wrote it, or it is damaged")
    count = int.from_bytes(octets[1:5], "big")
    start = 5 + _HINT * count
    if not 0 < count <= MAX_LINES or len(octets) <= start:
        raise BadLine("its number of lines is impossible")
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(octets[start:], MAX_OCTETS)
    except zlib.error:
        raise BadLine("its lines do not unpack") from None
    if not stream.eof or stream.unused_data or not text.endswith(b"\n"):
        raise BadLine("its lines do not unpack to their end")
    lines = text[:-1].split(b"\n")
    if len(lines) != count:
        raise BadLine(f"it holds {len(lines)} lines and says {count}")
    return lines, [octets[place : place + _HINT] for place in range(5, start, _HINT)]


def hint_of(hash_: bytes) -> bytes:
    """The beginning of a line's hash that a batch keeps."""
    return hash_[:_HINT]


def parsed(octets: bytes) -> Line:
    """The line that these octets are, without its end. Raises BadLine for what is not exactly in our form."""
    if len(octets) > MAX_LINE:
        raise BadLine(f"it is longer than {MAX_LINE} octets")
    try:
        found = orjson.loads(octets)
    except ValueError:
        raise BadLine("it is no JSON") from None
    if not isinstance(found, dict) or type(found.get("v")) is not int or found["v"] != _VERSION:
        raise BadLine("its version mark is unknown: a newer gateway wrote it, or it is damaged")
    kind = found.get("kind")
    form = _FORMS.get(kind) if isinstance(kind, str) else None
    if form is None or tuple(found) != ("v", "n", "time", "kind", *form):
        raise BadLine("it does not have the members of a line")
    number, time = found["n"], found["time"]
    facts = {name: found[name] for name in form}
    if not _is_number(number) or not _is_time(time) or not all(map(_fits, facts, facts.values())):
        raise BadLine("a member is not of its type")
    if orjson.dumps(found) != octets:
        raise BadLine("it is not in the one form that a line has")
    return Line(number, time, str(kind), facts)


def _fits(name: str, value: object) -> bool:
    if name == "version":
        return value is None or _is_number(value)
    return _is_number(value) if name in ("uses", "line") else isinstance(value, str)


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        milliseconds(value)
    except (ValueError, OverflowError):
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
