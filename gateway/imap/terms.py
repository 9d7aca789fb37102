"""The terms of the listener as frozen values, from the section [imap]."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.settings.imap import Imap


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapTerms:
    """See `gateway.settings.imap.Imap`; times in seconds, sizes in octets. `name` stands in metrics and log."""

    name: str
    max_connections: int
    max_connections_per_client: int
    max_connections_per_account: int
    max_message_size: int
    max_bad_commands: int
    max_failed_log_ins: int
    max_search: int
    log_in: float
    idle: float
    command: float

    @classmethod
    def from_settings(cls, section: Imap) -> ImapTerms:
        """The terms that the section says."""
        return cls(
            name=section.listen,
            max_connections=section.max_connections,
            max_connections_per_client=section.max_connections_per_client,
            max_connections_per_account=section.max_connections_per_account,
            max_message_size=section.max_message_size,
            max_bad_commands=section.max_bad_commands,
            max_failed_log_ins=section.max_failed_log_ins,
            max_search=section.max_search,
            log_in=section.timeouts.log_in,
            idle=section.timeouts.idle,
            command=section.timeouts.command,
        )
