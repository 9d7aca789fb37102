"""The state of one fork of a message while rules act on it: what the engine carries from rule to rule. Pure.

The engine begins with one `Work` for all recipients, forks it where a rule concerns some of them alone, and hands it to
`gateway.rules.actions.apply`. Nothing here touches an octet of the message: edits are written down, and the stage makes
them in the end, once for all recipients whose outcome is the same.

Leaves out: what a later rule's conditions would see of a disclaimer; they read the sender's text, never ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Final, Self, cast

from gateway.mail.address import Address
from gateway.mail.envelope import Recipient
from gateway.mail.reply import RULE_FAILED, Reply
from gateway.mail.terms import Quarantine, Terms, Wanted
from gateway.rules.values import Fallback, Location, ReportItem


class Disposition(StrEnum):
    """What becomes of a fork, by the words of `gateway rule test`."""

    DELIVER = "deliver"
    REJECT = "reject"
    DELETE = "delete"
    QUARANTINE = "quarantine"
    REDIRECT = "redirect"
    DEFER = "defer"


# Nothing that a later rule says could change what becomes of these.
FINAL: Final = frozenset((Disposition.REJECT, Disposition.DELETE, Disposition.DEFER))
# Of two actions of one rule the later one here counts.
_GRADES: Final = tuple(Disposition[name] for name in ("DELIVER", "REDIRECT", "QUARANTINE", "DELETE", "REJECT", "DEFER"))


class Severity(StrEnum):
    """How grave an incident is, for trace, reports and quarantine."""

    DO_NOT_AUDIT = "do_not_audit"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a condition holds: what was found (content; it is never logged) and where, such as `subject`."""

    condition: str
    found: tuple[str, ...] = ()
    where: str | None = None

    def row(self) -> dict[str, object]:
        """As `gateway rule test` prints it."""
        return {"condition": self.condition, "found": list(self.found), "where": self.where}


@dataclass(frozen=True, slots=True)
class SetField:
    """All fields of that name make way for one."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RemoveField:
    """All fields of that name go."""

    name: str


@dataclass(frozen=True, slots=True)
class PrependSubject:
    """Text in front of the subject."""

    text: str


@dataclass(frozen=True, slots=True)
class ShowAddresses:
    """Addresses more in To or Cc."""

    name: str  # `to` or `cc`
    addresses: tuple[Address, ...]


HeaderEdit = SetField | RemoveField | PrependSubject | ShowAddresses


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclaimerWanted:
    """`html` has its %%tokens%% still. `rule` is the name of the rule that wants it."""

    rule: str
    html: str
    location: Location = Location.APPEND
    fallback: Fallback = Fallback.WRAP


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeWanted:
    """A mail that the gateway is to write: to the sender (`to` None) with `text`, or a report to `to`.

    `content`: what a report holds. `findings`: why the rule applies.
    """

    rule: str
    to: Address | None = None
    text: str = ""
    content: tuple[ReportItem, ...] = ()
    findings: tuple[Finding, ...] = ()


class Work:
    """One fork. `fork` copies it; everything in it is a value, so that a copy costs little.

    `recipients` are those of the fork, with whom rules added. `spared` names (in lower case) addresses that no rule may
    reject or delete: postmaster and abuse of ours. `changed` has the values (decoded, unfolded) of header fields that
    rules have edited, by their names in lower case, for conditions that read them: what is not in it stands as in the
    message. `rules` and `actions` are the names of those that acted; `audited` of actions that an audited rule would
    have done.
    """

    __slots__ = (
        *("actions", "added", "audited", "changed", "connector", "disclaimers", "disposition", "edits", "notices"),
        *("override", "quarantined", "recipients", "reply", "require_tls", "rules", "severity", "spared", "stopped"),
        *("remove_rights", "wanted", "warnings"),
    )

    def __init__(self, recipients: Iterable[Recipient], spared: frozenset[str] = frozenset()) -> None:
        self.recipients: tuple[Recipient, ...] = tuple(recipients)
        self.spared = spared
        self.changed: dict[str, tuple[str, ...]] = {}
        self.edits: tuple[HeaderEdit, ...] = ()
        self.disclaimers: tuple[DisclaimerWanted, ...] = ()
        self.disposition = Disposition.DELIVER
        self.reply: Reply | None = None
        self.require_tls = False
        self.connector: str | None = None
        self.wanted: Wanted | None = None
        self.remove_rights = False
        self.quarantined: tuple[str, ...] = ()
        self.severity: Severity | None = None
        self.notices: tuple[NoticeWanted, ...] = ()
        self.added: tuple[str, ...] = ()  # In lower case: those who were no recipients of the message.
        self.rules: tuple[str, ...] = ()
        self.actions: tuple[str, ...] = ()
        self.audited: tuple[str, ...] = ()
        self.override: str | None = None
        self.warnings: tuple[str, ...] = ()
        self.stopped = False

    def fork(self, recipients: Iterable[Recipient]) -> Self:
        """A copy for these recipients."""
        other = self.__class__.__new__(self.__class__)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.recipients = tuple(recipients)
        other.changed = dict(self.changed)
        return other

    def state(self) -> tuple[object, ...]:
        """All that it holds, to be put back by `restore`: a fifth of what a copy takes."""
        held: tuple[object, ...] = _state(self)
        return (dict(self.changed), *held)

    def restore(self, state: tuple[object, ...]) -> None:
        """As it was."""
        for name, value in zip(self.__slots__, state[1:], strict=True):
            setattr(self, name, value)
        self.changed = cast("dict[str, tuple[str, ...]]", state[0])

    @property
    def is_over(self) -> bool:
        """No later rule concerns this fork: it was stopped, rejected, deleted or deferred."""
        return self.stopped or self.disposition in FINAL

    def defer(self, rule: str, reply: Reply = RULE_FAILED) -> None:
        """A rule that must not be passed over could not be judged or carried out: the client has to come again."""
        self.disposition = Disposition.DEFER
        self.reply = reply
        if rule not in self.rules:
            self.rules += (rule,)

    @property
    def meant(self) -> set[str]:
        """Those who were recipients anyway, in lower case: no rule has added them."""
        return {who(one.address) for one in self.recipients}.difference(self.added)

    @property
    def is_spared(self) -> bool:
        """No rule may reject or delete it: all of its recipients are spared."""
        return bool(self.spared) and all(who(one.address) in self.spared for one in self.recipients)

    def dispose(self, disposition: Disposition) -> None:
        """This is to become of it, unless something graver was said."""
        if _GRADES.index(disposition) > _GRADES.index(self.disposition):
            self.disposition = disposition

    @property
    def terms(self) -> Terms:
        """What the copy must have, and leaves under."""
        held = None
        if self.disposition is Disposition.QUARANTINE:
            grade = None if self.severity in (None, Severity.DO_NOT_AUDIT) else str(self.severity)
            held = Quarantine(rules=self.quarantined, severity=grade)
        return Terms(
            require_tls=self.require_tls,
            connector=self.connector,
            wanted=self.wanted,
            quarantine=held,
            remove_rights=self.remove_rights,
        )

    def outcome(self) -> tuple[object, ...]:
        """Equal where everything but the recipients is: such forks leave as one."""
        return (
            *(self.disposition, self.reply, self.require_tls, self.connector, self.wanted, self.quarantined),
            *(self.edits, self.disclaimers, self.notices, self.severity, self.rules, self.actions, self.audited),
            *(self.override, self.warnings, self.remove_rights),
        )


_state = attrgetter(*Work.__slots__)


def who(address: Address) -> str:
    """An address as recipients are compared, for people write the same one in several ways."""
    return address.who


def merged(works: Iterable[Work]) -> tuple[Work, ...]:
    """Forks of one outcome made one, in the order in which they began; nobody is in a fork twice (a32)."""
    works = tuple(works)
    if len(works) == 1 and len(works[0].recipients) <= 1:  # As nearly always.
        return works
    groups: dict[tuple[object, ...], Work] = {}
    for work in works:
        key = work.outcome()
        if (first := groups.get(key)) is None:
            groups[key] = work
            continue
        meant = first.meant | work.meant
        first.added = tuple([one for one in dict.fromkeys(first.added + work.added) if one not in meant])
        first.recipients += work.recipients
    for work in groups.values():
        seen = {who(one.address): one for one in reversed(work.recipients)}
        work.recipients = tuple(reversed(seen.values()))
    return tuple(groups.values())
