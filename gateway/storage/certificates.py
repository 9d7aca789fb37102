"""Certificates for S/MIME as they lie in the shared database, and the private keys of those that are ours: all sealed.

A row is found by a blind token of the certificate's fingerprint; addresses and domains that it is used for have tokens
of their own. The private key is sealed apart, so that whoever reads which certificates there are unseals no key.
Runs on SQLite and PostgreSQL alike. Whoever calls gives addresses and domains in their normal form.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from gateway.storage.accounts import Transactions
from gateway.storage.announcing import announce
from gateway.storage.inserting import insert_into
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.tables import certificate_names, certificates

PURPOSE: Final = "certificates"
ORGANISATION: Final = "default"
_TOKEN: Final = "certificate"  # noqa: S105 - what blind tokens of these names are made for
_ADDRESS: Final = "certificate address"
_DOMAIN: Final = "certificate domain"
_MARK: Final = b"\x01"
_MANY: Final = 500  # Rows that one statement asks for by name; SQLite's limit of variables is 32,766.


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCertificate:
    """One certificate (DER), what leads from it to an anchor, and for whom it is used. `created`: seconds since 1970.

    `private`: its private key as it lies sealed, None where it is not ours; `CertificateStore.open_key` opens it.
    """

    der: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    created: float
    private: bytes | None = field(default=None, repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, hexadecimal."""
        return sha256(self.der).hexdigest()


@dataclass(frozen=True, slots=True)
class Changes:
    """What is other than a reader knew: `editions` of all rows by token, and those of the rows that he did not know."""

    editions: Mapping[int, int]
    fresh: Mapping[int, KeptCertificate]


class CertificateStore:
    """The tables `certificates` and `certificate_names`. Raises StorageFull, StorageBroken, SealBroken, KeysClosed."""

    def __init__(self, shared: Transactions, sealer: Sealer) -> None:
        self._shared = shared
        self._sealer = sealer

    def __repr__(self) -> str:
        return "CertificateStore()"

    # -- reading ------------------------------------------------------------------------------------------------------

    async def changes(self, known: Mapping[int, int]) -> Changes:
        """What has changed for one who knows rows of these tokens in these editions. Only what is new is opened."""

        def read(connection: Connection) -> Changes:
            columns = (certificates.c.token, certificates.c.edition)
            rows = connection.execute(select(*columns).where(certificates.c.organisation == ORGANISATION)).all()
            editions = {int(token): int(edition) for token, edition in rows}
            new = [token for token, edition in editions.items() if known.get(token) != edition]
            return Changes(editions, self._rows(connection, new))

        return await self._shared.call(read, read=True)

    async def all(self) -> list[KeptCertificate]:
        """Every certificate, the oldest first."""
        return sorted((await self.changes({})).fresh.values(), key=lambda one: (one.created, one.der))

    async def used_for(self, *, address: str | None = None, domain: str | None = None) -> list[KeptCertificate]:
        """Those that are used for an address, or for all of a domain, the oldest first."""

        def read(connection: Connection) -> list[KeptCertificate]:
            names = [self._sealer.token(_ADDRESS, address)] if address is not None else []
            names += [self._sealer.token(_DOMAIN, domain)] if domain is not None else []
            named = certificate_names.c
            statement = select(named.certificate).where(named.organisation == ORGANISATION, named.name.in_(names))
            tokens = [int(token) for token in connection.execute(statement).scalars().unique()]
            return sorted(self._rows(connection, tokens).values(), key=lambda one: (one.created, one.der))

        return await self._shared.call(read, read=True)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def put(
        self,
        new: Sequence[KeptCertificate],
        join: Callable[[KeptCertificate, KeptCertificate], KeptCertificate] = lambda before, after: after,
    ) -> list[tuple[KeptCertificate, bool]]:
        """Keep these, all or none. One that is there already becomes what `join(there, new)` makes of both.

        As they lie now, each with whether it was there before.
        """

        def write(connection: Connection) -> list[tuple[KeptCertificate, bool]]:
            done = []
            for one in new:
                token = self._token(one.fingerprint)
                there = self._rows(connection, [token], lock=True).get(token)
                if there is None and self._insert(connection, token, one):
                    done.append((one, False))
                    continue
                if there is None:  # Another gateway was quicker.
                    there = self._rows(connection, [token], lock=True)[token]
                after = join(there, one)
                if after.der != there.der:
                    raise ValueError("a row keeps its certificate")
                if after != there:
                    connection.execute(certificates.update().where(_is(token)).values(**self._values(token, after)))
                    self._name(connection, token, after)
                done.append((after, True))
            announce(connection, PURPOSE)
            return done

        return await self._shared.call(write)

    async def remove(self, fingerprints: Iterable[str]) -> int:
        """Forget these, their private keys too: how many there were."""
        tokens = [self._token(one) for one in fingerprints]

        def write(connection: Connection) -> int:
            count = 0
            for token in tokens:
                named = certificate_names.c
                connection.execute(delete(certificate_names).where(_mine(named.organisation, named.certificate, token)))
                count += connection.execute(delete(certificates).where(_is(token))).rowcount
            announce(connection, PURPOSE)
            return count

        return await self._shared.call(write)

    # -- private keys -------------------------------------------------------------------------------------------------

    def seal_key(self, fingerprint: str, pkcs8: bytes) -> bytes:
        """A private key (PKCS#8, DER) sealed for the certificate of that fingerprint: a value for `private`."""
        return self._sealer.seal(PURPOSE, _key_record(self._token(fingerprint)), _MARK + pkcs8)

    def open_key(self, kept: KeptCertificate) -> bytes | None:
        """The private key (PKCS#8, DER); None where it is not ours. Asks no database."""
        if kept.private is None:
            return None
        record = _key_record(self._token(kept.fingerprint))
        plain = self._sealer.open(PURPOSE, record, kept.private)
        if plain[:1] != _MARK:
            raise SealBroken(f"the {PURPOSE} record {record} has an unknown version mark: a newer gateway wrote it")
        return plain[1:]

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _token(self, fingerprint: str) -> int:
        return self._sealer.token(_TOKEN, fingerprint)

    def _rows(self, connection: Connection, tokens: Sequence[int], *, lock: bool = False) -> dict[int, KeptCertificate]:
        found: dict[int, KeptCertificate] = {}
        for start in range(0, len(tokens), _MANY):
            some = tokens[start : start + _MANY]
            statement = select(certificates.c.token, certificates.c.sealed, certificates.c.private).where(
                certificates.c.organisation == ORGANISATION, certificates.c.token.in_(some)
            )
            for token, sealed, private in connection.execute(statement.with_for_update() if lock else statement):
                found[int(token)] = self._opened(int(token), bytes(sealed), private)
        return found

    def _insert(self, connection: Connection, token: int, one: KeptCertificate) -> bool:
        values = {"organisation": ORGANISATION, "token": token, **self._values(token, one)}
        statement = insert_into(connection, certificates).values(**values).on_conflict_do_nothing()
        if connection.execute(statement.returning(certificates.c.token)).first() is None:
            return False
        self._name(connection, token, one)
        return True

    def _name(self, connection: Connection, token: int, one: KeptCertificate) -> None:
        """Write for whom it is used."""
        named = certificate_names.c
        connection.execute(delete(certificate_names).where(_mine(named.organisation, named.certificate, token)))
        names = {self._sealer.token(_ADDRESS, address) for address in one.addresses}
        names |= {self._sealer.token(_DOMAIN, domain) for domain in one.domains}
        rows = [{"organisation": ORGANISATION, "name": name, "certificate": token} for name in sorted(names)]
        if rows:
            connection.execute(insert(certificate_names), rows)

    def _values(self, token: int, one: KeptCertificate) -> dict[str, Any]:
        plain = orjson.dumps(
            {
                "der": b64encode(one.der).decode(),
                "chain": [b64encode(above).decode() for above in one.chain],
                "addresses": one.addresses,
                "domains": one.domains,
                "created": one.created,
            }
        )
        sealed = self._sealer.seal(PURPOSE, _record(token), _MARK + plain)
        # Each sealing is another: a reader who knows this number knows this writing.
        edition = int.from_bytes(sha256(sealed + (one.private or b"")).digest()[:8], "big", signed=True)
        return {"edition": edition, "sealed": sealed, "private": one.private}

    def _opened(self, token: int, sealed: bytes, private: Any) -> KeptCertificate:
        plain = self._sealer.open(PURPOSE, _record(token), sealed)
        if plain[:1] != _MARK:
            raise SealBroken(f"the {PURPOSE} record {_record(token)} has an unknown version mark: a newer gateway's")
        facts: dict[str, Any] = orjson.loads(plain[1:])
        kept = KeptCertificate(
            der=b64decode(facts["der"]),
            chain=tuple(b64decode(one) for one in facts["chain"]),
            addresses=tuple(facts["addresses"]),
            domains=tuple(facts["domains"]),
            created=facts["created"],
            private=None if private is None else bytes(private),
        )
        if self._token(kept.fingerprint) != token:  # It was sealed for this place, so only a fault of ours can do it.
            raise SealBroken(f"the {PURPOSE} record {_record(token)} stands under another name than its own")
        return kept


def _record(token: int) -> str:
    return f"{token & (1 << 64) - 1:016x}"


def _key_record(token: int) -> str:
    return f"{_record(token)}/key"


def _mine(organisation: ColumnElement[Any], column: ColumnElement[Any], token: int) -> ColumnElement[bool]:
    return and_(organisation == ORGANISATION, column == token)


def _is(token: int) -> ColumnElement[bool]:
    return _mine(certificates.c.organisation, certificates.c.token, token)
