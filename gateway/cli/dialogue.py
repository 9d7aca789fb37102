"""The SMTP side of `gateway send`: one message through one listener, as a mail program would do it (RFC 5321)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib

from gateway.connectors.model import TlsLevel
from gateway.connectors.tls import outbound_context

DEADLINE = 60.0  # Seconds for each step; a gateway that takes longer on loopback is in trouble.


class NoAnswer(Exception):
    """The gateway could not be spoken to. The text is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the gateway listens. `tls` is none, starttls or implicit; `trusted_ca` what its certificate is held to."""

    host: str
    port: int
    tls: str
    trusted_ca: Path | None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The gateway's last reply. `refused` are the recipients that it did not take, with their replies.

    `tls` is the TLS version, or None in clear.
    """

    code: int
    text: str
    refused: tuple[tuple[str, str], ...] = ()
    tls: str | None = None

    @property
    def taken(self) -> bool:
        """Whether the gateway is responsible for the message now."""
        return self.code == 250

    @property
    def queue_id(self) -> str | None:
        """The id that a 250 ends with."""
        words = self.text.split()
        return words[-1].strip("<>().,;") if self.taken and words else None

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


async def send(door: Door, sender: str, recipients: list[str], message: bytes) -> Answer:
    """Hand `message` in. A refusal is an Answer too; raises NoAnswer where there was no dialogue to its end."""
    client = aiosmtplib.SMTP(
        hostname=door.host,
        port=door.port,
        use_tls=door.tls == "implicit",
        start_tls=False,
        tls_context=await asyncio.to_thread(_context, door) if door.tls != "none" else None,
        timeout=DEADLINE,
        local_hostname="localhost",  # Else aiosmtplib asks DNS for the machine's name.
    )
    try:
        async with client:
            if door.tls == "starttls":
                await client.starttls()
            return await _hand_in(client, sender, recipients, message)
    except ssl.SSLCertVerificationError as error:
        raise NoAnswer(_untrusted(door, error)) from error
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise NoAnswer(_why(door, error)) from error


def _context(door: Door) -> ssl.SSLContext:
    level = TlsLevel.CERTIFICATE_VALIDATION if door.trusted_ca else TlsLevel.ENCRYPTION_ONLY
    return outbound_context(
        level, trusted_ca=door.trusted_ca, minimum_tls="1.2", client_certificate=None, client_key=None
    )


async def _hand_in(client: aiosmtplib.SMTP, sender: str, recipients: list[str], message: bytes) -> Answer:
    options = []
    if not message.isascii() and client.supports_extension("8bitmime"):
        options.append("BODY=8BITMIME")
    if not all(address.isascii() for address in (sender, *recipients)):
        options.append("SMTPUTF8")
    secured = client.get_transport_info("cipher")
    tls = str(secured[1]) if secured else None
    try:
        refused, text = await client.sendmail(sender, recipients, message, mail_options=options)
    except aiosmtplib.SMTPRecipientsRefused as error:
        first = error.recipients[0]
        every = tuple((one.recipient, f"{one.code} {one.message}") for one in error.recipients)
        return Answer(code=first.code, text=first.message, refused=every, tls=tls)
    except aiosmtplib.SMTPResponseException as error:
        return Answer(code=error.code, text=error.message, tls=tls)
    some = tuple((address, f"{reply.code} {reply.message}") for address, reply in refused.items())
    return Answer(code=250, text=text, refused=some, tls=tls)


def _untrusted(door: Door, error: ssl.SSLCertVerificationError) -> str:
    return (
        f"the certificate of {door} is not vouched for by {door.trusted_ca} ({error.verify_message}); where another CA"
        " issued it, put that CA's certificate there"
    )


def _why(door: Door, error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(door, cause)
        if isinstance(cause, ConnectionRefusedError):
            return f"nothing listens at {door}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{door} answered {error.code} {error.message}"
    return f"the dialogue with {door} broke off: {error}"
