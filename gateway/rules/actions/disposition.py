"""Actions that say what becomes of a message."""

from __future__ import annotations

import textwrap
from typing import Final

from gateway.mail.address import Address
from gateway.mail.envelope import Recipient
from gateway.mail.reply import Reply
from gateway.rules.actions.kind import ActionKind, Scene
from gateway.rules.shapes import ADDRESSES, FLAG, REJECT
from gateway.rules.values import Rejection
from gateway.rules.work import Disposition, who

_WIDTH: Final = 400  # Letters of one line of a reply; RFC 5321 4.5.3.1.5 has 512 octets with the codes.


def refusal(text: str, code: str) -> Reply:
    """550 with that enhanced code, in ASCII (a client without SMTPUTF8 reads nothing else), in short lines."""
    bare = text.encode("ascii", "replace").decode()
    lines = [part for line in bare.splitlines() for part in textwrap.wrap(line, _WIDTH)]
    return Reply(550, code, "\n".join(lines) or "Refused by a rule")


def _reject(value: Rejection, scene: Scene) -> None:
    scene.work.reply = refusal(value.text, value.code)
    scene.work.dispose(Disposition.REJECT)


def _delete(_: bool, scene: Scene) -> None:
    scene.work.dispose(Disposition.DELETE)


def _quarantine(_: bool, scene: Scene) -> None:
    work = scene.work
    work.quarantined += (scene.rule.name,)
    work.dispose(Disposition.QUARANTINE)


def _redirect(addresses: tuple[Address, ...], scene: Scene) -> None:
    """The header stays: nothing in it says that somebody else gets it (a08)."""
    work = scene.work
    old = work.meant  # Whom a rule before has added is not one of them.
    work.recipients = tuple({who(one): Recipient(one) for one in addresses}.values())
    work.added = tuple(one for one in map(who, addresses) if one not in old)
    work.dispose(Disposition.REDIRECT)


def _stop(_: bool, scene: Scene) -> None:
    scene.work.stopped = True


DISPOSITION: Final = (
    ActionKind(
        name="reject_message",
        shape=REJECT,
        text="Refuses the message in the session, with 550 and that text.",
        act=_reject,
        protects=True,
        ends=True,
    ),
    ActionKind(
        name="delete_message",
        shape=FLAG,
        text="Takes the message with 250 and delivers it to nobody; the trace tells.",
        act=_delete,
        protects=True,
        ends=True,
    ),
    ActionKind(
        name="quarantine",
        shape=FLAG,
        text="Holds the message until somebody releases or deletes it (`gateway held`).",
        act=_quarantine,
        protects=True,
    ),
    ActionKind(
        name="redirect_message_to",
        shape=ADDRESSES,
        text="Delivers the message to these addresses instead; its header stays as it is.",
        act=_redirect,
    ),
    ActionKind(
        name="stop_rule_processing",
        shape=FLAG,
        text="Lets no later rule look at the message.",
        act=_stop,
    ),
)
