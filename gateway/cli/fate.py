"""What became of a message, read out of its trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.cli.story import spread
from gateway.cli.words import moment, path, plain
from gateway.observe import events


@dataclass(frozen=True, slots=True)
class Fate:
    """`state` of the whole message: accepted (not settled yet), delivered, waiting, failed, held or deleted.

    `lines` tell it in words, one for each recipient or delivery. `deliveries` are (delivery id, connector).
    """

    state: str
    lines: tuple[str, ...]
    deliveries: tuple[tuple[str, str], ...] = ()


def judge(story: list[dict[str, Any]]) -> Fate:
    """The fate that the events of one message tell. The worst of several deliveries gives the state."""
    story = spread(story)
    ways = (events.ROUTED, events.QUARANTINED)
    routed = {one["delivery"]: one.get("connector", "") for one in story if one["event"] in ways}
    if not routed:
        return Fate("accepted", ())
    fates = {delivery: _delivery(delivery, story) for delivery in routed}
    states = [state for state, _ in fates.values()]
    worst = next(
        state for state in ("accepted", "failed", "deleted", "held", "waiting", "delivered") if state in states
    )
    return Fate(worst, tuple(line for _, lines in fates.values() for line in lines), tuple(routed.items()))


def _delivery(delivery: str, story: list[dict[str, Any]]) -> tuple[str, list[str]]:
    state = "accepted"
    recipients: dict[str, dict[str, Any]] = {}
    next_attempt = None
    for event in story:
        if event.get("delivery") != delivery:
            continue
        kind = event["event"]
        if kind == events.RECIPIENT:
            recipients[event["address"]] = event
        elif kind == events.DEFERRED:
            state, next_attempt = "waiting", event.get("next_attempt")
        elif kind == events.DONE:
            state = "failed" if any(one["status"] == "failed" for one in recipients.values()) else "delivered"
        elif kind in (events.HELD, events.DELETED):
            state = str(kind)
        elif kind == events.QUARANTINED:
            state = events.HELD
        elif kind == events.RELEASED:
            state = "accepted"
    return state, [_line(one, next_attempt) for one in recipients.values()]


def _line(recipient: dict[str, Any], next_attempt: Any) -> str:
    address, reply = path(recipient["address"]), plain(recipient.get("reply") or "")
    if recipient["status"] == "sent":
        return f"delivered to {address}" + (f": {reply}" if reply else "")
    words = [plain(recipient[key]) for key in ("enhanced", "reason") if recipient.get(key)]
    why = " ".join(
        word for word in words if word.casefold() not in reply.casefold()
    )  # A reply often names its code itself.
    said = "; ".join(text for text in (why, reply) if text) or "no reason was given"
    if recipient["status"] == "failed":
        return f"failed for {address}: {said}"
    return f"waiting for {address}: {said}; next attempt at {moment(next_attempt)}"
