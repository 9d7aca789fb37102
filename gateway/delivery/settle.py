"""What becomes of a delivery after an attempt: who has it, who waits until when, who is given up. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.delivery.outcome import Hop, Outcome, Placed, Result, Verdict
from gateway.delivery.schedule import RetryTerms, next_attempt, wait
from gateway.mail.delivery import Delivery, State, Status, Target
from gateway.observe import events
from gateway.observe.events import Event
from gateway.world.chance import Chance
from gateway.world.clock import rfc3339

EXPIRED = "5.4.7"  # RFC 3463 3.5: delivery time expired, for good


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """`delivery` is as it is to be stored, `finished` when nobody waits any more.

    `failed` are those who were given up in this attempt, `owed` those who have it and of whom the sender asked to hear
    that: he is told before anything is stored.
    `events` happened, in order; `closing` comes behind those that the notice adds, None where `events` tell it already.
    """

    delivery: Delivery
    finished: bool
    failed: tuple[Target, ...]
    owed: tuple[Target, ...]
    events: list[Event]
    closing: Event | None


def settle(
    delivery: Delivery, outcome: Outcome, *, now: float, retry: RetryTerms, chance: Chance, keep: bool = False
) -> Settled:
    """Judge `outcome`, recipient by recipient (RFC 5321 4.2.5).

    With `keep` nobody is given up, whatever was answered: the sender could not be told, so it is all tried again.
    """
    results = {result.address.text: result for result in outcome.results}
    waiting = delivery.waiting
    if (
        all(target.address.text in results for target in waiting)
        and all(result.verdict is Verdict.SENT and result.success is None for result in outcome.results)
        and not (delivery.attempts and any(target.owed for target in delivery.targets))
    ):
        return _all_sent(delivery, outcome, now)
    targets = {target.address.text: _judged(target, results.get(target.address.text), keep) for target in waiting}
    left = any(target.status is Status.WAITING for target in targets.values())
    attempts, when = delivery.attempts, None
    if left:
        attempts += 1
        when = next_attempt(attempts, now, delivery.created, retry, chance)
        if when is None and keep:
            when = now + wait(attempts, retry, chance)
        if when is None:  # The last reason stays: it is what the sender has to know.
            targets = {name: _expired(target) for name, target in targets.items()}
    stored = replace(
        delivery,
        targets=tuple(targets.get(target.address.text, target) for target in delivery.targets),
        attempts=attempts,
        next_attempt=delivery.next_attempt if when is None else when,
        state=delivery.state if when is None else State.WAITING,
    )
    told = [event for hop in outcome.hops for event in _hop_events(delivery, hop, now)]
    told += [_recipient_event(delivery, target, now, results.get(name)) for name, target in targets.items()]
    return Settled(
        delivery=stored,
        finished=when is None,
        failed=tuple(target for target in targets.values() if target.status is Status.FAILED),
        owed=tuple(target for target in stored.targets if target.owed is not None),
        events=told,
        closing=_closing(stored, when, now),
    )


def paid(settled: Settled) -> Settled:
    """After the sender was told of success: nothing is owed any more."""
    targets = tuple(
        target if target.owed is None else replace(target, owed=None) for target in settled.delivery.targets
    )
    return replace(settled, delivery=replace(settled.delivery, targets=targets), owed=())


def unpaid(settled: Settled, *, now: float, retry: RetryTerms, chance: Chance) -> Settled:
    """Where the sender could not be told of success: the delivery stays until he is, though nobody waits for mail."""
    if not settled.finished:
        return settled
    attempts = settled.delivery.attempts + 1
    when = now + wait(attempts, retry, chance)
    delivery = replace(settled.delivery, attempts=attempts, next_attempt=when, state=State.WAITING)
    return replace(settled, delivery=delivery, finished=False, closing=_closing(delivery, when, now))


def later(delivery: Delivery, cause: Result) -> Outcome:
    """The outcome for a delivery that was not tried, for `cause`: what another one for the same destination met."""
    return Outcome(results=tuple(replace(cause, address=target.address) for target in delivery.waiting))


def fault(delivery: Delivery, reply: str, enhanced: str, reason: str) -> Outcome:
    """The outcome where something of ours is in the way: everybody waits."""
    return Outcome(
        results=tuple(
            Result(address=target.address, verdict=Verdict.LATER, reply=reply, enhanced=enhanced, reason=reason)
            for target in delivery.waiting
        )
    )


def merged(outcomes: list[Outcome]) -> Outcome:
    """Several groups' outcomes as one. No single destination was asked, so none counts as unreachable."""
    return Outcome(
        results=tuple(result for outcome in outcomes for result in outcome.results),
        hops=tuple(hop for outcome in outcomes for hop in outcome.hops),
    )


def _all_sent(delivery: Delivery, outcome: Outcome, now: float) -> Settled:
    """The hot path: one event where one host took it for all. What is finished is forgotten, so no target is made."""
    if len(outcome.hops) == 1 and outcome.hops[0].converted is None:
        event = _attempt_event(delivery, outcome.hops[0], now)
        event.facts["recipients"] = [_sent_facts(result) for result in outcome.results]
        event.facts["done"] = True
        return Settled(delivery=delivery, finished=True, failed=(), owed=(), events=[event], closing=None)
    told = [event for hop in outcome.hops for event in _hop_events(delivery, hop, now)]
    told += [
        Event(
            message=delivery.message,
            time=now,
            event=events.RECIPIENT,
            facts={"delivery": delivery.id, **_sent_facts(result)},
        )
        for result in outcome.results
    ]
    return Settled(
        delivery=delivery, finished=True, failed=(), owed=(), events=told, closing=_closing(delivery, None, now)
    )


def _judged(target: Target, result: Result | None, keep: bool) -> Target:
    if result is None:  # An attempt that forgets somebody is a fault of ours, and must not lose mail.
        return replace(target, reason="the attempt said nothing", enhanced="4.3.0", reply=None, host=None)
    status = Status.WAITING
    if result.verdict is Verdict.SENT:
        status = Status.SENT
    elif result.verdict is Verdict.NEVER and not keep:
        status = Status.FAILED
    return replace(
        target,
        status=status,
        reason=result.reason,
        enhanced=result.enhanced,
        reply=result.reply,
        host=result.host,
        owed=result.success,
    )


def _expired(target: Target) -> Target:
    if target.status is not Status.WAITING:
        return target
    return replace(target, status=Status.FAILED, enhanced=EXPIRED)


def _hop_events(delivery: Delivery, hop: Hop, now: float) -> list[Event]:
    attempt = _attempt_event(delivery, hop, now)
    done = hop.converted
    if done is None:
        return [attempt]
    facts: dict[str, object] = {"delivery": delivery.id, "host": hop.host, "encodings": list(done.encodings)}
    if done.taken_off or done.signed:
        facts |= {"taken_off": done.taken_off, "signed": list(done.signed)}
    if done.unsigned is not None:
        facts["unsigned"] = done.unsigned
    if done.broken:
        facts["broken_signatures"] = done.broken
    return [Event(message=delivery.message, time=now, event=events.CONVERTED, facts=facts), attempt]


def _attempt_event(delivery: Delivery, hop: Hop, now: float) -> Event:
    facts: dict[str, object] = {
        "delivery": delivery.id,
        "host": hop.host,
        "address": hop.address,
        "tls": None,
        "outcome": hop.outcome,
        "seconds": round(hop.seconds, 3),
    }
    if hop.tls_version is not None or hop.fallback:
        facts["tls"] = {
            "version": hop.tls_version,
            "cipher": hop.tls_cipher,
            "authenticated": hop.authenticated,
            "fallback": hop.fallback,
        }
    return Event(message=delivery.message, time=now, event=events.ATTEMPT, facts=facts)


def _sent_facts(result: Result) -> dict[str, object]:
    facts: dict[str, object] = {
        "address": result.address.text,
        "status": Status.SENT.value,
        "reply": result.reply,
        "enhanced": result.enhanced,
    }
    return facts if result.placed is None else facts | _placed_facts(result.placed)


def _placed_facts(placed: Placed) -> dict[str, object]:
    return {"mailbox": placed.mailbox, "folder": placed.folder, "policy": placed.policy}


def _recipient_event(delivery: Delivery, target: Target, now: float, result: Result | None) -> Event:
    return Event(
        message=delivery.message,
        time=now,
        event=events.RECIPIENT,
        facts={
            "delivery": delivery.id,
            "address": target.address.text,
            "status": target.status.value,
            "reply": target.reply,
            "reason": target.reason,
            "enhanced": target.enhanced,
            **({} if result is None or result.placed is None else _placed_facts(result.placed)),
        },
    )


def _closing(delivery: Delivery, when: float | None, now: float) -> Event:
    facts: dict[str, object] = {"delivery": delivery.id}
    if when is None:
        return Event(message=delivery.message, time=now, event=events.DONE, facts=facts)
    facts |= {"next_attempt": rfc3339(when), "attempts": delivery.attempts}
    return Event(message=delivery.message, time=now, event=events.DEFERRED, facts=facts)
