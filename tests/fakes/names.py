"""Names that the test gives, with a switch for each way in which there is no answer."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.world.names import Mx, NamesUnavailable, NoSuchName


class FakeNames:
    """`mx_records`, `hosts` and `texts` (TXT) are what is known; a name in none of them does not exist.

    `unavailable`: names about which the resolvers fail. `asked` lists the questions in order.
    """

    def __init__(
        self,
        mx_records: Mapping[str, tuple[Mx, ...]] | None = None,
        hosts: Mapping[str, tuple[str, ...]] | None = None,
        unavailable: frozenset[str] = frozenset(),
        texts: Mapping[str, tuple[bytes, ...]] | None = None,
    ) -> None:
        self.mx_records = dict(mx_records or {})
        self.hosts = dict(hosts or {})
        self.texts = dict(texts or {})
        self.unavailable = unavailable
        self.asked: list[tuple[str, str]] = []

    async def mx(self, domain: str) -> tuple[Mx, ...]:
        self._ask("mx", domain)
        return self.mx_records.get(domain, ())

    async def addresses(self, host: str) -> tuple[str, ...]:
        if host.replace(".", "").isdigit() or ":" in host:
            return (host,)
        self._ask("addresses", host)
        return self.hosts.get(host, ())

    async def txt(self, name: str) -> tuple[bytes, ...]:
        self._ask("txt", name)
        return self.texts.get(name, ())

    def txt_at_hand(self, name: str) -> tuple[bytes, ...] | None:
        """Nothing is, so that all questions are seen."""
        return None

    def _ask(self, kind: str, name: str) -> None:
        self.asked.append((kind, name))
        if name in self.unavailable:
            raise NamesUnavailable(f"no answer about {name}: the resolvers failed")
        if name not in self.mx_records and name not in self.hosts and name not in self.texts:
            raise NoSuchName(f"{name} does not exist")
