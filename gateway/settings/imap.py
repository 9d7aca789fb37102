"""The section [imap] of gateway.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.section import Count, Octets, Seconds, Section


class ImapTimeouts(Section):
    """Deadlines of one connection, in seconds."""

    log_in: Seconds = Field(60, description="From the connection until somebody has logged in, the TLS handshake too.")
    idle: Annotated[float, Field(ge=1800, le=86400)] = Field(
        1800, description="Without a command; mail programs count on half an hour (RFC 3501 5.4)."
    )
    command: Seconds = Field(60, description="Waiting for the rest of a command that has begun, and for a slow reader.")


class Imap(Section):
    """Mailboxes read over IMAP by the mail programs that people have; a process of its own serves them."""

    listen: str = Field(description="HOST:PORT, TLS at once (RFC 8314); 993 in earnest.")
    certificate: str | None = Field(
        None, description="PEM file with the chain, ours first. Default: that of the first listener that has one."
    )
    key: str | None = Field(None, description="PEM file with the private key; default: in the same file.")
    minimum_tls: Literal["1.2", "1.3"] = Field("1.2", description="Lowest TLS version taken.")
    max_connections: Annotated[int, Field(ge=10, le=10_000)] = Field(
        2000, description="At once; who comes after that is told BYE. A mail program holds several."
    )
    max_connections_per_client: Annotated[int, Field(ge=4, le=10_000)] = Field(
        100, description="The same from one address: an office may have one for all."
    )
    max_connections_per_account: Annotated[int, Field(ge=4, le=1000)] = Field(
        40, description="The same of one person, from everywhere."
    )
    max_message_size: Octets = Field(
        150 * 1024 * 1024, description="Octets of a message that a mail program may put in (APPEND)."
    )
    max_bad_commands: Count = Field(20, description="Before the connection is closed.")
    max_failed_log_ins: Count = Field(3, description="Of one connection, before it is closed.")
    max_search: Octets = Field(
        1 << 30,
        description="Octets of messages that one search may decrypt; a search for words that needs more is refused, "
        "and says so. Dates, sizes and flags cost nothing.",
    )
    timeouts: ImapTimeouts = Field(default_factory=ImapTimeouts, description="Deadlines.")
