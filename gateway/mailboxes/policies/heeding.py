"""Whether a custodian's order counts for a policy now: this one, not one of its name; once; and not for ever. Pure.

An order that names the policy's id fits no other. One that names it by name alone fits what was there when it was made:
so an order for a policy that is gone ends no new one of its name.
"""

from __future__ import annotations

from typing import Final

from gateway.mailboxes.faults import PolicyRefused
from gateway.mailboxes.policies.order import Order, read_order
from gateway.storage.mailboxes.model import PolicyRow
from gateway.world.clock import rfc3339

DAY: Final = 86_400.0
OLDEST: Final = 30 * DAY  # Seconds after which an order counts no longer.
SKEW: Final = 300.0  # Seconds by which the clock of the custodian's machine may differ from ours.
NAMED_SKEW: Final = 1.0  # The same before a policy that the order has by name alone: times are written in milliseconds.
USED: Final = "used"  # In the policy's row, beside what is known of its end.


def heeded(row: PolicyRow, octets: bytes, custodian: bytes, action: str, now: float) -> Order:
    """The order in a file, where it is of this `custodian` (a PEM) for that action on this policy. `now`: seconds since
    1970. Raises PolicyRefused.
    """
    said = read_order(octets, custodian)
    if said.action != action:
        raise PolicyRefused(f"the order is for {said.action!r}; right would be one for {action!r}")
    if said.policy != row.name:
        raise PolicyRefused(f"the order is for the policy {said.policy!r}, and this is {row.name!r}")
    if said.policy_id not in (None, row.id):
        raise PolicyRefused(
            f"the order is for a policy {row.name!r} of the id {said.policy_id}, and this one has {row.id}: that one "
            "is gone, or another gateway's"
        )
    if said.made > now + SKEW:
        raise PolicyRefused(f"the order was made at {rfc3339(said.made)}, which is yet to come: one clock is wrong")
    earliest = row.created - (NAMED_SKEW if said.policy_id is None else SKEW)
    if said.made < now - OLDEST or said.made < earliest:
        raise PolicyRefused(
            f"the order was made at {rfc3339(said.made)}, which is too long ago, or before there was this policy; "
            "right would be a new one"
        )
    if said.nonce in used(row):
        raise PolicyRefused("the order was used before; right would be a new one")
    return said


def used(row: PolicyRow) -> list[str]:
    """Nonces of orders that were heeded: none counts twice."""
    return list((row.purge or {}).get(USED, ()))
