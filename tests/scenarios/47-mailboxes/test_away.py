"""Vaults that are silent: what still opens, and by which key. Both roots lie in tokens (SoftHSM2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.pkcs11 import MISSING, Token, TokenFolder, library
from tests.scenarios.peers.mailroom import IDA, Mailroom, marks
from tests.scenarios.peers.ports import until


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Token, Token]]:
    if library() is None:
        pytest.skip(MISSING)
    folder = TokenFolder(tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in folder.environment.items():  # The gateway's processes inherit it.
            patch.setenv(name, value)
        yield folder.token("one"), folder.token("two")


@pytest.fixture(scope="module")
def room(make_room: Callable[..., Mailroom], tokens: tuple[Token, Token]) -> Mailroom:
    """With a policy `held` whose roots are in two tokens, and Ida's mailbox under it."""
    sections = "".join(
        f'\n[[vaults]]\nname = "{token.label}"\nprovider = "pkcs11"\nmodule = "{library()}"\n'
        f'token = "{token.label}"\npin_file = "{token.pin_file}"\n'
        for token in tokens
    )
    room = make_room(MORE=sections).start()
    for token in tokens:
        room.does("key", "create", f"{token.label}/mail", "--type", "aes-256")
    room.does("policy", "create", "held", "--root", "one/mail", "--root", "two/mail")
    room.create(IDA, "--policy", "held")
    room.write("first")
    room.arrived(1)
    return room


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


def answer_again(room: Mailroom) -> None:
    """Wait until all keys of the policy answer: a token that was silent is asked again within half a minute."""
    until(lambda: all(one["answers"] for one in room.policy("held")["keys"]), "both tokens to answer", 60)


def reads_and_takes(room: Mailroom, mark: str) -> None:
    before = len(room.opens(seconds=30))
    room.write(mark)
    assert marks(room.arrived(before + 1))[-1] == mark


def uses_of(room: Mailroom) -> int:
    """How often the log tells, as a fault, of the use of the availability key."""
    return sum(
        '"level":"error"' in line and '"availability_key_used"' in line for line in room.gateway.log.splitlines()
    )


def test_one_silent_root_is_enough_and_nothing_else_is_asked(room: Mailroom, tokens: tuple[Token, Token]) -> None:
    """Row k02, whichever of the two it is."""
    before = uses_of(room)
    for away, left in (tokens, tokens[::-1]):
        with pulled(away):
            forget(room)
            reads_and_takes(room, f"by {left.label}")
            (key,) = [one for one in room.policy("held")["keys"] if one["key"] == f"{away.label}/mail"]
            assert (key["answers"], key["state"]) == (False, "away"), key
        answer_again(room)
    assert uses_of(room) == before


def test_both_silent_opens_by_the_availability_key_loudly(room: Mailroom, tokens: tuple[Token, Token]) -> None:
    """Row k03."""
    before = uses_of(room)
    with pulled(tokens[0]), pulled(tokens[1]):
        forget(room)
        reads_and_takes(room, "by the availability key")
        assert uses_of(room) > before
        assert any("availability" in text for text in room.warnings()), room.warnings()
    answer_again(room)


def test_one_denied_and_one_silent_is_refused(room: Mailroom, tokens: tuple[Token, Token]) -> None:
    """Row k04."""
    before = uses_of(room)
    room.does("key", "disable", "one/mail", "--yes")
    try:
        with pulled(tokens[1]):
            forget(room)
            said = room.closed()
            assert "held" in said
            id_ = room.write("waits")
            assert room.gateway.tried(id_)["state"] == "waiting"
            assert uses_of(room) == before
    finally:
        room.does("key", "enable", "one/mail")
    answer_again(room)
    room.opens()
    room.gateway.retry_all()
    until(lambda: "waits" in marks(room.opens()), "the mail that waited")


def test_roots_in_tokens_close_and_open_like_any_other(room: Mailroom) -> None:
    """Row k06, with the customer's hand on the tokens."""
    room.opens(seconds=30)
    for key in ("one/mail", "two/mail"):
        room.does("key", "disable", key, "--yes")
    assert "held" in room.closed()
    room.does("key", "enable", "two/mail")
    room.opens()
    room.does("key", "rotate", "two/mail")
    room.does("policy", "refresh", "held")
    room.does("key", "enable", "one/mail")
    reads_and_takes(room, "at last")


@pytest.mark.parametrize("name", ["root-a", "root-b"])
def test_a_gateway_starts_and_reads_while_the_vault_of_one_root_is_lost(room: Mailroom, name: str) -> None:
    """A root alone suffices to read: losing one root in one vault loses nothing, after a restart neither."""
    whose = f"{name}@corp.example"
    room.create(whose, "--policy", "default")
    room.write("before", whose)
    room.arrived(1, whose)
    assert room.gateway.stop() == 0
    lost = room.vaults[name]
    away = lost.rename(lost.with_name("lost"))
    try:
        checked = room.gateway.run("check")
        assert checked.returncode == 0 and f"no file {lost}/" in checked.stdout + checked.stderr
        assert any(f"vault {name} says no" in text for text in room.warnings())  # Of one that does not serve.
        room.start()
        room.write("meanwhile", whose)
        assert marks(room.arrived(2, whose)) == ["before", "meanwhile"]
        assert any(f"vault {name} says no" in text for text in room.warnings())
        room.does("reload")
    finally:
        away.rename(lost)
    until(lambda: all(one["answers"] for one in room.policy()["keys"]), "the vault to be heard of again", 40)
    room.gateway.ask("keys")
    assert not any(f"vault {name} says no" in text for text in room.warnings())
