"""One message on its way in: envelope, client and octets under one queue id."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mail.envelope import Client, Envelope
from gateway.mail.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What the stages pass on. `id` is the queue id, `received` seconds since 1970.

    `client` and `connector` (the inbound one's name) are None for mail that the gateway makes itself.
    """

    id: str
    received: float
    envelope: Envelope
    message: Message
    client: Client | None = None
    connector: str | None = None
