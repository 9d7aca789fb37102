"""Actions that add recipients. To and Cc show them, Bcc never."""

from __future__ import annotations

from typing import Final

from gateway.mail.address import Address
from gateway.mail.envelope import Recipient
from gateway.rules.actions.kind import ActionKind, Scene
from gateway.rules.shapes import ADDRESSES
from gateway.rules.work import ShowAddresses, who


def _add(addresses: tuple[Address, ...], scene: Scene, shown: str | None) -> None:
    work = scene.work
    known = {who(one.address) for one in work.recipients}
    new = {name: one for one in addresses if (name := who(one)) not in known}
    if not new:
        return
    work.recipients += tuple([Recipient(one) for one in new.values()])
    work.added += tuple(new)
    if shown is not None:
        work.edits += (ShowAddresses(shown, tuple(new.values())),)
        work.changed[shown] = (", ".join([*scene.values(shown), *(f"<{one.text}>" for one in new.values())]),)


def _to(addresses: tuple[Address, ...], scene: Scene) -> None:
    _add(addresses, scene, "to")


def _cc(addresses: tuple[Address, ...], scene: Scene) -> None:
    _add(addresses, scene, "cc")


def _bcc(addresses: tuple[Address, ...], scene: Scene) -> None:
    _add(addresses, scene, None)


RECIPIENTS: Final = (
    ActionKind(
        name="add_to_recipients", shape=ADDRESSES, text="Delivers the message to these as well; To shows them.", act=_to
    ),
    ActionKind(name="copy_to", shape=ADDRESSES, text="Delivers the message to these as well; Cc shows them.", act=_cc),
    ActionKind(
        name="blind_copy_to", shape=ADDRESSES, text="Delivers the message to these as well; nothing shows it.", act=_bcc
    ),
)
