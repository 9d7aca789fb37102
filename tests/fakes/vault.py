"""A vault without a file."""

from __future__ import annotations

from gateway.keys.vault import Denied, Unavailable, VaultBroken, Wrapped


class FakeVault:
    """Wraps by writing the context in front. `away`, `denied`, `broken` are the ways to fail."""

    def __init__(self, name: str = "main", roots: tuple[str, ...] = ("default",)) -> None:
        self.name = name
        self.away = False
        self.denied = False
        self.broken = False
        self.wraps = 0
        self._roots = roots

    def roots(self) -> tuple[str, ...]:
        return self._roots

    def wrap(self, root: str, plain: bytes, context: bytes) -> Wrapped:
        self._fail()
        self.wraps += 1
        return Wrapped(
            self.name, root, 1, len(context).to_bytes(2, "big") + context + bytes(255 - one for one in plain)
        )

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        self._fail()
        end = 2 + int.from_bytes(wrapped.octets[:2], "big")
        if wrapped.octets[2:end] != context:
            raise VaultBroken("another key's")
        return bytes(255 - one for one in wrapped.octets[end:])

    def _fail(self) -> None:
        if self.away:
            raise Unavailable("the vault does not answer")
        if self.denied:
            raise Denied("the key is disabled")
        if self.broken:
            raise VaultBroken("damaged")
