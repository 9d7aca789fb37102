"""Logging in, and staying logged in: one answer for everything that is wrong, another for what is away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.accounts import login, passwords
from gateway.accounts.attempts import Attempts
from gateway.accounts.login import LogInEnded, LogInLater, LogInRefused, LogIns
from gateway.accounts.passwords import Busy, Passwords
from gateway.accounts.register import Register
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import Denied
from gateway.storage.accounts import Account, AccountStore
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageAway, StorageBroken
from tests.fakes.accounts import FakeShared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

KEYS = {("accounts", 1): b"a" * 32, ("token", 1): b"k" * 32}
HOME = "192.0.2.7"


class House:
    """A register with Ida in it, and who judges log-ins."""

    def __init__(self, *, fips: bool = False, shared: FakeShared | None = None) -> None:
        self.shared = shared or FakeShared()
        self.clock = FakeClock()
        chance = FakeChance()
        self.store = AccountStore(self.shared, KeySealer(DomainKeys(KEYS), chance))
        self.passwords = Passwords(fips=fips, chance=chance)
        self.register = Register(self.store, self.passwords, clock=self.clock, chance=chance)
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.log_ins = LogIns(
            self.store, self.passwords, Attempts(self.clock, chance), clock=self.clock, tell=self._tell
        )

    def _tell(self, level: str, event: str, **facts: Any) -> None:
        self.told.append((level, event, facts))

    async def with_ida(self) -> House:
        await self.register.add("ida", ["ida@corp.example"], "geheim123")
        return self

    async def account(self) -> Account:
        found = await self.store.get("ida")
        assert found is not None
        return found


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MEMORY", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)
    monkeypatch.setattr(passwords, "ROUNDS", 10)


@pytest.fixture
async def house() -> House:
    return await House().with_ida()


async def test_closed_keys_are_no_wrong_password(house: House) -> None:
    user = await house.log_ins.log_in("ida", "geheim123", HOME)
    sealer = house.store._sealer
    assert isinstance(sealer, KeySealer)
    sealer.take(DomainKeys({}), otherwise=Denied("the key is disabled"))
    for _ in range(20):  # And they count as no attempt: nobody is locked out for it.
        with pytest.raises(LogInLater, match=login.AWAY):
            await house.log_ins.log_in("ida", "geheim123", HOME)
    with pytest.raises(LogInLater, match=login.AWAY):
        await house.log_ins.still(user)
    sealer.take(DomainKeys(KEYS))
    assert await house.log_ins.log_in("ida", "geheim123", HOME) == user


async def test_name_and_password_give_the_user(house: House) -> None:
    user = await house.log_ins.log_in("IDA", "geheim123", HOME)
    assert (user.name, user.addresses) == ("ida", ("ida@corp.example",))
    assert await house.log_ins.still(user) == user


@pytest.mark.parametrize(
    ("name", "password", "known"),
    [
        ("ida", "wrong", "ida"),
        ("ida", "", "ida"),
        ("ida", "x" * 5000, "ida"),
        ("ida", "geheim123\0", "ida"),
        ("otto", "geheim123", ""),
        ("", "", ""),
        ("geheim123", "ida", ""),
        ("\udcff", "\udcff", ""),
        ("x" * 20000, "geheim123", ""),
    ],
)
async def test_whatever_is_wrong_the_answer_is_the_same(house: House, name: str, password: str, known: str) -> None:
    with pytest.raises(LogInRefused, match=r"^name and password do not go together$") as caught:
        await house.log_ins.log_in(name, password, HOME)
    assert (caught.value.delay, caught.value.name) == (0.5, known)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


async def test_each_wrong_attempt_does_the_same_work(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.register.add("off", [], "geheim123")
    await house.register.set_disabled("off", True)
    judged = 0
    real = Passwords.judge

    async def counted(self: Passwords, known: str | None, secret: bytes) -> None:
        nonlocal judged
        judged += 1
        await real(self, known, secret)

    monkeypatch.setattr(Passwords, "judge", counted)
    for name, password in (("ida", "wrong"), ("nobody", "wrong"), ("off", "geheim123"), ("a b", "x"), ("ida", "\0")):
        calls = house.shared.calls
        with pytest.raises(LogInRefused):
            await house.log_ins.log_in(name, password, HOME)
        assert house.shared.calls == calls + 1
    assert judged == 5


async def test_guessing_is_told_to_come_later_and_the_right_password_then_too(house: House) -> None:
    for _ in range(6):
        with pytest.raises(LogInRefused):
            await house.log_ins.log_in("ida", "wrong", HOME)
    for password in ("wrong", "geheim123"):  # The answer does not depend on it.
        with pytest.raises(LogInLater, match="too_many_attempts"):
            await house.log_ins.log_in("ida", password, HOME)
    assert (await house.log_ins.log_in("ida", "geheim123", "198.51.100.1")).name == "ida"
    await house.clock.advance(3)
    assert (await house.log_ins.log_in("ida", "geheim123", HOME)).name == "ida"


async def test_hundreds_of_guesses_stay_cheap(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = 0
    real = Passwords.judge

    async def counted(self: Passwords, known: str | None, secret: bytes) -> None:
        nonlocal judged
        judged += 1
        await real(self, known, secret)

    monkeypatch.setattr(Passwords, "judge", counted)
    for number in range(800):
        with pytest.raises((LogInRefused, LogInLater)):
            await house.log_ins.log_in("ida", f"guess {number}", HOME)
    assert judged < 10
    assert (await house.log_ins.log_in("ida", "geheim123", "198.51.100.1")).name == "ida"


@pytest.mark.parametrize("error", [StorageBroken("gone"), SealBroken("damaged")])
async def test_what_is_away_is_no_wrong_password_and_does_not_count(house: House, error: Exception) -> None:
    user = await house.log_ins.log_in("ida", "geheim123", HOME)
    house.shared.away = error
    for _ in range(50):
        with pytest.raises(LogInLater, match="accounts_away"):
            await house.log_ins.log_in("ida", "geheim123", HOME)
    with pytest.raises(LogInLater, match="accounts_away"):
        await house.log_ins.still(user)
    house.shared.away = None
    assert await house.log_ins.log_in("ida", "geheim123", HOME) == user
    assert {event for _, event, _ in house.told} == {"accounts_away"}


@pytest.mark.parametrize("error", [StorageAway("the database is away"), KeysClosed("the key is disabled")])
async def test_what_is_known_to_be_away_is_not_told_with_each_login(house: House, error: Exception) -> None:
    user = await house.log_ins.log_in("ida", "geheim123", HOME)
    house.shared.away = error
    with pytest.raises(LogInLater, match="accounts_away"):
        await house.log_ins.log_in("ida", "geheim123", HOME)
    with pytest.raises(LogInLater, match="accounts_away"):
        await house.log_ins.still(user)
    assert house.told == []


async def test_too_many_hashes_at_once_are_no_wrong_password(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(self: Passwords, known: str | None, secret: bytes) -> None:
        raise Busy

    monkeypatch.setattr(Passwords, "judge", busy)
    for _ in range(50):
        with pytest.raises(LogInLater, match="busy"):
            await house.log_ins.log_in("ida", "geheim123", HOME)


async def test_a_database_that_hangs_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    async def hang(self: AccountStore, name: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(AccountStore, "get", hang)
    attempt = asyncio.ensure_future(house.log_ins.log_in("ida", "geheim123", HOME))
    await house.clock.advance(login.JUDGING + 1)
    with pytest.raises(LogInLater, match="accounts_away"):
        await attempt


async def test_right_passwords_never_close_a_door(house: House) -> None:
    for _ in range(150):
        await house.log_ins.log_in("ida", "geheim123", HOME)


async def test_a_disabled_account_ends_a_log_in_whatever_its_epoch(house: House) -> None:
    user = await house.log_ins.log_in("ida", "geheim123", HOME)
    await house.store.change("ida", lambda now: replace(now, disabled=True))
    with pytest.raises(LogInEnded):
        await house.log_ins.still(user)


async def test_changes_end_a_log_in_at_once(house: House) -> None:
    async def log_in(password: str = "geheim123") -> Any:
        return await house.log_ins.log_in("ida", password, HOME)

    user = await log_in()
    await house.register.set_disabled("ida", True)
    with pytest.raises(LogInEnded):
        await house.log_ins.still(user)
    with pytest.raises(LogInRefused):
        await log_in()
    await house.register.set_disabled("ida", False)
    with pytest.raises(LogInEnded):  # Who was out must log in again.
        await house.log_ins.still(user)
    user = await log_in()
    await house.register.set_password("ida", "anders456")
    with pytest.raises(LogInEnded):
        await house.log_ins.still(user)
    user = await log_in("anders456")
    await house.register.remove("ida")
    with pytest.raises(LogInEnded):
        await house.log_ins.still(user)
    await house.with_ida()  # Another account of the same name.
    with pytest.raises(LogInEnded):
        await house.log_ins.still(user)


async def test_new_addresses_count_at_once_and_end_no_log_in(house: House) -> None:
    user = await house.log_ins.log_in("ida", "geheim123", HOME)
    await house.register.change_addresses("ida", add=["sales@corp.example"], remove=["ida@corp.example"])
    assert (await house.log_ins.still(user)).addresses == ("sales@corp.example",)


async def test_a_log_in_renews_a_hash_on_older_terms_and_ends_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await house.log_ins.log_in("ida", "geheim123", HOME)
    old = (await house.account()).password
    monkeypatch.setattr(passwords, "PASSES", 2)
    later = House(shared=house.shared)
    user = await later.log_ins.log_in("ida", "geheim123", HOME)
    new = (await house.account()).password
    assert new != old and ",t=2," in new
    assert user == before and await later.log_ins.still(before) == before
    assert await later.log_ins.log_in("ida", "geheim123", HOME) == user
    assert (await house.account()).password == new


async def test_a_hash_that_can_not_be_renewed_keeps_nobody_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSES", 2)
    later = House(shared=house.shared)

    async def broken(*arguments: object) -> None:
        raise StorageBroken("read only")

    monkeypatch.setattr(AccountStore, "change", broken)
    assert (await later.log_ins.log_in("ida", "geheim123", HOME)).name == "ida"
    assert [event for _, event, _ in later.told] == ["password_hash_not_renewed"]


async def test_renewing_does_not_bring_an_old_password_back(house: House) -> None:
    account = await house.account()
    await house.register.set_password("ida", "anders456")
    await house.log_ins._renew(account, b"geheim123")  # The log-in was judged before the password was changed.
    with pytest.raises(LogInRefused):
        await house.log_ins.log_in("ida", "geheim123", HOME)
    assert (await house.log_ins.log_in("ida", "anders456", HOME)).name == "ida"


async def test_under_fips_an_argon2_hash_lets_nobody_in_until_a_new_password_is_set(house: House) -> None:
    strict = House(fips=True, shared=house.shared)
    with pytest.raises(LogInRefused):
        await strict.log_ins.log_in("ida", "geheim123", HOME)
    assert [usable for _, usable in await strict.register.all()] == [False]
    await strict.register.set_password("ida", "geheim123")
    assert (await strict.log_ins.log_in("ida", "geheim123", HOME)).name == "ida"
    assert (await house.account()).password.startswith("$pbkdf2-sha512$")
    assert (await house.log_ins.log_in("ida", "geheim123", HOME)).name == "ida"  # And back: renewed to Argon2id.
    assert (await house.account()).password.startswith("$argon2id$")


async def test_nothing_that_is_told_or_shown_holds_a_password(house: House) -> None:
    user = await house.log_ins.log_in("ida", "geheim123", HOME)
    account = await house.account()
    shown = repr([user, account, replace(account), house.log_ins, house.passwords, house.store, house.told])
    assert "geheim123" not in shown and account.password not in shown
