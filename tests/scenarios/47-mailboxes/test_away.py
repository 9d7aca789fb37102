"""Vaults that are silent: what still opens, and by which key. The second root lies in a token (SoftHSM2)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.pkcs11 import MISSING, Token, TokenFolder, library
from tests.scenarios.peers.mailroom import IDA, Mailroom, marks
from tests.scenarios.peers.ports import until


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    if library() is None:
        pytest.skip(MISSING)
    folder = TokenFolder(tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in folder.environment.items():  # The gateway's processes inherit it.
            patch.setenv(name, value)
        yield folder.token()


@pytest.fixture(scope="module")
def room(make_room: Callable[..., Mailroom], token: Token) -> Mailroom:
    """With a policy `held` whose second root is in the token, and Ida's mailbox under it."""
    section = (
        f'\n[[vaults]]\nname = "hsm"\nprovider = "pkcs11"\nmodule = "{library()}"\n'
        f'token = "{token.label}"\npin_file = "{token.pin_file}"\n'
    )
    room = make_room(MORE=section).start()
    room.does("key", "create", "hsm/mail", "--type", "aes-256")
    room.does("key", "create", "root-a/held", "--type", "aes-256")
    room.does("policy", "create", "held", "--root", "root-a/held", "--root", "hsm/mail")
    room.create(IDA, "--policy", "held")
    room.write("first")
    room.arrived(1)
    return room


@contextmanager
def silent(room: Mailroom, vault: str = "root-a") -> Iterator[None]:
    """That file vault can't be read for a while, which is a passing fault."""
    file = room.vaults[vault] / "root-keys"
    away = file.rename(file.with_name("elsewhere"))
    os.mkfifo(file, 0o600)
    try:
        yield
    finally:
        file.unlink()
        away.rename(file)


@contextmanager
def pulled(token: Token) -> Iterator[None]:
    token.take_away()
    try:
        yield
    finally:
        token.bring_back()


def forget(room: Mailroom) -> None:
    """Wait until nobody has a policy's or mailbox's key in memory any more: cache_seconds is 1."""
    time.sleep(1.5)
    room.gateway.ask("keys")  # Each process looks at its vaults; else within half a minute.


def reads_and_takes(room: Mailroom, mark: str) -> None:
    before = len(room.opens(seconds=30))
    room.write(mark)
    assert marks(room.arrived(before + 1))[-1] == mark


def uses_of(room: Mailroom) -> int:
    """How often the log tells, as a fault, of the use of the availability key."""
    return sum(
        '"level":"error"' in line and '"availability_key_used"' in line for line in room.gateway.log.splitlines()
    )


def test_one_silent_root_is_enough_and_nothing_else_is_asked(room: Mailroom, token: Token) -> None:
    """Row k02, whichever of the two it is."""
    before = uses_of(room)
    with silent(room):
        forget(room)
        reads_and_takes(room, "by the token")
    with pulled(token):
        forget(room)
        reads_and_takes(room, "by the file")
        assert "hsm" in str(room.policy("held"))
    assert uses_of(room) == before


def test_both_silent_opens_by_the_availability_key_loudly(room: Mailroom, token: Token) -> None:
    """Row k03."""
    before = uses_of(room)
    with silent(room), pulled(token):
        forget(room)
        reads_and_takes(room, "by the availability key")
        assert uses_of(room) > before
        assert any("availability" in text for text in room.warnings()), room.warnings()


def test_one_denied_and_one_silent_is_refused(room: Mailroom, token: Token) -> None:
    """Row k04."""
    before = uses_of(room)
    room.does("key", "disable", "root-a/held", "--yes")
    try:
        with pulled(token):
            forget(room)
            said = room.closed()
            assert "held" in said
            id_ = room.write("waits")
            assert room.gateway.tried(id_)["state"] == "waiting"
            assert uses_of(room) == before
    finally:
        room.does("key", "enable", "root-a/held")
    room.opens(seconds=40)
    room.gateway.retry_all()
    until(lambda: "waits" in marks(room.opens()), "the mail that waited")


def test_the_second_root_in_a_token_closes_and_opens_like_any_other(room: Mailroom) -> None:
    """Row k06, with the customer's hand on the token."""
    room.opens(seconds=30)
    for key in ("root-a/held", "hsm/mail"):
        room.does("key", "disable", key, "--yes")
    assert "held" in room.closed()
    room.does("key", "enable", "hsm/mail")
    room.opens()
    room.does("key", "rotate", "hsm/mail")
    room.does("policy", "refresh", "held")
    room.does("key", "enable", "root-a/held")
    reads_and_takes(room, "at last")


@pytest.mark.xfail(strict=True, reason="keyring.vaults opens every file vault, and a start refuses where one does not")
def test_a_gateway_starts_while_the_vault_of_one_root_is_lost(room: Mailroom) -> None:
    """A root alone suffices to read: losing one root in one vault loses nothing, after a restart neither."""
    assert room.gateway.stop() == 0
    lost = room.vaults["root-b"]
    away = lost.rename(lost.with_name("lost"))
    try:
        assert room.gateway.run("check").returncode == 0
    finally:
        away.rename(lost)
