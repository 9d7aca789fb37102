"""What an action is: one entry of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.rules.model import Mode, Rule
from gateway.rules.shapes import Shape
from gateway.rules.view import View
from gateway.rules.work import Finding, Work


@dataclass(frozen=True, slots=True)
class Scene:
    """What an action has before it: the fork that it changes, its rule, the message, and why the rule applies."""

    work: Work
    rule: Rule
    view: View
    findings: tuple[Finding, ...] = ()

    def values(self, name: str) -> Sequence[str]:
        """The values of the header fields of that name (lower case), as the actions before this one left them."""
        changed = self.work.changed.get(name)
        return self.view.values(name) if changed is None else changed

    @property
    def enforces(self) -> bool:
        """Whether the rule is carried out, and does not only look on."""
        return self.rule.mode is Mode.ENFORCE


Act = Callable[[Any, Scene], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionKind:
    """One action. `text` is a sentence for the reference; `act` gets what `shape` read.

    `protects`: mail that should have had it must not go on without (it encrypts, refuses, holds or demands TLS), so
    that an error of its rule defers. `hardens`: it only makes the terms stricter under which mail leaves, and acts on
    held mail too. `ends`: nothing is left to leave; postmaster and abuse of ours are spared. `audits`: it changes no
    octet and acts in audit mode as well; `notifies`: it does so in audit_and_notify.
    """

    name: str
    shape: Shape
    text: str
    act: Act
    protects: bool = False
    hardens: bool = False
    ends: bool = False
    audits: bool = False
    notifies: bool = False
