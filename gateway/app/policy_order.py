"""The custodian's order, made on their own machine: without settings, gateway or vault."""

from __future__ import annotations

from gateway.mailboxes.faults import PolicyRefused
from gateway.mailboxes.policies.order import CUSTODIAN, PURGE, Locked, make_order
from gateway.world.chance import Chance
from gateway.world.clock import Clock


class OrderRefused(Exception):
    """No order was made; the text is for people."""


class PassphraseWanted(OrderRefused):
    """The private key lies under a passphrase that was not given, or is another."""


def ordered(
    policy: str,
    key: str,
    *,
    policy_id: int | None = None,
    successor: str | None = None,
    passphrase: str | None = None,
    clock: Clock,
    chance: Chance,
) -> bytes:
    """The order's file: the policy's end, or with `successor`, the text of a public key, another custodian.

    `key` is the text of the custodian's private key; `policy_id` the policy's id, which no other ever has. Raises
    OrderRefused, PassphraseWanted.
    """
    try:
        return make_order(
            PURGE if successor is None else CUSTODIAN,
            policy,
            key.encode(),
            policy_id=policy_id,
            passphrase=None if passphrase is None else passphrase.encode("utf-8", "surrogateescape"),
            successor=None if successor is None else successor.encode(),
            now=clock.now(),
            chance=chance,
        )
    except Locked as error:
        raise PassphraseWanted(str(error)) from error
    except PolicyRefused as error:
        raise OrderRefused(str(error)) from error
