"""Deliveries: who still waits."""

from __future__ import annotations

from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Status, Target


def test_only_those_who_wait_are_waiting() -> None:
    targets = tuple(
        Target(address=parse_address(f"{status.value}@partner.example"), status=status) for status in Status
    )
    delivery = Delivery(
        id="Q1.1",
        message="Q1",
        connector="out",
        destination="partner.example",
        sender=None,
        targets=targets,
        size=1,
        created=0.0,
        next_attempt=0.0,
    )
    assert [target.address.local for target in delivery.waiting] == ["waiting"]
