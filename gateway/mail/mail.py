"""One message on its way in: envelope, client and octets under one queue id."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mail.authentication import Authentication
from gateway.mail.envelope import Client, Envelope
from gateway.mail.message import Held, Message
from gateway.mail.opened import Opened
from gateway.mail.signing import Signed
from gateway.mail.terms import PLAIN, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What the stages pass on. `id` is the queue id, `received` seconds since 1970.

    `client` and `connector` (the inbound one's name) are None for mail that the gateway makes itself. `preface`: header
    fields of ours that stand in front of a message which is too large to be copied; each delivery carries them.
    `authentication`: what was found out about mail from elsewhere.
    `signed`: what was done about signing, None where nothing was to be signed. `opened`: what was found inside, where
    it was signed or encrypted. `terms`: what this copy needs, and leaves under.
    """

    id: str
    received: float
    envelope: Envelope
    message: Message
    client: Client | None = None
    connector: str | None = None
    preface: bytes = b""
    authentication: Authentication | None = None
    signed: Signed | None = None
    opened: Opened | None = None
    terms: Terms = PLAIN

    def as_copy(self, envelope: Envelope, message: Message, terms: Terms, *, opened: Opened | None = None) -> Mail:
        """The same mail for that envelope, with those octets, of which so much was `opened`, under those terms."""
        return Mail(  # `replace` takes three times that, for each message.
            id=self.id,
            received=self.received,
            envelope=envelope,
            message=message,
            client=self.client,
            connector=self.connector,
            preface=self.preface,
            authentication=self.authentication,
            signed=self.signed,
            opened=opened,
            terms=terms,
        )

    def topped(self, octets: bytes, authentication: Authentication | None = None) -> Mail:
        """The same mail with whole header fields, each with its CR LF, in front of all that it has; with what was found
        out about it, where that is given.
        """
        message, preface = self.message, self.preface
        held = message.content.inline
        if held is None:
            preface = octets + preface
        else:
            held = octets + held  # Small, and in memory anyway.
            message = Message(held, Held(held), message.hashes)
        return Mail(  # `replace` takes three times that, for each message.
            id=self.id,
            received=self.received,
            envelope=self.envelope,
            message=message,
            client=self.client,
            connector=self.connector,
            preface=preface,
            authentication=authentication or self.authentication,
            signed=self.signed,
            opened=self.opened,
            terms=self.terms,
        )
