"""A vault without a file: real keys in memory, and a switch for each way to fail."""

from __future__ import annotations

from gateway.keys import envelope
from gateway.keys.providers.file.holding import Holding
from gateway.keys.vault import (
    Denied,
    KeyState,
    KeyType,
    Signature,
    Unavailable,
    VaultBroken,
    VaultKey,
    Wrapped,
)
from gateway.mail.digest import Hashed
from gateway.world.chance import Chance
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock


class FakeVault:
    """`away`, `denied`, `broken` make everything fail; the state of one key is set by `disable` and its like.

    `roots` are AES keys that are there from the beginning. `wraps`, `unwraps`, `decrypts` and `signs` count what was
    done, and `abouts` keeps for what. `is_local` can be turned off, to stand for a vault that is asked over a wire.
    """

    def __init__(
        self,
        name: str = "main",
        roots: tuple[str, ...] = ("default",),
        *,
        chance: Chance | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.name = name
        self.is_local = True
        self.away = False
        self.denied = False
        self.broken = False
        self.wraps = 0
        self.unwraps = 0
        self.decrypts = 0
        self.signs = 0
        self.abouts: list[str] = []
        self._chance = chance or FakeChance(f"vault {name}")
        self._clock = clock or FakeClock()
        self._held = Holding(name)
        for root in roots:
            self._held = self._held.with_new(root, KeyType.AES_256, self._clock.now(), self._chance)

    def wrap(self, root: str, plain: bytes, context: bytes, *, about: str = "") -> Wrapped:
        self._fail()
        held = self._held.usable(root)
        try:
            octets = envelope.seal(
                root,
                held.number,
                plain,
                context,
                algorithm=held.key.algorithm,
                wrap_key=held.key.wrap_key,
                chance=self._chance,
            )
        except ValueError as error:
            raise Denied(f"{root}: {error}") from error
        self.wraps += 1
        self.abouts.append(about)
        return Wrapped(self.name, root, held.number, octets)

    def unwrap(self, wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        self._fail()
        held = self._held.usable(wrapped.root, wrapped.root_version)
        plain = envelope.unseal(wrapped, context, held.key.unwrap_key)
        self.unwraps += 1
        self.abouts.append(about)
        return plain

    def decrypt(self, key: str, sealed: bytes, *, version: int, about: str = "") -> bytes:
        self._fail()
        try:
            plain = self._held.usable(key, version).key.decrypt(sealed)
        except ValueError as error:
            raise Denied(f"{key}: {error}") from error
        if plain is None:
            raise VaultBroken(f"what was encrypted to {key} does not open")
        self.decrypts += 1
        self.abouts.append(about)
        return plain

    def sign(self, key: str, data: bytes | Hashed, *, version: int | None = None, about: str = "") -> Signature:
        self._fail()
        held = self._held.usable(key, version)
        try:
            signature = Signature(held.number, held.key.sign(data))
        except ValueError as error:
            raise Denied(f"{key}: {error}") from error
        self.signs += 1
        self.abouts.append(about)
        return signature

    def public_key(self, key: str, version: int | None = None) -> bytes:
        self._fail()
        try:
            return self._held.any_state(key, version).key.public()
        except ValueError as error:
            raise Denied(f"{key}: {error}") from error

    def keys(self) -> tuple[VaultKey, ...]:
        self._fail()
        return tuple(key.told(self.name) for key in self._held.values())

    def health(self) -> None:
        self._fail()

    def create(self, key: str, type_: KeyType) -> VaultKey:
        return self._become(self._held.with_new(key, type_, self._clock.now(), self._chance), key)

    def rotate(self, key: str) -> VaultKey:
        return self._become(self._held.rotated(key, self._clock.now(), self._chance), key)

    def disable(self, key: str) -> VaultKey:
        return self._become(self._held.in_state(key, KeyState.DISABLED), key)

    def enable(self, key: str) -> VaultKey:
        return self._become(self._held.in_state(key, KeyState.ENABLED), key)

    def delete(self, key: str, ends: float) -> VaultKey:
        return self._become(self._held.in_state(key, KeyState.DELETED, ends), key)

    def recover(self, key: str) -> VaultKey:
        return self._become(self._held.recovered(key, self._clock.now()), key)

    def purge(self, now: float) -> tuple[str, ...]:
        self._fail()
        names = self._held.ended(now)
        self._held = self._held.without(names)
        return names

    def _become(self, held: Holding, key: str) -> VaultKey:
        self._fail()
        self._held = held
        return held[key].told(self.name)

    def _fail(self) -> None:
        if self.away:
            raise Unavailable("the vault does not answer")
        if self.denied:
            raise Denied("the key is disabled")
        if self.broken:
            raise VaultBroken("damaged")
