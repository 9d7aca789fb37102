"""A vault whose uses are recorded: each one, with what came of it."""

from __future__ import annotations

import pytest

from gateway.keys.recorded import Recorded
from gateway.keys.uses import Operation, Outcome, Use
from gateway.keys.vault import Denied, KeyFault, KeyType, Signature, Unavailable, VaultBroken
from tests.fakes.clock import FakeClock
from tests.fakes.vault import FakeVault


class Kept:
    """A recorder that keeps."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def record(self, use: Use) -> None:
        self.uses.append(use)


class World:
    """A recorded vault, what is behind it, and what was recorded."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.inner = FakeVault(clock=self.clock)
        self.kept = Kept()
        self.vault = Recorded(self.inner, self.kept, who="worker-0", clock=self.clock)

    def last(self) -> tuple[str, str, int | None, str, str]:
        use = self.kept.uses[-1]
        assert (use.time, use.who, use.vault) == (self.clock.now(), "worker-0", "main")
        return use.operation.value, use.key, use.version, use.about, use.outcome.value


@pytest.fixture
def world() -> World:
    return World()


def test_wrapping_and_unwrapping_are_recorded(world: World) -> None:
    wrapped = world.vault.wrap("default", b"k" * 32, b"context", about="domain key spool 1")
    assert world.last() == ("wrap", "default", 1, "domain key spool 1", "done")
    assert world.vault.unwrap(wrapped, b"context", about="domain key spool 1") == b"k" * 32
    assert world.last() == ("unwrap", "default", 1, "domain key spool 1", "done")
    assert world.inner.abouts == ["domain key spool 1"] * 2


def test_signing_is_recorded_with_the_version_that_signed(world: World) -> None:
    world.vault.create("s", KeyType.ED25519)
    assert world.last() == ("create", "s", 1, "ed25519", "done")
    world.vault.rotate("s")
    assert world.last() == ("rotate", "s", 2, "", "done")
    assert isinstance(world.vault.sign("s", b"data", about="message 4XYZ"), Signature)
    assert world.last() == ("sign", "s", 2, "message 4XYZ", "done")
    world.vault.sign("s", b"data", version=1)
    assert world.last() == ("sign", "s", 1, "", "done")


def test_decrypting_is_recorded_with_the_version_that_was_asked_for(world: World) -> None:
    world.vault.create("tenant", KeyType.RSA_2048)
    with pytest.raises(VaultBroken):
        world.vault.decrypt("tenant", bytes(256), version=1, about="licence")
    assert world.last() == ("decrypt", "tenant", 1, "licence", "broken")


@pytest.mark.parametrize(
    ("switch", "error", "outcome"),
    [("away", Unavailable, "unavailable"), ("denied", Denied, "denied"), ("broken", VaultBroken, "broken")],
)
def test_what_fails_is_recorded_and_raised(world: World, switch: str, error: type[KeyFault], outcome: str) -> None:
    wrapped = world.vault.wrap("default", b"k" * 32, b"context")
    setattr(world.inner, switch, True)
    with pytest.raises(error):
        world.vault.unwrap(wrapped, b"context", about="domain key spool 1")
    assert world.last() == ("unwrap", "default", 1, "domain key spool 1", outcome)
    with pytest.raises(error):
        world.vault.wrap("default", b"k" * 32, b"context")
    assert world.last() == ("wrap", "default", None, "", outcome)
    with pytest.raises(error):
        world.vault.purge(5.0)
    assert world.last() == ("purge", "*", None, "", outcome)


def test_a_wrapped_key_moved_to_another_record_is_recorded_as_broken(world: World) -> None:
    wrapped = world.vault.wrap("default", b"k" * 32, b"context")
    with pytest.raises(VaultBroken):
        world.vault.unwrap(wrapped, b"another", about="domain key trace 1")
    assert world.last() == ("unwrap", "default", 1, "domain key trace 1", "broken")


def test_an_error_of_ours_is_recorded_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(world.inner, "sign", fail)
    with pytest.raises(RuntimeError):
        world.vault.sign("s", b"data")
    assert world.last() == ("sign", "s", None, "", "unavailable")


def test_the_life_of_a_key_is_recorded(world: World) -> None:
    world.vault.create("k", KeyType.AES_256)
    world.vault.disable("k")
    world.vault.enable("k")
    world.vault.delete("k", world.clock.now() + 5)
    world.vault.recover("k")
    world.vault.delete("k", world.clock.now() + 5)
    assert world.vault.purge(world.clock.now()) == ()
    before = len(world.kept.uses)
    assert world.vault.purge(world.clock.now() + 6) == ("k",)
    assert [use.operation for use in world.kept.uses] == [
        Operation.CREATE,
        Operation.DISABLE,
        Operation.ENABLE,
        Operation.DELETE,
        Operation.RECOVER,
        Operation.DELETE,
        Operation.PURGE,
    ]
    assert len(world.kept.uses) == before + 1
    assert all(use.outcome is Outcome.DONE for use in world.kept.uses)


def test_looking_uses_no_key(world: World) -> None:
    world.vault.create("s", KeyType.ED25519)
    before = len(world.kept.uses)
    world.vault.keys()
    world.vault.health()
    world.vault.public_key("s")
    assert len(world.kept.uses) == before
    assert world.vault.name == "main" and world.vault.is_local
