"""The rest of the gateway, as a session asks it: takes everything unless the test says otherwise."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import Any

from gateway.connectors.model import Domains, Inbound
from gateway.mail.address import Address
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.reply import Refused, Reply
from gateway.smtp.desk import Desk
from tests.fakes.clock import FakeClock

INBOUND = Inbound(
    name="local",
    on_premises=True,
    sender_domains=Domains(("*",)),
    networks=(ip_network("192.0.2.0/24"),),
    restrict_to_networks=False,
    require_tls=False,
    minimum_tls=None,
    accepted_senders=None,
    recipient_domains=None,
)


class FakeIncoming:
    """Keeps the octets in memory. `full_at`: so many octets fit before `flush` and `finish` raise `error`."""

    def __init__(self, flush_at: int, full_at: int | None, error: Exception) -> None:
        self.octets = b""
        self.abandoned = False
        self.flushed = 0
        self.most = 0  # Octets that waited at once.
        self._flush_at = flush_at
        self._full_at = full_at
        self._error = error
        self._waits = 0

    def write(self, octets: bytes) -> bool:
        self.octets += octets
        self._waits += len(octets)
        self.most = max(self.most, self._waits)
        return self._waits > self._flush_at

    async def flush(self) -> None:
        self._check()
        self.flushed += 1
        self._waits = 0

    async def finish(self) -> Message:
        self._check()
        return Message(self.octets, Held(self.octets))

    async def abandon(self) -> None:
        self.abandoned = True

    def _check(self) -> None:
        if self._full_at is not None and len(self.octets) > self._full_at:
            raise self._error


class FakeDesk:
    """`desk` is what sessions are given. What was done: `accepted`, `incoming`, `told`, `counted`, `gone`, `asked`.

    Switches: `refused_senders` and `refused_recipients` by address; `no_room` is raised when room is asked for;
    `accept_raises`; `gate` holds `accept` until it is set; `full_at` and `full_error` make the disk full.
    """

    def __init__(self, *, contact: str | None = None) -> None:
        self.clock = FakeClock()
        self.accepted: list[Mail] = []
        self.incoming: dict[str, FakeIncoming] = {}
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.counted: list[tuple[str, tuple[str, ...]]] = []
        self.gone: list[str] = []
        self.clients: list[Client] = []
        self.room_asked: list[int] = []
        self.refused_senders: dict[str, Refused] = {}
        self.refused_recipients: dict[str, Reply] = {}
        self.no_room: Exception | None = None
        self.accept_raises: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.flush_at = 1 << 20
        self.full_at: int | None = None
        self.full_error: Exception = OSError(28, "No space left on device")
        self._count = 0
        self.desk = Desk(
            clock=self.clock,
            new_id=self._new_id,
            admit=self._admit,
            may_reach=self._may_reach,
            check_room=self._check_room,
            begin=self._begin,
            accept=self._accept,
            gone=self._gone,
            tell=self._tell,
            count=self._counted,
            contact=contact,
        )

    def events(self) -> list[str]:
        """What was logged, without the facts."""
        return [event for _, event, _ in self.told]

    def contents(self) -> list[bytes]:
        """The octets of the messages that were taken, without our own Received line."""
        return [_without_received(mail.message.head) for mail in self.accepted]

    def _new_id(self) -> str:
        self._count += 1
        return f"Q{self._count}"

    def _admit(self, client: Client, sender: Address | None) -> Inbound | None:
        self.clients.append(client)
        if (refused := self.refused_senders.get("" if sender is None else sender.text)) is not None:
            raise refused
        return INBOUND

    def _may_reach(self, inbound: Inbound | None, recipient: Address) -> None:
        if (reply := self.refused_recipients.get(recipient.text)) is not None:
            raise Refused(reply)

    def _check_room(self, size: int) -> None:
        self.room_asked.append(size)
        if self.no_room is not None:
            raise self.no_room

    def _begin(self, id_: str) -> FakeIncoming:
        self.incoming[id_] = FakeIncoming(self.flush_at, self.full_at, self.full_error)
        return self.incoming[id_]

    async def _accept(self, mail: Mail) -> str:
        if self.gate is not None:
            await self.gate.wait()
        if self.accept_raises is not None:
            raise self.accept_raises
        self.accepted.append(mail)
        return mail.id

    async def _gone(self, id_: str) -> None:
        self.gone.append(id_)

    def _tell(self, level: str, event: str, /, **facts: Any) -> None:
        self.told.append((level, event, facts))

    def _counted(self, name: str, labels: tuple[str, ...] = (), by: float = 1) -> None:
        self.counted.append((name, labels))


def _without_received(octets: bytes) -> bytes:
    lines = octets.split(b"\r\n")
    end = next(place for place, line in enumerate(lines) if place and not line.startswith(b"\t"))
    return b"\r\n".join(lines[end:])
