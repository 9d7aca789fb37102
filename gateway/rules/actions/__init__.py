"""What a rule does with a message: a table of actions, and `apply`, which carries out those of one rule. Pure.

An action changes a `Work`, never a message; the stage makes the edits in the end. Leaves out: moderation, opening
what is protected, and whatever needs a directory.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from gateway.rules.actions.content import CONTENT
from gateway.rules.actions.disposition import DISPOSITION
from gateway.rules.actions.kind import ActionKind, Scene
from gateway.rules.actions.protection import PROTECTION
from gateway.rules.actions.recipients import RECIPIENTS
from gateway.rules.actions.telling import TELLING
from gateway.rules.model import Mode, Rule
from gateway.rules.view import View
from gateway.rules.work import Disposition, Finding, Work, who

ACTIONS: Final = MappingProxyType(
    {kind.name: kind for kind in (*PROTECTION, *DISPOSITION, *RECIPIENTS, *CONTENT, *TELLING)}
)


def apply(rule: Rule, work: Work, view: View, findings: tuple[Finding, ...] = ()) -> tuple[Work, ...]:
    """Carry out the actions of `rule`, which applies to all of `work`; it is changed in place.

    `view` is the message as the rules before left it for this fork. What comes back are the forks that go on: usually
    `work` alone, two where a rule refuses or deletes and some of the recipients are spared (DESIGN 20).
    """
    forks = _spared(rule, work)
    for fork in forks:
        _act(rule, Scene(fork, rule, view, findings))
    return forks


def _spared(rule: Rule, work: Work) -> tuple[Work, ...]:
    if not work.spared or rule.mode is not Mode.ENFORCE or not any(ACTIONS[one.name].ends for one in rule.then):
        return (work,)
    spared = [one for one in work.recipients if who(one.address) in work.spared]
    if not spared or len(spared) == len(work.recipients):
        return (work,)
    other = work.fork(spared)
    work.recipients = tuple([one for one in work.recipients if who(one.address) not in work.spared])
    return work, other


def _act(rule: Rule, scene: Scene) -> None:
    work = scene.work
    held = work.disposition is Disposition.QUARANTINE  # By a rule before: only stricter terms are added (a17).
    work.rules += (rule.name,)
    for action in rule.then:
        kind = ACTIONS[action.name]
        if rule.mode is not Mode.ENFORCE:
            if not (kind.audits or (kind.notifies and rule.mode is Mode.AUDIT_AND_NOTIFY)):
                work.audited += (kind.name,)
                continue
        elif (held and not (kind.hardens or kind.audits)) or (kind.ends and not kind.notifies and work.is_spared):
            continue
        kind.act(action.value, scene)
        if kind.name not in work.actions:
            work.actions += (kind.name,)


__all__ = ["ACTIONS", "ActionKind", "Finding", "Scene", "apply"]
