"""What the command line asks of the spools and the trace; the same whether a worker answers or the command itself.

Mail in quarantine is not of the queue: `gateway.app.held` answers for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.app.channel import Fault
from gateway.app.held import HeldMail
from gateway.mail.delivery import Delivery, State
from gateway.observe import events
from gateway.observe.events import Event
from gateway.storage.spooling import Spooling
from gateway.storage.tracing import Traces
from gateway.storage.writer import StorageBroken
from gateway.world.clock import Clock, rfc3339

# Seconds until processes of other machines have heard of a certificate that came, and read it. One that has not heard
# learns of it later, and has what waits tried then (`Certificates.learnt_late`).
ELSEWHERE: Final = 2.0


class Commands:
    """The answers of one process, for its spools."""

    def __init__(
        self,
        spools: Sequence[Spooling],
        traces: Traces,
        clock: Clock,
        *,
        expire: Callable[[], float],
        in_hand: Callable[[], Collection[str]],
        give_back: Callable[[Iterable[str] | None], Awaitable[object]],
        wake: Callable[[], None],
    ) -> None:
        """`expire`: seconds that a delivery may wait; `in_hand`: ids that are on the wire; `give_back`: let go of those
        that only wait in memory; `wake`: the queue has changed.
        """
        self._spools = spools
        self._traces = traces
        self._clock = clock
        self._expire = expire
        self._in_hand = in_hand
        self._give_back = give_back
        self._wake = wake
        self._held = HeldMail(spools, clock, wake=wake)

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        match command:
            case "queue.list":
                return await self.rows(**arguments)
            case "queue.show":
                return await self.show(**arguments)
            case "queue.protect":
                return await self.protect(**arguments)
            case "queue.retry" | "queue.hold" | "queue.release" | "queue.delete":
                return await self.act(command.removeprefix("queue."), **arguments)
            case "trace":
                return await self.trace(**arguments)
            case _ if command.startswith("held."):
                return await self._held.answer(command, arguments)
        raise Fault(f"there is no command {command!r}")

    async def rows(
        self, domain: str | None = None, ids: Sequence[str] | None = None, *, replies: bool = False
    ) -> list[dict[str, Any]]:
        """The rows of `queue list`; with `replies` the next hops' too, for people. Scripts get what was agreed on."""
        return [
            self._with_replies(delivery, self._row(delivery, sending)) if replies else self._row(delivery, sending)
            for spool in self._spools
            for sending in (await self._sending(spool),)
            for delivery in await _queued(spool, ids)
            if domain is None or _is_for(delivery, domain)
        ]

    async def show(self, id: str) -> list[dict[str, Any]]:  # noqa: A002 - the word of the command line
        """One message's or delivery's rows, with all that is known."""
        found = []
        for spool in self._spools:
            sending = await self._sending(spool)
            for delivery in await _queued(spool, [id]):
                row = self._row(delivery, sending)
                row["destination"] = delivery.destination
                row["expires"] = rfc3339(delivery.created + self._expire())
                for target, facts in zip(delivery.targets, row["recipients"], strict=True):
                    facts["host"] = target.host
                found.append(self._with_replies(delivery, row))
        return found

    async def act(
        self,
        verb: str,
        ids: Sequence[str] | None = None,
        domain: str | None = None,
        all: bool = False,  # noqa: A002 - the word of the command line
    ) -> dict[str, list[str]]:
        """Retry, hold, release or delete: ids of what was changed, of what is not there, of what is on the wire."""
        if not (ids or domain or all):
            raise Fault("say which: ids, a domain or all")
        changed: list[str] = []
        sending: list[str] = []
        seen: set[str] = set()
        await self._give_back(ids or None)
        for spool in self._spools:
            found = [d for d in await _queued(spool, ids or None) if domain is None or _is_for(d, domain)]
            seen.update(d.id for d in found)
            seen.update(d.message for d in found)
            async with spool.recalled(found) as busy:
                done = await self._change(spool, verb, found)
            changed += done
            sending += [d.id for d in found if d.id in busy and d.id not in done]
            spool.woken()
        self._wake()
        missing = [id_ for id_ in ids or () if id_ not in seen]
        return {"changed": changed, "missing": missing, "sending": sending}

    async def protect(self, after: float = 0.0) -> list[str]:
        """A certificate has come: what waits for protection is tried `after` seconds from now, where that is sooner.

        The ids of those. What somebody holds stays held.
        """
        ids = [one.id for one in await self.waiting(lambda delivery: delivery.terms.wanted is not None, after)]
        return await self.hasten(ids, "a certificate was imported", after) if ids else []

    async def waiting(self, is_meant: Callable[[Delivery], bool], after: float = 0.0) -> list[Delivery]:
        """Those that are meant and wait more than `after` seconds. What somebody holds is none of them."""
        soon = self._clock.now() + after
        queued = [one for spool in self._spools for one in await _queued(spool, None)]
        return [one for one in queued if is_meant(one) and _waits_longer(one, soon)]

    async def hasten(self, ids: Sequence[str], reason: str, after: float = 0.0) -> list[str]:
        """Have these tried `after` seconds from now, if that is sooner; ids of those. The trace tells `reason`."""
        soon = self._clock.now() + after

        def told(delivery: Delivery) -> Event:
            event = self._event(delivery, events.RETRIED)
            return replace(event, facts={**event.facts, "reason": reason})

        await self._give_back(ids)
        changed: list[str] = []
        for spool in self._spools:
            found = [one for one in await _queued(spool, ids) if _waits_longer(one, soon)]
            async with spool.recalled(found):
                new = [replace(one, next_attempt=soon) for one in found]
                changed += await spool.change(new, told) if new else []
            spool.woken()
        self._wake()
        return changed

    async def _sending(self, spool: Spooling) -> set[str]:
        """What is on the wire, here or in another process."""
        return {*self._in_hand(), *await spool.sending_elsewhere()}

    async def _change(self, spool: Spooling, verb: str, found: Sequence[Delivery]) -> list[str]:
        now = self._clock.now()
        if verb == "delete":
            return await spool.drop(found, lambda delivery: self._event(delivery, events.DELETED))
        if verb == "hold":
            new = [replace(d, state=State.HELD) for d in found if d.state is not State.HELD]
            kind = events.HELD
        elif verb == "release":
            new = [replace(d, state=State.READY, next_attempt=now) for d in found if d.state is State.HELD]
            kind = events.RELEASED
        else:
            new = [replace(d, next_attempt=now) for d in found if d.state is not State.HELD]
            kind = events.RETRIED
        return await spool.change(new, lambda delivery: self._event(delivery, kind)) if new else []

    def _event(self, delivery: Delivery, kind: str) -> Event:
        return Event(
            message=delivery.message,
            time=self._clock.now(),
            event=kind,
            facts={"delivery": delivery.id, "by": "administrator"},
        )

    async def trace(
        self,
        id: str | None = None,  # noqa: A002 - the word of the command line
        message_id: str | None = None,
        sender: str | None = None,
        recipient: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The stories of the messages that were asked for, newest first."""
        try:
            found = await self._traces.find(
                id=id, message_id=message_id, sender=sender, recipient=recipient, since=since, limit=limit
            )
        except StorageBroken as error:
            raise Fault(f"the trace can't be read: {error}") from error
        return [
            {
                "id": message,
                "events": [{"time": rfc3339(one.time), "event": one.event, **one.facts} for one in story],
            }
            for message, story in found
        ]

    @staticmethod
    def _with_replies(delivery: Delivery, row: dict[str, Any]) -> dict[str, Any]:
        for target, facts in zip(delivery.targets, row["recipients"], strict=True):
            facts["reply"] = target.reply
        return row

    def _row(self, delivery: Delivery, sending: Collection[str]) -> dict[str, Any]:
        next_attempt = rfc3339(delivery.next_attempt)
        wanted = delivery.terms.wanted
        is_held = delivery.state is State.HELD  # Whoever has sent it is done with it, whatever he says.
        row: dict[str, Any] = {
            "id": delivery.id,
            "from": "" if delivery.sender is None else delivery.sender.text,
            "recipients": [
                {
                    "address": target.address.text,
                    "status": target.status.value,
                    "reason": target.reason or (delivery.terms.reason if wanted is not None else None),
                    "enhanced": target.enhanced,
                    "next_attempt": next_attempt if target.status.value == "waiting" else None,
                }
                for target in delivery.targets
            ],
            "connector": delivery.connector,
            "size": delivery.size,
            "state": (State.SENDING if delivery.id in sending and not is_held else delivery.state).value,
            "attempts": delivery.attempts,
            "received": rfc3339(delivery.created),
        }
        if wanted is not None:  # It has no way out yet: what it waits for stands in place of that.
            row |= {"wants": str(wanted.smime or wanted.template or "rights"), "rule": wanted.rule}
        return row


async def _queued(spool: Spooling, ids: Sequence[str] | None) -> list[Delivery]:
    """The deliveries of the queue. What lies in quarantine is none of it: only an officer's commands reach that."""
    return [delivery for delivery in await spool.deliveries(ids) if delivery.terms.quarantine is None]


def _waits_longer(delivery: Delivery, soon: float) -> bool:
    """Whether it waits beyond `soon`, and nobody holds it."""
    return delivery.state is not State.HELD and delivery.next_attempt > soon


def _is_for(delivery: Delivery, domain: str) -> bool:
    """Whether somebody of `domain` still waits for it."""
    wanted = domain.lower().removeprefix("@").removesuffix(".")
    return any(target.address.domain == wanted for target in delivery.waiting)
