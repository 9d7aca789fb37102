"""People who may log in, as they lie in the shared database: found by a blind token of the name, all else sealed.

Runs on SQLite and PostgreSQL alike. Whoever calls gives names in their normal form (`gateway.accounts.names`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import orjson
from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from gateway.storage.inserting import insert_into
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.tables import accounts

T = TypeVar("T")

PURPOSE: Final = "accounts"
ORGANISATION: Final = "default"
_NAME: Final = "account name"
_MARK: Final = b"\x01"


class Transactions(Protocol):
    """The shared database, as it is asked here. `Shared` fulfils it, and so does PostgreSQL's."""

    async def call(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        """The result of `run`, once its transaction is on disk. Raises StorageFull, StorageBroken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person, or one program. `password` is a hash in the form of PHC strings, never the password.

    `addresses` may be used as senders; `*@corp.example` stands for all of a domain. `created` in seconds since 1970.
    `epoch` grows whenever those who are logged in must log in again.
    """

    id: str
    name: str
    addresses: tuple[str, ...]
    password: str = field(repr=False)
    created: float
    disabled: bool = False
    epoch: int = 0


class AccountStore:
    """The table `accounts`."""

    def __init__(self, shared: Transactions, sealer: Sealer) -> None:
        self._shared = shared
        self._sealer = sealer

    def __repr__(self) -> str:
        return "AccountStore()"

    async def get(self, name: str) -> Account | None:
        """The account of that name. Raises StorageBroken, SealBroken."""
        return await self._shared.call(lambda connection: self._get(connection, name), read=True)

    async def all(self) -> list[Account]:
        """Every account, by name. Raises StorageBroken, SealBroken."""

        def read(connection: Connection) -> list[Account]:
            rows = connection.execute(
                select(accounts.c.id, accounts.c.sealed).where(accounts.c.organisation == ORGANISATION)
            ).all()
            return sorted((self._opened(*row) for row in rows), key=lambda one: one.name)

        return await self._shared.call(read, read=True)

    async def add(self, account: Account) -> bool:
        """Keep a new account; False where the name is taken."""

        def insert(connection: Connection) -> bool:
            values = {
                "organisation": ORGANISATION,
                "token": self._token(account.name),
                "id": account.id,
                "sealed": self._sealed(account),
            }
            statement = (
                insert_into(connection, accounts).values(**values).on_conflict_do_nothing().returning(accounts.c.id)
            )
            return connection.execute(statement).first() is not None

        return await self._shared.call(insert)

    async def change(self, name: str, edit: Callable[[Account], Account]) -> Account | None:
        """Replace the account by what `edit` makes of it, in one transaction; None where there is no such name.

        `edit` keeps id and name. What it raises comes out, and nothing is changed.
        """

        def replace(connection: Connection) -> Account | None:
            before = self._get(connection, name, lock=True)
            if before is None:
                return None
            after = edit(before)
            if (after.id, after.name) != (before.id, before.name):
                raise ValueError("an account keeps its id and its name")
            if after != before:
                connection.execute(update(accounts).where(self._is(name)).values(sealed=self._sealed(after)))
            return after

        return await self._shared.call(replace)

    async def remove(self, name: str) -> bool:
        """Forget the account; False where there is no such name."""
        return await self._shared.call(
            lambda connection: connection.execute(delete(accounts).where(self._is(name))).rowcount == 1
        )

    def _token(self, name: str) -> int:
        return self._sealer.token(_NAME, name)

    def _is(self, name: str) -> ColumnElement[bool]:
        return and_(accounts.c.organisation == ORGANISATION, accounts.c.token == self._token(name))

    def _get(self, connection: Connection, name: str, *, lock: bool = False) -> Account | None:
        statement = select(accounts.c.id, accounts.c.sealed).where(self._is(name))
        row = connection.execute(statement.with_for_update() if lock else statement).first()
        if row is None:
            return None
        account = self._opened(*row)
        if account.name != name:  # Somebody wrote another's row under this name.
            raise SealBroken(f"the {PURPOSE} record {account.id} stands under another name than its own")
        return account

    def _sealed(self, account: Account) -> bytes:
        plain = orjson.dumps(
            {
                "name": account.name,
                "addresses": account.addresses,
                "password": account.password,
                "created": account.created,
                "disabled": account.disabled,
                "epoch": account.epoch,
            }
        )
        return self._sealer.seal(PURPOSE, account.id, _MARK + plain)

    def _opened(self, id_: str, sealed: bytes) -> Account:
        plain = self._sealer.open(PURPOSE, id_, bytes(sealed))
        if plain[:1] != _MARK:
            raise SealBroken(f"the {PURPOSE} record {id_} has an unknown version mark: a newer gateway wrote it")
        facts: dict[str, Any] = orjson.loads(plain[1:])
        return Account(
            id=id_,
            name=facts["name"],
            addresses=tuple(facts["addresses"]),
            password=facts["password"],
            created=facts["created"],
            disabled=facts["disabled"],
            epoch=facts["epoch"],
        )
