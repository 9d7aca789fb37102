"""What an officer asks of mail in quarantine; the same whether a worker answers or the command line itself.

Held mail lies in the queue as deliveries whose terms say so. Releasing one takes the quarantine out of its terms and
makes it ready: the runner hands it to `protect`, which gives it what the rules had decided, and no rule sees it again.
Leaves out: approval by others (moderation), and an end to the time that mail is held.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from gateway.app.channel import Fault
from gateway.mail.delivery import HERE, PROTECT, Delivery, State
from gateway.mail.message import Content, sliced
from gateway.mail.reading import Reading, read
from gateway.mail.terms import Quarantine
from gateway.observe import events
from gateway.observe.events import Event
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.spooling import Spooling
from gateway.storage.writer import StorageBroken
from gateway.world.clock import Clock, rfc3339

PIECE: Final = 8 << 20  # Octets of a message in one answer; whoever wants it whole asks again.
MAX_SHOWN: Final = 32 << 20  # Octets of which the texts and attachments are shown; the message itself may be longer.
MAX_LETTERS: Final = 2_000  # Of each text.
MAX_TEXTS: Final = 20
MAX_ATTACHMENTS: Final = 1_000
HEAD: Final = 64 << 10  # Octets from which the subject is read for a list.


class HeldMail:
    """The answers of one process, for its spools."""

    def __init__(self, spools: Sequence[Spooling], clock: Clock, *, wake: Callable[[], None]) -> None:
        """`wake`: the queue has changed."""
        self._spools = spools
        self._clock = clock
        self._wake = wake
        self._deciding = asyncio.Lock()  # Of two officers at once the second finds what the first has left.

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        match command:
            case "held.list":
                return await self.rows(arguments.get("ids"))
            case "held.show":
                return await self.show(arguments["id"], str(arguments["by"]))
            case "held.read":
                return await self.piece(arguments["id"], int(arguments["start"]), str(arguments["by"]))
            case "held.release" | "held.delete":
                release = command == "held.release"
                by, everything = str(arguments["by"]), bool(arguments.get("all"))
                return await self.decide(arguments.get("ids"), by, release=release, everything=everything)
        raise Fault(f"there is no command {command!r}")

    async def rows(self, ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The rows of `held list`, oldest first; `ids` may name messages (Q) or deliveries (Q.1)."""
        return [await self._row(spool, delivery) for spool, delivery in await self._held(ids)]

    async def show(self, id_: str, by: str) -> list[dict[str, Any]]:
        """One message's or delivery's rows, with its header section, the beginnings of its texts and its attachments.

        That `by` has looked is traced.
        """
        found = []
        for spool, delivery in await self._held([id_]):
            row = await self._row(spool, delivery)
            octets = await _beginning(await self._content(spool, delivery), MAX_SHOWN)
            row |= await asyncio.to_thread(_said, read(octets), octets)
            row["cut"] = delivery.size > len(octets)
            found.append(row)
            await self._looked(spool, delivery, by)
        return found

    async def piece(self, id_: str, start: int, by: str) -> dict[str, Any] | None:
        """Octets of one delivery from `start` on, in base64, and its size; None where it is not here."""
        found = await self._held([id_])
        if not found:
            return None
        if len(found) > 1:
            names = ", ".join(delivery.id for _, delivery in found)
            raise Fault(f"{id_} has several copies in quarantine; say which of {names}")
        spool, delivery = found[0]
        content = await self._content(spool, delivery)
        size = content.size
        octets = await _beginning(sliced(content, ((start, max(0, min(PIECE, size - start))),)), PIECE)
        if start == 0:
            await self._looked(spool, delivery, by)
        return {"id": delivery.id, "size": size, "octets": b64encode(octets).decode("ascii")}

    async def decide(
        self, ids: Sequence[str] | None, by: str, *, release: bool, everything: bool = False
    ) -> dict[str, list[str]]:
        """Release or delete: ids of what was changed, of what is not there, of what somebody has in hand."""
        if not ids and not everything:
            raise Fault("say which: ids or all")
        async with self._deciding:
            return await self._decide(ids or None, by, release=release)

    async def _decide(self, ids: Sequence[str] | None, by: str, *, release: bool) -> dict[str, list[str]]:
        changed: list[str] = []
        busy: list[str] = []
        seen: set[str] = set()
        for spool in self._spools:
            found = await self._held_in(spool, ids)
            names = {delivery.id for delivery in found}
            async with spool.recalled(found) as others:
                # Whoever shares the spool may have decided while they were recalled.
                found = [one for one in await self._held_in(spool, ids) if one.id in names]
                seen.update(name for delivery in found for name in (delivery.id, delivery.message))
                if release:
                    done = await spool.amend([self._released(one) for one in found], self._event(events.RELEASED, by))
                else:
                    done = await spool.drop(found, self._event(events.DELETED, by))
            changed += done
            busy += [delivery.id for delivery in found if delivery.id in others and delivery.id not in done]
            spool.woken()
        self._wake()
        return {"changed": changed, "missing": [id_ for id_ in ids or () if id_ not in seen], "sending": busy}

    def _released(self, delivery: Delivery) -> Delivery:
        """As it goes on. It counts as new: the days in quarantine are none of the time that mail may wait."""
        now = self._clock.now()
        return replace(
            delivery,
            connector=HERE,
            destination=PROTECT,
            state=State.READY,
            next_attempt=now,
            created=now,
            attempts=0,
            terms=replace(delivery.terms, quarantine=None),
        )

    async def _held(self, ids: Sequence[str] | None) -> list[tuple[Spooling, Delivery]]:
        return [(spool, delivery) for spool in self._spools for delivery in await self._held_in(spool, ids)]

    @staticmethod
    async def _held_in(spool: Spooling, ids: Sequence[str] | None) -> list[Delivery]:
        found = await spool.deliveries(ids)
        return [one for one in found if one.terms.quarantine is not None and one.state is State.HELD]

    async def _content(self, spool: Spooling, delivery: Delivery) -> Content:
        """Raises Fault where it can't be read."""
        try:
            return await spool.content(delivery)
        except (SealBroken, KeysClosed, StorageBroken, OSError) as error:
            raise Fault(f"the octets of {delivery.id} can't be read: {error}") from error

    async def _row(self, spool: Spooling, delivery: Delivery) -> dict[str, Any]:
        terms = delivery.terms
        held = terms.quarantine or Quarantine(rules=())
        try:
            subject = read(await _beginning(await self._content(spool, delivery), HEAD)).subject
        except Fault:  # One that can't be read is to be seen all the more.
            subject = None
        return {
            "id": delivery.id,
            "from": "" if delivery.sender is None else delivery.sender.text,
            "recipients": [target.address.text for target in delivery.targets],
            "subject": subject,
            "rules": list(held.rules),
            "severity": held.severity,
            "protection": None if terms.wanted is None else (terms.wanted.smime or terms.wanted.template or "rights"),
            "size": delivery.size,
            "since": rfc3339(delivery.created),
        }

    async def _looked(self, spool: Spooling, delivery: Delivery, by: str) -> None:
        await spool.note([spool.new_record(delivery.message, [self._event(events.VIEWED, by)(delivery)])])

    def _event(self, kind: str, by: str) -> Callable[[Delivery], Event]:
        def made(delivery: Delivery) -> Event:
            facts: dict[str, object] = {"delivery": delivery.id, "by": by}
            return Event(message=delivery.message, time=self._clock.now(), event=kind, facts=facts)

        return made


async def _beginning(content: Content, most: int) -> bytes:
    """The first octets of a content, all where it has no more than `most`."""
    if (held := content.inline) is not None:
        return held[:most]
    blocks = content.blocks()
    taken = bytearray()
    if isinstance(blocks, AsyncGenerator):
        async with aclosing(blocks):
            async for block in blocks:
                taken += block
                if len(taken) >= most:
                    break
    else:
        async for block in blocks:
            taken += block
            if len(taken) >= most:
                break
    return bytes(taken[:most])


def _said(reading: Reading, octets: bytes) -> dict[str, Any]:
    """What the message says to its reader, cut to what a person looks at. Takes a while for large ones."""
    end = octets.find(b"\r\n\r\n")
    texts = [
        {"where": one.where, "text": one.text[:MAX_LETTERS], "cut": len(one.text) > MAX_LETTERS}
        for one in _shown(reading)
    ]
    attachments = [
        {"name": one.names[0] if one.names else None, "type": one.type, "size": one.size, "inline": one.inline}
        for one in reading.attachments[:MAX_ATTACHMENTS]
    ]
    header = octets[: len(octets) if end < 0 else end + 2]
    return {"header": header[:HEAD].decode("utf-8", "replace"), "texts": texts, "attachments": attachments}


def _shown(reading: Reading) -> Iterable[Any]:
    """The texts that a reader sees; those that hide something stand there once more, and are left out."""
    return [one for one in reading.texts if not one.hidden][:MAX_TEXTS]


def merged(answers: Sequence[Any], command: str) -> Any:
    """What several processes answered to one command, each for its own spool."""
    if command == "held.read":
        return next((one for one in answers if one is not None), None)
    if command in ("held.list", "held.show"):
        return [row for rows in answers for row in rows]
    missing = set.intersection(*(set(one["missing"]) for one in answers)) if answers else set()
    return {
        "changed": [id_ for one in answers for id_ in one["changed"]],
        "missing": sorted(missing),
        "sending": [id_ for one in answers for id_ in one["sending"]],
    }
