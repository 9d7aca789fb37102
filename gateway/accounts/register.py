"""The register of accounts, as `gateway user` changes it. Every change counts at once, in every process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from gateway.accounts.model import own_address
from gateway.accounts.names import SHORT_PASSWORD, BadName, BadPassword, normal_name, prepared_password
from gateway.accounts.passwords import Busy, Passwords
from gateway.mail.address import BadAddress
from gateway.storage.accounts import Account, AccountStore
from gateway.world.chance import Chance
from gateway.world.clock import Clock

MOST_ADDRESSES: Final = 1000  # Of one account.
MAX_ADDRESS: Final = 254  # Characters; anything longer is no address (RFC 5321 4.5.3.1.3).
GENERATED: Final = 20  # Characters of 32: 100 bits.

# Without letters and digits that look alike: it may be read out or typed from paper.
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class RegisterFault(Exception):
    """The answer is no; the text is for people and holds no password."""


class Register:
    """Adds, changes and removes accounts. Raises RegisterFault, StorageBroken, SealBroken."""

    def __init__(self, store: AccountStore, passwords: Passwords, *, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._chance = chance

    async def all(self) -> list[tuple[Account, bool]]:
        """Every account by name, and whether its password can be judged here (a FIPS gateway judges no Argon2)."""
        return [(account, self._passwords.usable(account.password)) for account in await self._store.all()]

    async def get(self, name: str) -> Account | None:
        """The account of that name; None where there is none."""
        return await self._store.get(_name(name))

    async def add(self, name: str, addresses: Iterable[str], password: str) -> Account:
        """A new account."""
        account = Account(
            id=self._chance.octets(16).hex(),
            name=_name(name),
            addresses=_addresses(addresses),
            password=await self._hashed(password),
            created=self._clock.now(),
        )
        if not await self._store.add(account):
            raise RegisterFault(f"there is an account {account.name} already; gateway user list shows them")
        return account

    async def set_password(self, name: str, password: str) -> Account:
        """Another password; whoever is logged in with the old one must log in again."""
        name = _name(name)
        hashed = await self._hashed(password)
        return _there(
            name,
            await self._store.change(name, lambda now: replace(now, password=hashed, epoch=now.epoch + 1)),
        )

    async def set_disabled(self, name: str, disabled: bool) -> Account:
        """Keep the account but let nobody in, or let its user in again."""
        name = _name(name)

        def edit(now: Account) -> Account:
            return now if now.disabled == disabled else replace(now, disabled=disabled, epoch=now.epoch + 1)

        return _there(name, await self._store.change(name, edit))

    async def remove(self, name: str) -> str:
        """Forget the account; its name in the form in which it was kept."""
        name = _name(name)
        if not await self._store.remove(name):
            raise _missing(name)
        return name

    async def change_addresses(self, name: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Account:
        """Give addresses to an account or take them from it; they count at once for those who are logged in too."""
        name = _name(name)
        more, less = _addresses(add), _addresses(remove)

        def edit(now: Account) -> Account:
            if missing := [one for one in less if one not in now.addresses]:
                raise RegisterFault(f"{name} does not have the address {missing[0]}; it has {_listed(now.addresses)}")
            kept = [one for one in now.addresses if one not in less]
            return replace(now, addresses=_bounded(dict.fromkeys([*kept, *more])))

        return _there(name, await self._store.change(name, edit))

    def generated(self) -> str:
        """A password that nobody guesses, four groups of five."""
        letters = "".join(_ALPHABET[octet & 31] for octet in self._chance.octets(GENERATED))
        return "-".join(letters[place : place + 5] for place in range(0, GENERATED, 5))

    async def _hashed(self, password: str) -> str:
        try:
            return await self._passwords.hashed(prepared_password(password))
        except BadPassword as error:
            raise RegisterFault(str(error)) from None
        except Busy:
            raise RegisterFault("too many people log in at this moment; try again") from None


def is_short(password: str) -> bool:
    """Whether a password is so short that one should be warned of it."""
    return len(password.encode("utf-8", "surrogatepass")) < SHORT_PASSWORD


def _name(text: str) -> str:
    try:
        return normal_name(text)
    except BadName as error:
        raise RegisterFault(str(error)) from None


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in texts:
        try:
            if len(text) > MAX_ADDRESS:
                raise BadAddress("the address is too long")
            found[own_address(text)] = None
        except BadAddress as error:
            right = "right would be ida@corp.example, or *@corp.example for all of a domain"
            raise RegisterFault(f"{text[:MAX_ADDRESS]} is no address ({error}); {right}") from None
    return _bounded(found)


def _bounded(addresses: Iterable[str]) -> tuple[str, ...]:
    made = tuple(addresses)
    if len(made) > MOST_ADDRESSES:
        raise RegisterFault(f"an account has at most {MOST_ADDRESSES} addresses; *@DOMAIN stands for all of a domain")
    return made


def _there(name: str, account: Account | None) -> Account:
    if account is None:
        raise _missing(name)
    return account


def _missing(name: str) -> RegisterFault:
    return RegisterFault(f"there is no account {name}; gateway user list shows those that are there")


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join(addresses[:10]) if addresses else "none"
