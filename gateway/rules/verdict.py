"""What the rules said of a message: which matched for whom, and why. Values, in the form of `gateway rule test`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gateway.rules.model import Mode
from gateway.rules.view import View
from gateway.rules.work import Finding, Work

UNJUDGED: Final = "the rule could not be judged"  # The reason in trace and `rule test`; the log has the error's kind.


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one rule on one recipient. `because`: the conditions that hold, `unless`: the exceptions that do."""

    matched: bool
    because: tuple[Finding, ...] = ()
    unless: tuple[Finding, ...] = ()
    unsure: bool = False

    def row(self) -> dict[str, object]:
        """As `gateway rule test` prints it."""
        row: dict[str, object] = {
            "matched": self.matched,
            "because": [one.row() for one in self.because],
            "unless": [one.row() for one in self.unless],
        }
        return row | {"error": UNJUDGED} if self.unsure else row


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """Of one rule, by recipients' addresses as they came."""

    name: str
    mode: Mode
    recipients: dict[str, Verdict] = field(default_factory=dict, repr=False)

    @property
    def matched(self) -> bool:
        """Whether it matched for anybody."""
        return any(one.matched for one in self.recipients.values())

    def row(self) -> dict[str, object]:
        """As `gateway rule test` prints it."""
        recipients = {address: one.row() for address, one in self.recipients.items()}
        return {"name": self.name, "mode": str(self.mode), "recipients": recipients}


@dataclass(frozen=True, slots=True)
class Judged:
    """`works`: the forks as the rules left them; those of one outcome are not merged yet. `verdicts`: of the rules that
    matched or could not be judged; of all, where that was asked for. `view`: the message as it came. `failures`: names
    of rules that could not be judged or carried out, with what went wrong (not to be shown to anybody: it may quote).
    """

    works: tuple[Work, ...]
    verdicts: tuple[RuleVerdict, ...]
    view: View = field(repr=False)
    failures: tuple[tuple[str, Exception], ...] = field(default=(), repr=False)

    @property
    def matched(self) -> tuple[str, ...]:
        """The names of the rules that matched for anybody, in their order."""
        return tuple(one.name for one in self.verdicts if one.matched)

    def rows(self) -> list[dict[str, object]]:
        """The `rules` of `gateway rule test`."""
        return [one.row() for one in self.verdicts]
