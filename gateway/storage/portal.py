"""What the portal remembers in the shared database: one-time codes, doors, sessions, and how often was tried.

Codes, doors and sessions lie sealed, found by blind tokens; counts are numbers beside blind tokens. Each question is
one transaction in which a try is counted before it is judged, so that neither many requests at once, nor several
processes, nor a restart give anybody a try more. Runs on SQLite and PostgreSQL alike.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol

import orjson
from sqlalchemy import Connection, Table, and_, delete, select, tuple_, update

from gateway.storage.accounts import Transactions
from gateway.storage.inserting import insert_into
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.tables import portal_codes, portal_counts, portal_sessions

PURPOSE: Final = "portal"
ORGANISATION: Final = "default"
_CODE: Final = "portal code"
_SESSION: Final = "portal session"
_DOOR: Final = "portal door"
_COUNT: Final = "portal count"
_MARK: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class KeptCode:
    """What is kept of a code; times in seconds since 1970. The words are those of `gateway.rights.passcode`."""

    reference: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    made: float
    ends: float
    tries_left: int


@dataclass(frozen=True, slots=True)
class KeptDoor:
    """A secret that was mailed to `whose` (`gateway.rights.passcode` calls it a door); it lies as its digest."""

    whose: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    ends: float


@dataclass(frozen=True, slots=True)
class KeptSession:
    """Who reads what: SHA-256 of the link, the reader's normal address, the message's id (hexadecimal, or None)."""

    link: bytes = field(repr=False)
    principal: str
    work: str | None
    ends: float


@dataclass(frozen=True, slots=True)
class KeptCount:
    """One count as it lies there; `number` may have a fraction, times are seconds since 1970."""

    number: float = 0.0
    at: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is counted: a kind, and whose."""

    kind: str
    whose: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge decides in the transaction: the counts and the code as they are to be kept (None: forgotten), a
    session to begin by its cookie's digest, a door to open, and what the caller wants to know.
    """

    counts: Mapping[Place, KeptCount] = field(default_factory=dict)
    code: KeptCode | None = None
    begins: tuple[bytes, KeptSession] | None = None
    opens: KeptDoor | None = None
    answer: Any = None


Judge = Callable[[KeptCode | None, Mapping[Place, KeptCount]], Judged]


class Forgetting(Protocol):
    """Seconds in which one of a kind is forgotten."""

    def __call__(self, kind: str) -> float:
        """Of that kind."""


class PortalStore:
    """The tables `portal_codes`, `portal_sessions`, `portal_counts`.

    Raises StorageFull, StorageBroken, SealBroken, KeysClosed.
    """

    def __init__(self, shared: Transactions, sealer: Sealer) -> None:
        self._shared = shared
        self._sealer = sealer

    def __repr__(self) -> str:
        return "PortalStore()"

    # -- codes --------------------------------------------------------------------------------------------------------

    async def judge(self, link: bytes, browser: bytes, places: Sequence[Place], judge: Judge) -> Any:
        """The answer of `judge`, which is given the code of this link and browser and the counts of these places, once
        all that it decides is on disk. Nobody else reads or writes them meanwhile.
        """

        def run(connection: Connection) -> Any:
            tokens = {place: self._count_token(place) for place in places}
            counts = self._locked_counts(connection, tokens)
            token = self._code_token(link, browser)
            before = self._code(connection, token, lock=True)
            judged = judge(before, counts)
            for place, count in judged.counts.items():
                if count != counts[place]:
                    self._put_count(connection, place.kind, tokens[place], count)
            if judged.code != before:
                self._put_code(connection, token, judged.code)
            if judged.begins is not None:
                self._put_session(connection, *judged.begins)
            if judged.opens is not None:
                self._put_door(connection, judged.opens)
            return judged.answer

        return await self._shared.call(run)

    async def code(self, link: bytes, browser: bytes) -> KeptCode | None:
        """What is kept of the code of this link and browser. Changes nothing."""
        token = self._code_token(link, browser)
        return await self._shared.call(lambda connection: self._code(connection, token), read=True)

    async def is_door(self, whose: bytes, secret: bytes, now: float) -> bool:
        """Whether that secret was mailed to them and counts. Changes nothing."""
        token, digest = self._door_token(whose, secret)

        def read(connection: Connection) -> bool:
            table = portal_codes.c
            row = connection.execute(
                select(table.sealed).where(table.organisation == ORGANISATION, table.token == token)
            ).first()
            if row is None:
                return False
            facts = self._opened("door", token, row.sealed)
            return b64decode(facts["door"]) == digest and now < float(facts["ends"])

        return await self._shared.call(read, read=True)

    # -- sessions -----------------------------------------------------------------------------------------------------

    async def session(self, cookie: bytes, now: float) -> KeptSession | None:
        """Whose cookie it is, where it still counts. Changes nothing."""
        token, digest = self._session_token(cookie)

        def read(connection: Connection) -> KeptSession | None:
            table = portal_sessions.c
            row = connection.execute(
                select(table.sealed).where(table.organisation == ORGANISATION, table.token == token)
            ).first()
            return None if row is None else self._opened_session(token, digest, row.sealed)

        found = await self._shared.call(read, read=True)
        return None if found is None or found.ends <= now else found

    async def end_session(self, cookie: bytes) -> None:
        """Forget it."""
        token, _ = self._session_token(cookie)
        table = portal_sessions.c
        statement = delete(portal_sessions).where(table.organisation == ORGANISATION, table.token == token)
        await self._shared.call(lambda connection: connection.execute(statement))

    # -- life ---------------------------------------------------------------------------------------------------------

    async def sweep(self, now: float, leaks: Mapping[str, float]) -> int:
        """Forget what has ended; how many rows went. `leaks`: seconds in which one of each kind is forgotten."""
        moment = _milliseconds(now)

        def run(connection: Connection) -> int:
            gone = 0
            for table in (portal_codes, portal_sessions):
                gone += connection.execute(delete(table).where(table.c.ends <= moment)).rowcount
            count = portal_counts.c
            for kind, leak in leaks.items():
                left = and_(count.until <= moment, count.at + count.number * int(leak) <= moment)
                gone += connection.execute(delete(portal_counts).where(count.kind == kind, left)).rowcount
            return gone

        return await self._shared.call(run)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _code_token(self, link: bytes, browser: bytes) -> int:
        return self._sealer.token(_CODE, sha256(link + sha256(browser).digest()).hexdigest())

    def _session_token(self, cookie: bytes) -> tuple[int, bytes]:
        digest = sha256(cookie).digest()
        return self._sealer.token(_SESSION, digest.hex()), digest

    def _door_token(self, whose: bytes, secret: bytes) -> tuple[int, bytes]:
        digest = sha256(sha256(whose).digest() + sha256(secret).digest()).digest()
        return self._sealer.token(_DOOR, digest.hex()), digest

    def _count_token(self, place: Place) -> int:
        return self._sealer.token(f"{_COUNT} {place.kind}", place.whose.hex())

    def _code(self, connection: Connection, token: int, *, lock: bool = False) -> KeptCode | None:
        table = portal_codes.c
        statement = select(table.sealed).where(table.organisation == ORGANISATION, table.token == token)
        row = connection.execute(statement.with_for_update() if lock else statement).first()
        if row is None:
            return None
        facts = self._opened("code", token, row.sealed)
        return KeptCode(
            reference=facts["reference"],
            salt=b64decode(facts["salt"]),
            digest=b64decode(facts["digest"]),
            made=facts["made"],
            ends=facts["ends"],
            tries_left=facts["tries_left"],
        )

    def _put_code(self, connection: Connection, token: int, code: KeptCode | None) -> None:
        table = portal_codes.c
        if code is None:
            connection.execute(delete(portal_codes).where(table.organisation == ORGANISATION, table.token == token))
            return
        facts = {
            "reference": code.reference,
            "salt": b64encode(code.salt).decode("ascii"),
            "digest": b64encode(code.digest).decode("ascii"),
            "made": code.made,
            "ends": code.ends,
            "tries_left": code.tries_left,
        }
        self._put(connection, portal_codes, token, code.ends, self._sealed("code", token, facts))

    def _put_door(self, connection: Connection, door: KeptDoor) -> None:
        token, digest = self._door_token(door.whose, door.secret)
        facts = {"door": b64encode(digest).decode("ascii"), "ends": door.ends}
        self._put(connection, portal_codes, token, door.ends, self._sealed("door", token, facts))

    def _put_session(self, connection: Connection, digest: bytes, session: KeptSession) -> None:
        token = self._sealer.token(_SESSION, digest.hex())
        facts = {
            "cookie": b64encode(digest).decode("ascii"),
            "link": b64encode(session.link).decode("ascii"),
            "principal": session.principal,
            "work": session.work,
            "ends": session.ends,
        }
        self._put(connection, portal_sessions, token, session.ends, self._sealed("session", token, facts))

    def _opened_session(self, token: int, digest: bytes, sealed: bytes) -> KeptSession | None:
        facts = self._opened("session", token, sealed)
        if b64decode(facts["cookie"]) != digest:  # The digest of 256 bits, which nobody can choose; tokens have 64.
            return None
        return KeptSession(b64decode(facts["link"]), facts["principal"], facts["work"], facts["ends"])

    def _put(self, connection: Connection, table: Table, token: int, ends: float, sealed: bytes) -> None:
        values = {"organisation": ORGANISATION, "token": token, "ends": _milliseconds(ends), "sealed": sealed}
        statement = insert_into(connection, table).values(**values)
        changed = {"ends": statement.excluded.ends, "sealed": statement.excluded.sealed}
        connection.execute(statement.on_conflict_do_update(index_elements=["organisation", "token"], set_=changed))

    def _locked_counts(self, connection: Connection, tokens: Mapping[Place, int]) -> dict[Place, KeptCount]:
        """In one order everywhere, so that two processes never wait for each other; a row that is not there yet is
        made, since only a row can be locked.
        """
        keys = sorted((place.kind, token) for place, token in tokens.items())
        if not keys:
            return {}
        empty = {"organisation": ORGANISATION, "number": 0, "at": 0, "until": 0}
        rows = [{**empty, "kind": kind, "token": token} for kind, token in keys]
        connection.execute(insert_into(connection, portal_counts).on_conflict_do_nothing(), rows)
        count = portal_counts.c
        statement = (
            select(count.kind, count.token, count.number, count.at, count.until)
            .where(count.organisation == ORGANISATION, tuple_(count.kind, count.token).in_(keys))
            .order_by(count.kind, count.token)
            .with_for_update()
        )
        found = {
            (row.kind, int(row.token)): KeptCount(row.number / 1000, row.at / 1000, row.until / 1000)
            for row in connection.execute(statement)
        }
        return {place: found[place.kind, token] for place, token in tokens.items()}

    def _put_count(self, connection: Connection, kind: str, token: int, count: KeptCount) -> None:
        table = portal_counts.c
        connection.execute(
            update(portal_counts)
            .where(table.organisation == ORGANISATION, table.kind == kind, table.token == token)
            .values(number=_milliseconds(count.number), at=_milliseconds(count.at), until=_milliseconds(count.until))
        )

    def _sealed(self, kind: str, token: int, facts: Mapping[str, object]) -> bytes:
        return self._sealer.seal(PURPOSE, f"{kind} {token}", _MARK + orjson.dumps(facts))

    def _opened(self, kind: str, token: int, sealed: bytes) -> dict[str, Any]:
        plain = self._sealer.open(PURPOSE, f"{kind} {token}", bytes(sealed))
        if plain[:1] != _MARK:
            raise SealBroken(f"the {PURPOSE} {kind} {token} has an unknown version mark: a newer gateway wrote it")
        facts: dict[str, Any] = orjson.loads(plain[1:])
        return facts


def _milliseconds(seconds: float) -> int:
    """Thousandths, rounded up: what is forgotten is never forgotten early by the rounding."""
    return -int(-seconds * 1000 // 1)
