"""What a session asks of the rest of the gateway, and the terms of its listener. `app` fills both in."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Protocol

from gateway.accounts.model import User
from gateway.connectors.model import Inbound
from gateway.mail.address import Address
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.observe.log import Level
from gateway.smtp.commands import MailCommand
from gateway.world.clock import Clock

MECHANISMS = ("PLAIN", "LOGIN")  # Of AUTH. LOGIN is no standard, but some clients know nothing else.


class Incoming(Protocol):
    """Takes the octets of one message as they come."""

    def write(self, octets: bytes) -> bool:
        """True: memory holds as much as it may; call `flush` before the next write."""

    async def flush(self) -> None:
        """Make room."""

    async def finish(self) -> Message:
        """The whole message."""

    async def abandon(self) -> None:
        """Forget everything."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message whose octets come now. `began` is the time in seconds since 1970."""

    id: str
    began: float
    command: MailCommand
    client: Client
    incoming: Incoming


class Accounts(Protocol):
    """Who may log in. `gateway.accounts.login.LogIns` fulfils it."""

    async def log_in(self, name: str, password: str, address: str) -> User:
        """Whose name and password these are. Raises LogInRefused, LogInLater."""

    async def still(self, user: User) -> User:
        """The user as the account is now. Raises LogInEnded, LogInLater."""


class Tell(Protocol):
    """One log line."""

    def __call__(self, level: Level, event: str, /, **facts: Any) -> None: ...


@dataclass(slots=True, kw_only=True)
class Desk:
    """Shared by all sessions of a worker. A reload replaces what it holds; running sessions go by the new terms.

    `admit` and `may_reach` raise Refused; `check_room` raises for a full disk; `accept` takes responsibility or raises.
    `verify` says whether a recipient is known (False: he is taken unverified), or gives what has to be awaited to know;
    both raise Refused. None: nobody is asked. `arriving` puts in front of an Incoming what looks at a message by that
    connector as it comes.
    """

    clock: Clock
    new_id: Callable[[], str]
    admit: Callable[[Client, Address | None], Inbound | None]
    may_reach: Callable[[Inbound | None, Address], None]
    check_room: Callable[[int], None]
    begin: Callable[[str], Incoming]
    accept: Callable[[Mail], Awaitable[str]]
    gone: Callable[[str], Awaitable[None]]
    tell: Tell
    count: Callable[..., None]
    contact: str | None = None
    accounts: Accounts | None = None
    verify: Callable[[Inbound | None, Address], bool | Callable[[], Awaitable[bool]]] | None = None
    arriving: Callable[[Incoming, Client, Inbound | None], Incoming] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds that each phase of a session may take (RFC 5321 4.5.3.2)."""

    greeting: float = 60
    command: float = 300
    data: float = 180
    message: float = 1800
    session: float = 7200


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Of one listener. `name` is its address as the settings write it; `proxies` have to say for whom they speak."""

    name: str
    hostname: str
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    normalize: bool = False
    max_message_size: int = 50 * 1024 * 1024
    max_line_length: int | None = None
    max_recipients: int = 1000
    max_recipient_domains: int | None = None
    max_messages: int = 1000
    max_connections: int = 2000
    max_connections_per_client: int = 200
    max_bad_commands: int = 10
    max_failed_log_ins: int = 3
    submission: bool = False
    auth: bool = False
    deadlines: Deadlines = field(default_factory=Deadlines)
    banner: bytes = b""
    ehlo: bytes = b""
    ehlo_over_tls: bytes = b""

    @staticmethod
    def made(**facts: Any) -> Terms:
        """Terms with the lines that every session says, made once."""
        plain = Terms(**facts)
        lines = [
            plain.hostname,
            f"SIZE {plain.max_message_size}",
            "8BITMIME",
            "SMTPUTF8",
            "PIPELINING",
            "CHUNKING",
            "DSN",
            _limits(plain),
            "ENHANCEDSTATUSCODES",
        ]
        over_tls = _multiline([*lines, f"AUTH {' '.join(MECHANISMS)}"] if plain.auth else lines)
        if plain.tls is not None and not plain.implicit:
            lines.append("STARTTLS")
        banner = f"220 {plain.hostname} ESMTP gateway\r\n".encode()
        return Terms(**facts, banner=banner, ehlo=_multiline(lines), ehlo_over_tls=over_tls)


def _limits(terms: Terms) -> str:
    """RFC 9422 2, 4."""
    line = f"LIMITS RCPTMAX={terms.max_recipients} MAILMAX={terms.max_messages}"
    if terms.max_recipient_domains is not None:
        line += f" RCPTDOMAINMAX={terms.max_recipient_domains}"
    return line


def _multiline(lines: list[str]) -> bytes:
    return "".join([f"250-{line}\r\n" for line in lines[:-1]] + [f"250 {lines[-1]}\r\n"]).encode()
