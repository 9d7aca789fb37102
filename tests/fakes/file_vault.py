"""A sealed file vault of a test: made, and opened, by a secret that everybody here knows."""

from __future__ import annotations

from pathlib import Path

from gateway.keys.providers.file import custody, protectors
from gateway.keys.providers.file.means import Means, Source
from gateway.keys.providers.file.sheet import Head, Kind, Protector
from gateway.keys.providers.file.vault import FileVault
from gateway.world.chance import Chance
from gateway.world.clock import Clock
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

SECRET = b"a secret of all tests, 32 octets"


def by_secret(secret: bytes = SECRET, name: str = "service") -> custody.Maker:
    """Makes the protector for a service's secret."""

    def make(id_: str, master: bytes) -> Protector:
        return protectors.with_secret(
            id_, name, secret, master, now=FakeClock().now(), chance=FakeChance(f"protector {name}")
        )

    return make


def means(secret: bytes = SECRET) -> Means:
    """What opens a vault that `by_secret` protects."""
    return Means(sources=(Source(Kind.SECRET, "the test's secret", lambda: secret),))


def make(folder: Path, *roots: str, chance: Chance | None = None, clock: Clock | None = None) -> Head:
    """A vault in `folder`; its root key is called "default" where no other names are given."""
    return custody.create(
        folder, roots or ("default",), [by_secret()], chance=chance or FakeChance("vault"), clock=clock or FakeClock()
    )


def opened(folder: Path, *, chance: Chance | None = None, clock: Clock | None = None) -> FileVault:
    """That vault, called "main", as a process that starts opens it."""
    return FileVault("main", folder, means(), chance=chance or FakeChance("nonces"), clock=clock or FakeClock())
