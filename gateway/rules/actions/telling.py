"""Actions that tell somebody: the sender, an officer, the trace."""

from __future__ import annotations

import re
from typing import Final

from gateway.rules.actions.disposition import refusal
from gateway.rules.actions.kind import ActionKind, Scene
from gateway.rules.shapes import NOTIFY, REPORT, member
from gateway.rules.tokens import NOTICE_TOKENS, Tokened
from gateway.rules.values import IncidentReport, NotifyMode, SenderNotice
from gateway.rules.work import Disposition, NoticeWanted, Severity

REFUSED: Final = "A rule of the organisation does not let this message pass"
LOOKED: Final = "A rule of the organisation applies to your message"

# What stands in a subject to say that the sender knows better, and what mail programs of our own side write.
_WORD = re.compile(r"\boverride\b", re.IGNORECASE)
_FALSE = re.compile(r"\bfalse[ -]positive\b", re.IGNORECASE)
_JUSTIFIED: Final = "x-ms-exchange-organization-dlp-senderoverridejustification"
_REPORTED: Final = "x-ms-exchange-organization-dlp-falsepositive"

# Which overrides let a message pass in which mode. An explicit one is more than a silent one.
_OVERRIDES: Final = {
    NotifyMode.REJECT_UNLESS_SILENT_OVERRIDE: ("explicit", "silent"),
    NotifyMode.REJECT_UNLESS_EXPLICIT_OVERRIDE: ("explicit",),
    NotifyMode.REJECT_UNLESS_FALSE_POSITIVE_OVERRIDE: ("false_positive",),
}


def _overrides(scene: Scene) -> tuple[str, ...]:
    """How the sender has overridden the rule: by words in the subject, or, on our own side, by header fields."""
    subjects = scene.values("subject")
    found = []
    if any(_WORD.search(subject) for subject in subjects):
        found.append("explicit")
    if any(_FALSE.search(subject) for subject in subjects):
        found.append("false_positive")
    if scene.view.facts.trusted:
        if justified := scene.values(_JUSTIFIED):
            found.append("explicit" if any(text.strip() for text in justified) else "silent")
        if any(text.strip().lower() != "false" for text in scene.values(_REPORTED)):
            found.append("false_positive")
    return tuple(dict.fromkeys(found))


def _notify_sender(value: SenderNotice, scene: Scene) -> None:
    """A refusal tells the sender by itself. Where the rule only looks on, or nobody may be refused, a notice does."""
    work = scene.work
    if value.mode is not NotifyMode.NOTIFY_ONLY:
        found = _overrides(scene)
        override = next((one for one in _OVERRIDES.get(value.mode, ()) if one in found), None)
        if override is not None:
            work.override = override
            return
        if scene.enforces and not work.is_spared:
            work.reply = refusal(value.text or REFUSED, value.code)
            work.dispose(Disposition.REJECT)
            return
    if scene.view.facts.sender is not None:  # a31
        work.notices += (NoticeWanted(rule=scene.rule.name, text=value.text or LOOKED, findings=scene.findings),)


def _report(value: IncidentReport, scene: Scene) -> None:
    scene.work.notices += (
        NoticeWanted(rule=scene.rule.name, to=value.to, content=value.content, findings=scene.findings),
    )


def _severity(value: Severity, scene: Scene) -> None:
    scene.work.severity = value


TELLING: Final = (
    ActionKind(
        name="notify_sender",
        shape=Tokened(NOTIFY, NOTICE_TOKENS),
        text="Tells the sender, or refuses the message unless the sender has overridden the rule.",
        act=_notify_sender,
        protects=True,
        ends=True,
        notifies=True,
    ),
    ActionKind(
        name="generate_incident_report",
        shape=REPORT,
        text="Sends a report about the message to one address.",
        act=_report,
        audits=True,
    ),
    ActionKind(
        name="set_audit_severity",
        shape=member(Severity),
        text="Says how grave it is, for the trace and reports; `do_not_audit` lets no report go.",
        act=_severity,
        audits=True,
    ),
)
