"""What is known of the keys with which mail is signed, as it lies in the shared database: all sealed.

The private keys lie in the vaults. Runs on SQLite and PostgreSQL alike. Domains are A-labels in lower case.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from gateway.storage.accounts import Transactions
from gateway.storage.inserting import insert_into
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.tables import dkim_keys

PURPOSE: Final = "dkim"
ORGANISATION: Final = "default"
_TOKEN: Final = "dkim key"  # noqa: S105 - what blind tokens of these names are made for
_MARK: Final = b"\x01"


class Algorithm(StrEnum):
    """How a key signs (RFC 6376 3.3, RFC 8463 3), as a= has it."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"


class Use(StrEnum):
    """What a key is for at present."""

    ACTIVE = "active"  # Mail is signed with it.
    NEXT = "next"  # It was made by a rotation and waits, until its record is published, to be activated.
    RETIRED = "retired"  # Nothing is signed with it any more; its record stays for mail that is on its way.


@dataclass(frozen=True, slots=True, kw_only=True)
class DkimKey:
    """One key. `key` names it in `vault`; `version` is the one whose public half, `public`, the DNS has.

    `public` is a SubjectPublicKeyInfo in DER (RFC 5280 4.1), `created` in seconds since 1970.
    """

    id: str
    domain: str
    selector: str
    algorithm: Algorithm
    vault: str
    key: str
    version: int
    public: bytes
    use: Use
    created: float


class DkimKeyStore:
    """The table `dkim_keys`. Raises StorageFull, StorageBroken, SealBroken."""

    def __init__(self, shared: Transactions, sealer: Sealer) -> None:
        self._shared = shared
        self._sealer = sealer

    def __repr__(self) -> str:
        return "DkimKeyStore()"

    async def all(self) -> list[DkimKey]:
        """Every key, by domain, the oldest first."""
        return await self._shared.call(self._all, read=True)

    def read(self, connection: Connection) -> list[DkimKey]:
        """Every key, as `all` has them, for whoever has a connection and no loop. Blocks."""
        return self._all(connection)

    async def add(self, keys: Sequence[DkimKey]) -> DkimKey | None:
        """Keep new keys, all or none: the first of them whose domain and selector are taken, or None."""

        def insert(connection: Connection) -> DkimKey | None:
            there = {(one.domain, one.selector) for one in self._all(connection)}
            if taken := next((key for key in keys if (key.domain, key.selector) in there), None):
                return taken
            for key in keys:
                values = {
                    "organisation": ORGANISATION,
                    "token": self._token(key),
                    "id": key.id,
                    "sealed": self._sealed(key),
                }
                statement = insert_into(connection, dkim_keys).values(**values).on_conflict_do_nothing()
                if connection.execute(statement.returning(dkim_keys.c.id)).first() is None:
                    raise _Taken(key)  # Another gateway was quicker: what was put in before goes back.
            return None

        try:
            return await self._shared.call(insert)
        except _Taken as taken:
            return taken.key

    async def change(self, edit: Callable[[list[DkimKey]], list[DkimKey]]) -> list[DkimKey]:
        """Replace keys by what `edit` makes of them all, in one transaction; those that it leaves out are forgotten.

        `edit` keeps id, domain and selector, and adds none. What it raises comes out, and nothing is changed.
        """

        def replace(connection: Connection) -> list[DkimKey]:
            before = self._all(connection, lock=True)
            after = {one.id: one for one in edit(list(before))}
            for old in before:
                new = after.get(old.id)
                if new is None:
                    connection.execute(delete(dkim_keys).where(self._is(old)))
                elif new != old:
                    if self._token(new) != self._token(old):
                        raise ValueError("a key keeps its domain and its selector")
                    connection.execute(update(dkim_keys).where(self._is(old)).values(sealed=self._sealed(new)))
            return list(after.values())

        return await self._shared.call(replace)

    def _token(self, key: DkimKey) -> int:
        return self._sealer.token(_TOKEN, f"{key.domain}\n{key.selector}")

    def _is(self, key: DkimKey) -> ColumnElement[bool]:
        return and_(dkim_keys.c.organisation == ORGANISATION, dkim_keys.c.token == self._token(key))

    def _all(self, connection: Connection, *, lock: bool = False) -> list[DkimKey]:
        statement = select(dkim_keys.c.id, dkim_keys.c.token, dkim_keys.c.sealed)
        statement = statement.where(dkim_keys.c.organisation == ORGANISATION)
        rows = connection.execute(statement.with_for_update() if lock else statement).all()
        found = []
        for id_, token, sealed in rows:
            key = self._opened(id_, bytes(sealed))
            if self._token(key) != token:  # Somebody wrote another's row under this name.
                raise SealBroken(f"the {PURPOSE} record {id_} stands under another name than its own")
            found.append(key)
        return sorted(found, key=lambda one: (one.domain, one.created, one.selector))

    def _sealed(self, key: DkimKey) -> bytes:
        plain = orjson.dumps(
            {
                "domain": key.domain,
                "selector": key.selector,
                "algorithm": key.algorithm.value,
                "vault": key.vault,
                "key": key.key,
                "version": key.version,
                "public": b64encode(key.public).decode(),
                "use": key.use.value,
                "created": key.created,
            }
        )
        return self._sealer.seal(PURPOSE, key.id, _MARK + plain)

    def _opened(self, id_: str, sealed: bytes) -> DkimKey:
        plain = self._sealer.open(PURPOSE, id_, sealed)
        if plain[:1] != _MARK:
            raise SealBroken(f"the {PURPOSE} record {id_} has an unknown version mark: a newer gateway wrote it")
        facts: dict[str, Any] = orjson.loads(plain[1:])
        return DkimKey(
            id=id_,
            domain=facts["domain"],
            selector=facts["selector"],
            algorithm=Algorithm(facts["algorithm"]),
            vault=facts["vault"],
            key=facts["key"],
            version=facts["version"],
            public=b64decode(facts["public"]),
            use=Use(facts["use"]),
            created=facts["created"],
        )


class _Taken(Exception):
    """Undoes the transaction in which it is raised."""

    def __init__(self, key: DkimKey) -> None:
        super().__init__("taken")
        self.key = key
