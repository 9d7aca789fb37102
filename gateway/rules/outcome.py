"""What became of one fork, as `gateway rule test` prints it and the trace keeps it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.mail.mail import Mail
from gateway.mail.reply import Reply
from gateway.mail.terms import Protection, Wanted
from gateway.rules.work import Disposition, Work


@dataclass(frozen=True, slots=True)
class Outcome:
    """`mail`: the copy that goes on or is held, None where there is none."""

    work: Work
    mail: Mail | None = field(default=None, repr=False)

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that acted."""
        return self.work.rules


def spoken(reply: Reply) -> str:
    """The reply on one line, as `550 5.7.1 ...`."""
    return f"{reply.code} {reply.enhanced or ''} {' '.join(reply.text.split())}".replace("  ", " ")


def protection(wanted: Wanted | None) -> tuple[Protection, str | None]:
    """Which protection is wanted first, and the template of rights where that is it."""
    if wanted is None:
        return Protection.NONE, None
    return (Protection.RIGHTS, wanted.template) if wanted.smime is None else (Protection.SMIME, None)


def row(outcome: Outcome, message: str | None = None) -> dict[str, Any]:
    """By the contract; what it does not name is there only where there is something to say."""
    work = outcome.work
    kind, template = protection(work.wanted)
    refuses = work.disposition in (Disposition.REJECT, Disposition.DEFER) and work.reply is not None
    made: dict[str, Any] = {
        "recipients": [one.address.text for one in work.recipients],
        "disposition": f"{work.disposition}",
        "reply": spoken(work.reply) if refuses and work.reply is not None else None,
        "protection": f"{kind}",
        "template": template,
        "require_tls": work.require_tls,
        "connector": work.connector,
        "message": message,
        "actions": list(work.actions),
    }
    if work.wanted is not None and work.wanted.smime is not None:
        made |= {"smime": f"{work.wanted.smime}", "smime_otherwise": f"{work.wanted.otherwise}"}
    more: dict[str, Any] = {
        "audited": list(work.audited),
        "severity": None if work.severity is None else f"{work.severity}",
        "override": work.override,
        "remove_rights": work.remove_rights,
        "warnings": list(work.warnings),
    }
    return made | {name: value for name, value in more.items() if value}


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Of all forks, without messages."""
    return [row(one) for one in outcomes]
