"""The section [authenticate] of gateway.toml as values."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.settings import schema


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticateTerms:
    """`dkim`: signatures of what comes from elsewhere are judged. `authserv_id`: our name in results (RFC 8601 2.5)."""

    dkim: bool
    authserv_id: str

    @staticmethod
    def from_settings(section: schema.Authenticate, hostname: str) -> AuthenticateTerms:
        """`hostname` is the name of results where the section gives none."""
        return AuthenticateTerms(dkim=section.dkim, authserv_id=(section.authserv_id or hostname).rstrip(".").lower())
