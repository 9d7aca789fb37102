"""The section [rights] of gateway.toml as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.rights.right import Right
from gateway.rights.template import Template, Templates, template
from gateway.settings.rights import Rights, RightsTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsTerms:
    """`super_users`: accounts of this machine; None: everybody who reaches the control socket. Days as they stand."""

    templates: Templates = field(default_factory=Templates)
    expires_in_days: int = 0
    keep_copies: bool = True
    super_users: frozenset[str] | None = None
    notify_officer: str | None = None
    log_days: int = 400

    @classmethod
    def from_settings(cls, section: Rights) -> RightsTerms:
        """Raises ValueError, in words for the administrator, for templates that can't be."""
        return cls(
            templates=Templates(own_template(one) for one in section.templates),
            expires_in_days=section.expires_in_days,
            keep_copies=section.keep_copies,
            super_users=None if section.super_users is None else frozenset(section.super_users),
            notify_officer=section.notify_officer,
            log_days=section.log_days,
        )

    def expires(self, issued: float) -> float | None:
        """When a message that is issued then ends (seconds since 1970); None: never."""
        return issued + self.expires_in_days * 86400.0 if self.expires_in_days else None

    def is_super_user(self, account: str) -> bool:
        """Whether that account of this machine may open any message."""
        return self.super_users is None or account in self.super_users


def own_template(one: RightsTemplate) -> Template:
    """Raises ValueError."""
    return template(one.name, (Right(right) for right in one.rights), one.title, one.description)
