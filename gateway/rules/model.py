"""What a rule is. Values, made by `gateway.rules.load` or by a test; the engine reads nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.rules.fault import Fault


class Mode(StrEnum):
    """What becomes of what a rule decides: carried out, only traced, or traced with reports and notices sent."""

    ENFORCE = "enforce"
    AUDIT = "audit"
    AUDIT_AND_NOTIFY = "audit_and_notify"


class OnError(StrEnum):
    """What becomes of a message when a rule could not be judged: it goes on, or the client keeps it (4xx)."""

    IGNORE = "ignore"
    DEFER = "defer"


class SenderLocation(StrEnum):
    """Where conditions on the sender look: the From field, the reverse path, or both."""

    HEADER = "header"
    ENVELOPE = "envelope"
    HEADER_OR_ENVELOPE = "header_or_envelope"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition or exception. `value` is what the shape of `name` made of it; `line` its place in the file."""

    name: str
    value: object
    line: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """One action, likewise."""

    name: str
    value: object
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All of `when` and none of `unless` must hold; then everything in `then` is done, in the order of the file.

    `priority`: lower ones run first. `activation`, `expiry`: seconds since 1970 between which it works, None: no bound.
    `file` and `line` say where it stands, "" and 0 for one that was made otherwise.
    """

    name: str
    priority: int = 0
    mode: Mode = Mode.ENFORCE
    enabled: bool = True
    activation: float | None = None
    expiry: float | None = None
    on_error: OnError = OnError.IGNORE
    sender_location: SenderLocation = SenderLocation.HEADER
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    then: tuple[Action, ...] = ()
    comments: str = ""
    file: str = ""
    line: int = 0

    def works_at(self, now: float) -> bool:
        """Whether it is enabled and `now` (seconds since 1970) lies within its dates: from the first on, before the
        second.
        """
        if not self.enabled or (self.activation is not None and now < self.activation):
            return False
        return self.expiry is None or now < self.expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class DataType:
    """A sensitive information type of the administrator's own (rules/types/*.yaml).

    `patterns` are RE2's, case-insensitive. `checksum` names one of `gateway.rules.classifiers`, None: any hit counts.
    `words`: a hit with one of them within `distance` letters has `confidence_near`, one without has `confidence`
    (1 to 100).
    """

    name: str
    patterns: tuple[str, ...]
    checksum: str | None = None
    words: tuple[str, ...] = ()
    distance: int = 300
    confidence: int = 65
    confidence_near: int = 85
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules, in the order in which they run, and the data types of the administrator's own.

    `warnings`: what is no fault, but hardly meant; each says file, line and rule.
    """

    rules: tuple[Rule, ...] = ()
    types: tuple[DataType, ...] = ()
    warnings: tuple[Fault, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)


NO_RULES = RuleSet()
