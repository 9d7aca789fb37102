"""A message as one rule sees it: as it came, with what rules before it have changed in its header. Pure.

Everything is made when it is asked for, and once; views of forks share what no rule has changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from gateway.mail.address import Address, BadAddress, parse_address
from gateway.mail.header_address import mailboxes
from gateway.mail.reading import Attachment, Reading
from gateway.mail.reading import Text as ReadText
from gateway.mail.reading.header import field_texts
from gateway.mail.reading.unseen import without_unseen
from gateway.rules.classifiers import Classifier, Sensitive
from gateway.rules.facts import Facts
from gateway.rules.model import SenderLocation

MOST_ADDRESSES: Final = 2_000  # Of one field that is broken; what stands behind them is not looked at.
LONGEST_COMMON: Final = 256  # Octets of an address field that may be one of many alike.
LONGEST_LOOSE: Final = 256 * 1024  # Octets of a broken address field that are looked through.

_WORD = re.compile(rb"=\?[^?\s]{1,80}\?[bBqQ]\?[^?]*\?=")
_CODED = re.compile(rb"\?=[^\s<>,;]{0,64}@|@[^\s<>,;]{0,64}=\?")
_OTHERS: Final = r"[^\s<>()\[\],;:\"\\@]"
# From the beginning of such a run alone, so that a long one without an @ is looked at once.
_LOOSE = re.compile(rf"(?<!{_OTHERS}){_OTHERS}++@{_OTHERS}++")


class View:
    """`changed`: values of header fields that rules have edited, by their names in lower case."""

    __slots__ = ("_addresses", "_shared", "changed", "facts", "sensors")

    def __init__(
        self,
        facts: Facts,
        changed: Mapping[str, tuple[str, ...]],
        sensors: Mapping[str, Classifier],
        shared: _Shared | None = None,
    ) -> None:
        self.facts = facts
        self.changed = changed
        self.sensors = sensors
        self._shared = shared or _Shared(facts)
        self._addresses: dict[str, tuple[Address, ...]] = {}

    def after(self, changed: Mapping[str, tuple[str, ...]]) -> View:
        """The same message with these fields changed."""
        return View(self.facts, changed, self.sensors, self._shared)

    @property
    def reading(self) -> Reading:
        """What the message says, without what rules have changed."""
        return self._shared.reading or self._shared.read()

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subject, decoded; of several fields each, since readers differ about which they show. Never none."""
        changed = self.changed.get("subject")
        return (self.reading.subjects if changed is None else changed) or ("",)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of all fields of that name (lower case), unfolded and decoded."""
        changed = self.changed.get(name)
        return tuple([texts[0] for texts in self._shared.texts(name)]) if changed is None else changed

    def readings(self, name: str) -> tuple[str, ...]:
        """The same, and where readers may differ about a value, what each of them reads."""
        changed = self.changed.get(name)
        if changed is not None:
            return changed
        return tuple([text for texts in self._shared.texts(name) for text in texts])

    def texts(self) -> tuple[ReadText, ...]:
        """What the message says beside its subject."""
        return self.reading.texts

    def attachments(self) -> tuple[Attachment, ...]:
        """All attachments, those in nested messages too."""
        return self.reading.attachments

    def addresses(self, name: str) -> tuple[Address, ...]:
        """The addresses that fields of that name hold. Of a field that readers may understand in several ways: all that
        any of them could take for one.
        """
        if name in self.changed:
            found = self._addresses.get(name)
            if found is None:
                raw = [value.encode("utf-8", "replace") for value in self.changed[name]]
                found = self._addresses[name] = _addresses(raw)
            return found
        return self._shared.addresses(name)

    def senders(self, location: SenderLocation) -> tuple[Address, ...]:
        """Who the sender is, where the rule looks for him. From counts, never Sender or Reply-To (semantics r18)."""
        envelope = () if self.facts.sender is None else (self.facts.sender,)
        if location is SenderLocation.ENVELOPE:
            return envelope
        found = self.addresses("from")
        return found if location is SenderLocation.HEADER else found + envelope

    @property
    def is_internal(self) -> bool:
        """Whether the sender is inside: an accepted domain, and a connection that is trusted (semantics r16). A message
        without a From that holds an address is its reverse path's; a null one is whose the connection is.
        """
        if not self.facts.trusted:
            return False
        ours = self.facts.organisation.is_ours
        return all(
            ours(one.domain) for one in self.senders(SenderLocation.HEADER) or self.senders(SenderLocation.ENVELOPE)
        )

    def sensed(self, name: str) -> tuple[Sensitive, ...]:
        """What the data type of that name finds in subject and texts. Raises LookupError where there is none such."""
        key = (name, self.subjects)
        found = self._shared.sensed.get(key)
        if found is None:
            sensor = self.sensors.get(name)
            if sensor is None:
                raise LookupError("a data type that the rule names is not there")
            places = [("subject", subject) for subject in self.subjects]
            places += [(text.where, text.text) for text in self.texts()]
            found = self._shared.sensed[key] = sensor.find(places)
        return found

    def remembered(self, key: object) -> object | None:
        """What was remembered of the message under `key`, for whoever judges it."""
        return self._shared.notes.get(key)

    def remember(self, key: object, value: object) -> None:
        """Keep `value`, which no rule's change touches, for all views of this message."""
        self._shared.notes[key] = value


class _Shared:
    """What all views of one message have in common."""

    __slots__ = ("_addresses", "_facts", "_failure", "_texts", "notes", "reading", "sensed")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.reading: Reading | None = None  # As soon as `read` was called.
        self._failure: Exception | None = None  # Why it could not be read: nobody asks twice.
        self._texts: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._addresses: dict[str, tuple[Address, ...]] = {}
        self.notes: dict[object, object] = {}
        self.sensed: dict[tuple[str, tuple[str, ...]], tuple[Sensitive, ...]] = {}

    def read(self) -> Reading:
        """What the message says. Raises whatever kept it from being read."""
        if self.reading is None:
            if self._failure is not None:
                raise self._failure
            try:
                self.reading = self._facts.read()
            except Exception as failure:
                self._failure = failure
                raise
        return self.reading

    def texts(self, name: str) -> tuple[tuple[str, ...], ...]:
        """Of each field of that name, what readers make of its value, the first one's first."""
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = tuple([field_texts(raw) for raw in self.read().raws(name)])
        return found

    def addresses(self, name: str) -> tuple[Address, ...]:
        found = self._addresses.get(name)
        if found is None:
            found = self._addresses[name] = _addresses(self.read().raws(name))
        return found


def _addresses(values: Sequence[bytes]) -> tuple[Address, ...]:
    if len(values) == 1:
        return _common_value(values[0]) if len(values[0]) <= LONGEST_COMMON else _value(values[0])
    found: dict[str, Address] = {}
    for value in values:
        for one in _value(value):
            found.setdefault(one.who, one)
    return tuple(found.values())


def _value(value: bytes) -> tuple[Address, ...]:
    """The addresses of one field, nobody twice."""
    try:
        every = mailboxes(value) if len(value) <= LONGEST_LOOSE else _loose(value)
    except BadAddress:
        every = _loose(value)
    if b"=?" in value and _is_coded(value):
        every += tuple(
            [one for text in field_texts(value[:LONGEST_LOOSE]) for one in _loose(text.encode("utf-8", "replace"))]
        )
    if len(every) <= 1:
        return every
    found: dict[str, Address] = {}
    for one in every:
        found.setdefault(one.who, one)
    return tuple(found.values())


# People write more than one message, and few have their address in more than one form.
_common_value = lru_cache(maxsize=2048)(_value)


def _is_coded(value: bytes) -> bool:
    """Whether an encoded word stands in an address or in place of one. The standard forbids it (RFC 2047 5), and there
    are readers who show what it says as the address.
    """
    return _CODED.search(value) is not None or b"@" not in _WORD.sub(b"", value)


def _loose(value: bytes) -> tuple[Address, ...]:
    """Whatever looks like an address: nobody can say which of them a reader will see."""
    found = []
    for match in _LOOSE.finditer(without_unseen(value[:LONGEST_LOOSE].decode("utf-8", "replace"))):
        try:
            found.append(parse_address(match[0].strip(".'`")))
        except BadAddress:
            continue
        if len(found) >= MOST_ADDRESSES:
            break
    return tuple(found)
