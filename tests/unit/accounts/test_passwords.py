"""Passwords as they are kept and judged."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import pytest

from gateway.accounts import passwords as module
from gateway.accounts.passwords import AT_ONCE, MOST_WAITING, Busy, Passwords, WrongPassword
from tests.fakes.chance import FakeChance


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms at which a hash takes no time."""
    monkeypatch.setattr(module, "MEMORY", 64)
    monkeypatch.setattr(module, "PASSES", 1)
    monkeypatch.setattr(module, "ROUNDS", 10)


@pytest.mark.parametrize("fips", [False, True])
async def test_a_hash_is_of_its_password_alone(fips: bool) -> None:
    passwords = Passwords(fips=fips, chance=FakeChance())
    known = await passwords.hashed(b"geheim")
    other = await passwords.hashed(b"geheim")
    assert known != other, "each has a salt of its own"
    assert "geheim" not in known and "geheim" not in repr(passwords)
    assert known.startswith("$pbkdf2-sha512$i=10$" if fips else "$argon2id$v=19$m=64,t=1,p=1$")
    await passwords.judge(known, b"geheim")
    # Nothing with NUL behind it: HMAC takes that for the same key, and no password holds one.
    for wrong in (b"", b"Geheim", b"geheim ", b"gehei"):
        with pytest.raises(WrongPassword):
            await passwords.judge(known, wrong)
    passwords.close()


async def test_argon2_agrees_with_the_standard() -> None:
    # RFC 9106 5.3 uses a secret and associated data, which we have not; this is the reference program's own example:
    # echo -n password | argon2 somesalt -t 2 -m 16 -p 4 -id
    known = "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo"
    passwords = Passwords(fips=False, chance=FakeChance())
    await passwords.judge(known, b"password")
    assert passwords.is_outdated(known)
    passwords.close()


async def test_pbkdf2_agrees_with_the_standard() -> None:
    # Python's own PBKDF2 is the other judge; the standard's examples have shorter salts than our form allows.
    passwords = Passwords(fips=True, chance=FakeChance())
    for digest in ("sha256", "sha512"):
        made = hashlib.pbkdf2_hmac(digest, b"passwd", b"somesalt", 1000, 32)
        await passwords.judge(f"$pbkdf2-{digest}$i=1000${module._text(b'somesalt')}${module._text(made)}", b"passwd")
    passwords.close()


@pytest.mark.parametrize("password", [b"", b"geheim"])
async def test_nobody_has_no_password_and_costs_the_same_work(password: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    real = module._derive

    def watched(phc: str, secret: bytes) -> bytes:
        done.append(phc.rpartition("$")[0].rpartition("$")[0])
        return real(phc, secret)

    monkeypatch.setattr(module, "_derive", watched)
    passwords = Passwords(fips=False, chance=FakeChance())
    known = await passwords.hashed(b"other")
    for one in (known, None, "$argon2id$broken", ""):
        with pytest.raises(WrongPassword):
            await passwords.judge(one, password)
    assert len(done) == 5 and len(set(done)) == 1
    passwords.close()


async def test_fips_judges_no_argon2_and_says_so() -> None:
    plain, strict = Passwords(fips=False, chance=FakeChance()), Passwords(fips=True, chance=FakeChance())
    argon2 = await plain.hashed(b"geheim")
    pbkdf2 = await strict.hashed(b"geheim")
    assert not strict.usable(argon2) and strict.usable(pbkdf2) and plain.usable(pbkdf2)
    with pytest.raises(WrongPassword):
        await strict.judge(argon2, b"geheim")
    await plain.judge(pbkdf2, b"geheim")
    assert plain.is_outdated(pbkdf2) and not plain.is_outdated(argon2)
    plain.close()
    strict.close()


async def test_terms_that_have_grown_make_a_hash_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Passwords(fips=False, chance=FakeChance())
    known = await before.hashed(b"geheim")
    monkeypatch.setattr(module, "PASSES", 2)
    after = Passwords(fips=False, chance=FakeChance())
    assert after.is_outdated(known)
    await after.judge(known, b"geheim")
    before.close()
    after.close()


async def test_only_so_many_hashes_wait_and_the_rest_is_told_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    most, now = 0, 0
    lock = threading.Lock()

    def slow(phc: str, secret: bytes) -> bytes:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(20)
        with lock:
            now -= 1
        return bytes(32)

    monkeypatch.setattr(module, "_derive", slow)
    passwords = Passwords(fips=False, chance=FakeChance())
    tasks = [asyncio.ensure_future(passwords.hashed(b"x")) for _ in range(AT_ONCE + MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.hashed(b"x")
    tasks[0].cancel()  # Its thread works on, so it still counts.
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.hashed(b"x")
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most <= AT_ONCE
    for _ in range(20):
        await asyncio.sleep(0)
    await passwords.hashed(b"x")
    passwords.close()


@pytest.mark.parametrize(
    "phc",
    [
        "$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$" + "A" * 43,
        "$argon2id$v=19$m=64,t=99,p=1$c29tZXNhbHQ$" + "A" * 43,
        "$pbkdf2-sha512$i=99999999$c29tZXNhbHQ$" + "A" * 43,
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$" + "A" * 43,
        "plain",
    ],
)
def test_a_stored_hash_that_asks_too_much_is_not_worked_on(phc: str) -> None:
    with pytest.raises(ValueError, match="a stored password hash") as caught:
        module._derive(phc, b"geheim")
    assert "geheim" not in str(caught.value)
