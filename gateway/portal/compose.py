"""A reader's answer as a message of our own writing (RFC 5322, RFC 2045 to 2047, RFC 2231). Pure.

It comes from the portal's own address with the reader's name, so that it is aligned (DMARC) and signed like all that
leaves here; Reply-To is the reader, and In-Reply-To and References keep it in its thread. What the reader typed
can begin no field and no part. Large files are not held: `Letter` gives what stands between them.
Leaves out: HTML, which a form without script can't offer; a copy for the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from gateway.mail.address import Address, BadAddress, parse_address
from gateway.mail.date import rfc5322_date
from gateway.mail.field import field as header_field
from gateway.mail.field import safe, written
from gateway.mail.mime.encode import Encoding, encoder
from gateway.mail.reading import Reading
from gateway.mail.reading.header import unfolded
from gateway.portal.file_name import distinct, safe_name
from gateway.portal.people import Person, people
from gateway.portal.sent_date import sent_date
from gateway.rights.right import Right

MAX_PEOPLE: Final = 100  # As many as one sealed message has readers.
MAX_SUBJECT: Final = 400  # Letters.
MAX_QUOTED: Final = 64 * 1024  # Letters of the original that are quoted.
MAX_THREAD: Final = 20  # Message-IDs in References: the first, and the last of the others (RFC 5322 3.6.4 sets none).
MAX_NAME: Final = 64  # Letters of a display name.
_LONGEST: Final = 998  # RFC 5322 2.1.1

_ID = re.compile(rb"<[\x21-\x3b\x3d\x3f-\x7e]{3,250}>")
_RE = re.compile(r"(?:re|aw|antw|sv|vs|r|رد)(?:\[\d{1,3}\])?\s*[:\uff1a]", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_TURNING = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_TYPE = re.compile(r"(?!multipart/|message/)[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
_ENDS = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")


class NobodyToAnswer(ValueError):
    """The message names nobody but the reader and the portal itself, or too many to answer all."""


@dataclass(frozen=True, slots=True)
class Addressees:
    """Whom an answer goes to, as its reader is shown them; each has an address that can be written to."""

    to: tuple[Person, ...]
    cc: tuple[Person, ...] = ()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Of all of them."""
        return tuple(parse_address(one.address) for one in (*self.to, *self.cc))


@dataclass(frozen=True, slots=True)
class Thread:
    """Where an answer belongs: Message-IDs with their angle brackets."""

    answers: str | None = None
    references: tuple[str, ...] = ()


def addressees(original: Reading, *, reader: str, portal: str, owner: str, to_all: bool) -> Addressees:
    """Whom the answer to `original` goes to: who wants to hear it (Reply-To, From, else the `owner` of its licence),
    with `to_all` everybody whom it names. Never the reader, nor the portal, which would answer itself. Where somebody
    answers what is his own, it goes to those whom he wrote to.

    Raises NobodyToAnswer; BadAddress where `reader` or `portal` is none.
    """
    left = {parse_address(reader).who, parse_address(portal).who}
    senders = _known(original, "reply-to", left) or _known(original, "from", left)
    if not senders and not _names(original, "from", reader):
        senders = _reachable([Person("", owner)], left)
    to, cc = _known(original, "to", left), _known(original, "cc", left)
    first = senders or to
    rest = (*to, *cc) if to_all else ()
    seen = {parse_address(one.address).who for one in first}
    found = Addressees(tuple(first), tuple(_reachable(rest, seen)))
    if not found.to and found.cc:
        found = Addressees(found.cc)
    if not found.to or len(found.to) + len(found.cc) > MAX_PEOPLE:
        raise NobodyToAnswer
    return found


def _known(original: Reading, name: str, without: Iterable[str]) -> list[Person]:
    return _reachable(people(original.named(name)), without)


def _names(original: Reading, name: str, address: str) -> bool:
    who = parse_address(address).who
    return any(parse_address(one.address).who == who for one in _known(original, name, ()))


def _reachable(found: Iterable[Person], without: Iterable[str]) -> list[Person]:
    """Those with an address in a domain, each once, but for `without`."""
    seen = set(without)
    kept: list[Person] = []
    for one in found:
        try:
            address = parse_address(one.address)
        except BadAddress:
            continue
        if address.domain and address.who not in seen:
            seen.add(address.who)
            kept.append(Person(one.name, address.text))
    return kept


def may_quote(rights: frozenset[Right]) -> bool:
    """Whether an answer may hold text of the original: it reaches people inside in clear."""
    return not rights.isdisjoint((Right.EXTRACT, Right.OWNER))


def name_of(original: Reading, reader: str) -> str:
    """What the sender called the reader, whose message it is; his address where it says nothing."""
    who = parse_address(reader).who
    for field_name in ("to", "cc"):
        for one in _known(original, field_name, ()):
            if one.name and parse_address(one.address).who == who:
                return one.name
    return reader


def thread_of(original: Reading) -> Thread:
    """In-Reply-To and References of an answer (RFC 5322 3.6.4)."""
    own = _ids(original, "message-id")[:1]
    before = _ids(original, "references") or _ids(original, "in-reply-to")[:1]
    every = list(dict.fromkeys([*before, *own]))
    if len(every) > MAX_THREAD:
        every = [every[0], *every[1 - MAX_THREAD :]]
    return Thread(own[0] if own else None, tuple(every))


def _ids(original: Reading, name: str) -> list[str]:
    return [found.decode() for one in original.named(name) for found in _ID.findall(unfolded(one.raw)[: 64 * 1024])]


def subject_of(original: Reading, typed: str | None = None) -> str:
    """What the reader typed, else the original's with `Re:` in front, where it has none yet."""
    if typed is not None and (own := _line(typed)):
        return own[:MAX_SUBJECT]
    topic = _line(original.subject)[:MAX_SUBJECT]
    return topic if _RE.match(topic) else f"Re: {topic}".rstrip()


def quoted(original: Reading) -> str:
    """The text of the original as mail programs quote it, a line in front that says whose it is."""
    text = next((one.text for one in original.texts if not one.hidden and one.text.strip()), "")
    if not (text := text[:MAX_QUOTED].strip()):
        return ""
    lines = [f"> {line}".rstrip() for line in _lines(text)]
    sender = next((one for one in people(original.named("from"))), Person("", ""))
    when = sent_date(original.named("date")[0].text) if original.named("date") else None
    front = ", ".join([sender.name or sender.address, *([f"{when:%Y-%m-%d %H:%M %z}"] if when else [])])
    return "\n".join([f"{front.strip(', ')}:", *lines])


def _line(text: str) -> str:
    """One line without what turns or hides letters."""
    return " ".join(_TURNING.sub("", _CONTROLS.sub(" ", _ENDS.sub(" ", text))).split())


def _lines(text: str) -> list[str]:
    return [_CONTROLS.sub("", line) for line in _ENDS.split(text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An answer. `files`: names and types as the browser gave them. `boundary` stands in no part: it is drawn.

    `portal` and `reader` are addresses; `now` seconds since 1970; `id` is the queue id.
    """

    id: str
    now: float
    hostname: str
    portal: Address
    reader: Address
    reader_name: str
    addressees: Addressees
    subject: str
    thread: Thread
    text: str = field(repr=False)
    files: Sequence[tuple[str, str]] = ()
    boundary: str

    @property
    def is_international(self) -> bool:
        """Whether its header needs SMTPUTF8 (RFC 6531)."""
        everybody = (self.portal, self.reader, *self.addressees.addresses)
        return any(not one.local.isascii() for one in everybody)

    def head(self) -> bytes:
        """The header section and the text, up to its last line's end."""
        kind, encoding, octets = _text(self.text)
        if not self.files:
            own = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
            return self._header() + own + octets
        front = (
            f'Content-Type: multipart/mixed; boundary="{self.boundary}"\r\n\r\n--{self.boundary}\r\n'
            f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        )
        return self._header() + front.encode() + octets

    def before(self, number: int) -> bytes:
        """What stands in front of the base64 (RFC 2045 6.8) of file `number`, from 0."""
        name = self._names()[number]
        kind = self.files[number][1].strip().lower()
        kind = kind if _TYPE.fullmatch(kind) else "application/octet-stream"
        shown = f'filename="{name}"' if name.isascii() else f"filename*=UTF-8''{quote(name, safe='')}"  # RFC 2231 4
        return (
            f"\r\n--{self.boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n"
            f"Content-Disposition: attachment;\r\n\t{shown}\r\n\r\n"
        ).encode()

    def end(self) -> bytes:
        """What stands behind the last file."""
        return f"\r\n--{self.boundary}--\r\n".encode() if self.files else b""

    def _names(self) -> tuple[str, ...]:
        return distinct(safe_name([name], f"file {place}") for place, (name, _) in enumerate(self.files, 1))

    def _header(self) -> bytes:
        date = rfc5322_date(self.now)
        fields: list[tuple[str, str]] = [
            # A trace field (RFC 5321 4.4), by which loops are counted. HTTP as IANA's mail transmission types have it.
            ("Received", f"from portal by {self.hostname} with HTTP id {self.id}; {date}"),
            ("Date", date),
            ("From", _mailbox(self.reader_name, self.portal)),
            ("Reply-To", _mailbox("", self.reader)),
            ("To", _list(self.addressees.to)),
        ]
        if self.addressees.cc:
            fields.append(("Cc", _list(self.addressees.cc)))
        fields += [("Subject", written(self.subject)), ("Message-ID", f"<{self.id}@{self.hostname}>")]
        if self.thread.answers is not None:
            fields.append(("In-Reply-To", self.thread.answers))
        if self.thread.references:
            fields.append(("References", " ".join(self.thread.references)))
        fields.append(("MIME-Version", "1.0"))
        return b"".join(header_field(name, value) for name, value in fields)


def _text(text: str) -> tuple[str, str, bytes]:
    """Type, transfer encoding and octets of the text; lines end with CR LF, the last one too."""
    octets = ("\r\n".join(_lines(text.rstrip())) + "\r\n").encode()
    charset = "us-ascii" if octets.isascii() else "utf-8"
    if octets.isascii() and max(map(len, octets.split(b"\r\n"))) <= _LONGEST:
        return f"text/plain; charset={charset}", "7bit", octets
    encode = encoder(Encoding.QUOTED_PRINTABLE)
    return f"text/plain; charset={charset}", "quoted-printable", encode.feed(octets) + encode.end()


def _list(persons: Sequence[Person]) -> str:
    return ", ".join(_mailbox(one.name, parse_address(one.address)) for one in persons)


def _mailbox(name: str, address: Address) -> str:
    """A mailbox of RFC 5322 3.4; its domain in A-labels, so that only a local part needs RFC 6532."""
    name = _line(name)[:MAX_NAME].strip()
    where = f"{safe(address.local)}@{address.domain}"
    if not name:
        return f"<{where}>"
    if not name.isascii() or "=?" in name:
        return f"{_encoded(name)} <{where}>"
    phrase = name if _ATOM.fullmatch(name) else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{phrase} <{where}>"


def _encoded(name: str) -> str:
    """As encoded words (RFC 2047 5, rule 3); `written` leaves alone what is ASCII and looks like one."""
    return written(name if not name.isascii() else name.replace("=?", "= ?"))
