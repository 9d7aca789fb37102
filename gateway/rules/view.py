"""A message as one rule sees it: as it came, with what rules before it have changed in its header. Pure.

Everything is made when it is asked for, and once; views of forks share what no rule has changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.mail.address import Address, BadAddress, parse_address
from gateway.mail.header_address import mailboxes
from gateway.mail.reading import Attachment, Reading
from gateway.mail.reading import Text as ReadText
from gateway.rules.classifiers import Classifier, Sensitive
from gateway.rules.facts import Facts
from gateway.rules.model import SenderLocation
from gateway.rules.work import who

MOST_ADDRESSES: Final = 2_000  # Of one field that is broken; what stands behind them is not looked at.
LONGEST_LOOSE: Final = 256 * 1024  # Octets of a broken address field that are looked through.

_LOOSE = re.compile(r"[^\s<>()\[\],;:\"\\@]+@[^\s<>()\[\],;:\"\\@]+")


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
        return self._shared.reading

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subject, decoded; of several fields each, since readers differ about which they show. Never none."""
        changed = self.changed.get("subject")
        return (self._shared.subjects if changed is None else changed) or ("",)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of all fields of that name (lower case), unfolded and decoded."""
        changed = self.changed.get(name)
        return self._shared.values(name) if changed is None else changed

    def readings(self, name: str) -> tuple[str, ...]:
        """The same, and where readers may differ about a value, what each of them reads."""
        changed = self.changed.get(name)
        return self._shared.readings(name) if changed is None else changed

    def texts(self) -> tuple[ReadText, ...]:
        """What the message says beside its subject."""
        return self._shared.reading.texts

    def attachments(self) -> tuple[Attachment, ...]:
        """All attachments, those in nested messages too."""
        return self._shared.reading.attachments

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

    __slots__ = ("_addresses", "_facts", "_failure", "_fields", "_reading", "_subjects", "notes", "sensed")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._reading: Reading | None = None
        self._failure: Exception | None = None  # Why it could not be read: nobody asks twice.
        self._subjects: tuple[str, ...] | None = None
        self._fields: dict[str, list[tuple[bytes, int]]] | None = None
        self._addresses: dict[str, tuple[Address, ...]] = {}
        self.notes: dict[object, object] = {}
        self.sensed: dict[tuple[str, tuple[str, ...]], tuple[Sensitive, ...]] = {}

    @property
    def reading(self) -> Reading:
        if self._reading is None:
            if self._failure is not None:
                raise self._failure
            try:
                self._reading = self._facts.read()
            except Exception as failure:
                self._failure = failure
                raise
        return self._reading

    @property
    def subjects(self) -> tuple[str, ...]:
        if self._subjects is None:
            self._subjects = self.reading.subjects
        return self._subjects

    def _places(self, name: str) -> list[tuple[bytes, int]]:
        """Raw values and places of the fields of that name."""
        if self._fields is None:
            self._fields = {}
            for place, one in enumerate(self.reading.fields):
                self._fields.setdefault(one.name, []).append((one.raw, place))
        return self._fields.get(name, [])

    def values(self, name: str) -> tuple[str, ...]:
        if not (places := self._places(name)):
            return ()
        fields = self.reading.fields
        return tuple([fields[place].text for _, place in places])

    def readings(self, name: str) -> tuple[str, ...]:
        fields = self.reading.fields
        return tuple([text for _, place in self._places(name) for text in fields[place].texts])

    def addresses(self, name: str) -> tuple[Address, ...]:
        found = self._addresses.get(name)
        if found is None:
            found = self._addresses[name] = _addresses([raw for raw, _ in self._places(name)])
        return found


def _addresses(values: list[bytes]) -> tuple[Address, ...]:
    found: dict[str, Address] = {}
    for value in values:
        try:
            every = mailboxes(value) if len(value) <= LONGEST_LOOSE else _loose(value)
        except BadAddress:
            every = _loose(value)
        for one in every:
            found.setdefault(who(one), one)
    return tuple(found.values())


def _loose(value: bytes) -> tuple[Address, ...]:
    """Whatever looks like an address: nobody can say which of them a reader will see."""
    found = []
    for match in _LOOSE.finditer(value[:LONGEST_LOOSE].decode("utf-8", "replace")):
        try:
            found.append(parse_address(match[0].strip(".'`")))
        except BadAddress:
            continue
        if len(found) >= MOST_ADDRESSES:
            break
    return tuple(found)
