"""An LDAP server without a network."""

from __future__ import annotations

from gateway.world.ldap import LdapFault


class FakeLdap:
    """Finds something where `finds_for` has a part of the filter. `fault` is what goes wrong instead."""

    def __init__(self, *finds_for: str) -> None:
        self.finds_for = finds_for
        self.fault: str | None = None
        self.asked: list[tuple[str, str]] = []
        self.closed = False

    async def finds(self, base: str, filter_: str) -> bool:
        self.asked.append((base, filter_))
        if self.fault is not None:
            raise LdapFault(self.fault)
        return any(one in filter_ for one in self.finds_for)

    def close(self) -> None:
        self.closed = True
