"""The way to the PostgreSQL database that the settings name, and the terms of each session on it.

A 250 rests on `synchronous_commit`, so each session sets it for itself, whatever the server's default is. Leaves out:
what the server's own disk does (`fsync`); `gateway check` asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool, Pool

from gateway.settings.load import Loaded
from gateway.storage.postgres import arrays
from gateway.storage.postgres.meaning import meaning, refusal
from gateway.storage.writer import StorageBroken

Connection = psycopg.Connection[tuple[Any, ...]]

OLDEST: Final = 13  # Older ones get no security fixes any more.
SCHEMES: Final = ("postgresql:", "postgres:")
MAX_PASSWORD: Final = 4096  # Octets of a password file; anything longer is another file.

# Every wait has a deadline (DESIGN 16). Milliseconds, as the server counts.
STATEMENT: Final = 30_000
LOCK: Final = 10_000  # Less than STATEMENT, so that the error says what it waited for.
IDLE_IN_TRANSACTION: Final = 60_000  # A node that hangs holds its locks no longer.

# What the address does not say otherwise. Seconds, but for tcp_user_timeout: milliseconds until octets that the server
# does not acknowledge end the connection. A dead network is so noticed within half a minute.
_DEFAULTS: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "target_session_attrs": "read-write",  # Of several hosts the primary, also after a failover.
    "client_encoding": "UTF8",  # Not the database's, which may be none at all.
}
_SECRETS: Final = frozenset({"password", "sslpassword"})

# `remote_apply` promises more than `on`; everything else promises less, or the same.
_TERMS: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'"
    "; SET client_min_messages = warning"
    "; SET default_transaction_isolation = 'read committed'"
    "; SET jit = off"  # Our queries are short; compiling one takes longer than any of them.
    f"; SET idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION}"
)


class BadAddress(ValueError):
    """The address is none of a PostgreSQL database. The text shows nothing of it: it may hold a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the database is and as whom we come. Nothing secret shows in its repr, and nothing is opened yet."""

    parameters: tuple[tuple[str, str], ...] = field(repr=False)
    shown: str  # For people: `the database "gateway" at db.corp.example`.
    password_file: Path | None = None

    @staticmethod
    def from_settings(loaded: Loaded) -> Database:
        """The database of `[storage]`. Raises BadAddress."""
        storage = loaded.settings.storage
        file = None if storage.password_file is None else loaded.resolve(storage.password_file)
        return Database.at(storage.url, password_file=file)

    @staticmethod
    def at(url: str, *, password_file: Path | None = None) -> Database:
        """The database at a libpq address (`postgresql://...`). Raises BadAddress."""
        if not url.startswith(SCHEMES):
            raise BadAddress("no address that begins with postgresql://")
        if not url.isprintable():
            raise BadAddress("an address with control characters")
        try:
            found = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
        except (psycopg.Error, UnicodeDecodeError):
            # Not chained: libpq quotes what it does not understand. Its %XX need not make UTF-8.
            raise BadAddress("an address that libpq does not understand") from None
        if not all(value.isprintable() for key, value in found.items() if key not in _SECRETS):
            raise BadAddress("an address with control characters")
        # A password with `@` or `/` in it runs over into what follows, which is shown: then an @ is left over there.
        authority, _, rest = url.partition("://")[2].partition("/")
        over = "@" in rest or authority.count("@") > 1
        if over or "/" in found.get("dbname", "") or found.get("port", "").strip("0123456789,"):
            raise BadAddress("an address with @ or / inside a name or password, where %40 or %2F has to stand")
        for key, value in _DEFAULTS.items():
            found.setdefault(key, value)
        return Database(parameters=tuple(found.items()), shown=_shown(found), password_file=password_file)

    @property
    def has_password(self) -> bool:
        """Whether a password stands in the address itself."""
        return any(key in _SECRETS for key, _ in self.parameters)

    def get(self, key: str) -> str | None:
        """One parameter of libpq as the address has it, or our default; None: libpq's own. Not for secrets."""
        return None if key in _SECRETS else dict(self.parameters).get(key)

    def connect(
        self, name: str, *, autocommit: bool = True, statement: int = STATEMENT, lock: int = LOCK
    ) -> Connection:
        """A connection on our terms; `name` tells the server's administrator whose it is. Blocks.

        With `autocommit` transactions are begun by hand, by BEGIN or by psycopg's `transaction()`. `statement` and
        `lock` are the milliseconds that each may take; 0: no limit. Raises StorageBroken.
        """
        parameters: dict[str, str] = {**dict(self.parameters), "application_name": f"gateway {name}"}
        if self.password_file is not None:
            parameters["password"] = self._password(self.password_file)
        try:
            connection = psycopg.connect("", autocommit=True, **parameters)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise refusal(self.shown, error) from error
        try:
            version = connection.info.server_version // 10_000
            if version < OLDEST:
                raise StorageBroken(f"{self.shown} is PostgreSQL {version}; right would be {OLDEST} or newer")
            _set_terms(connection, statement, lock)
            arrays.register(connection)
            connection.autocommit = autocommit
        except psycopg.Error as error:
            connection.close()
            raise meaning(self.shown, error) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def engine(
        self,
        name: str,
        pool: type[Pool] = NullPool,
        *,
        statement: int = STATEMENT,
        lock: int = LOCK,
        cursors: type[psycopg.Cursor[Any]] = psycopg.Cursor,
    ) -> Engine:
        """An engine of SQLAlchemy on such connections, with cursors of that kind. Errors never show parameters."""

        def connect() -> Connection:
            connection = self.connect(name, autocommit=False, statement=statement, lock=lock)
            connection.cursor_factory = cursors
            return connection

        return create_engine(
            "postgresql+psycopg://",
            creator=connect,
            poolclass=pool,
            hide_parameters=True,
        )

    def _password(self, file: Path) -> str:
        """Read for each connection, so that a new password takes effect without a restart. Raises StorageBroken."""
        try:
            with file.open("rb") as stream:
                octets = stream.read(MAX_PASSWORD + 1)
        except OSError as error:
            raise StorageBroken(f"{file}, which has the password for {self.shown}: {error.strerror}") from error
        if len(octets) > MAX_PASSWORD:
            raise StorageBroken(f"{file} is longer than {MAX_PASSWORD} octets; right would be a password alone")
        try:
            return octets.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise StorageBroken(f"{file} holds octets that are not UTF-8; right would be a password alone") from None


def _set_terms(connection: Connection, statement: int, lock: int) -> None:
    # One round trip: without parameters libpq takes several statements at once.
    connection.execute(f"{_TERMS}; SET statement_timeout = {statement}; SET lock_timeout = {lock}".encode())


def _shown(found: dict[str, str]) -> str:
    name = found.get("dbname") or found.get("user")
    base = "the database" if name is None else f'the database "{name}"'
    if service := found.get("service"):
        return f"{base} of the service {service}"
    host, port = found.get("host") or found.get("hostaddr"), found.get("port")
    if host is None:
        return f"{base} at libpq's default host"
    return f"{base} at {host}" + (f" port {port}" if port else "")
