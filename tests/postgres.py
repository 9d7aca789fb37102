"""A PostgreSQL server of the tests' own: started from Debian's package, in a temporary folder, and gone afterwards.

It needs no rights: where the tests run as root, the server runs as the package's account, since PostgreSQL refuses
root. It listens on a Unix socket in its folder and, for tests of logging in, on a free port of the loopback. `durable`
servers write to the disk as in earnest, for scenarios and measuring; the others do not, and start in half a second.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import psycopg

SUPERUSER = "gateway"
_PATIENCE = 60.0  # Seconds; two cores may be shared with much else.
_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=16MB", "max_wal_size=256MB")
# synchronous_commit: a default that is weaker than what a 250 needs, so that tests see each session set its own.
_PREFIX = "gateway-pg-"
_HELD = "held"  # A file in the folder, locked for as long as whoever made it lives.
_ACCOUNTS = ("postgres", "nobody")


def programs() -> Path | None:
    """The folder of the newest server's programs, or None where none is installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if folders:
        return folders[-1].parent
    found = shutil.which("postgres")
    return None if found is None else Path(found).resolve().parent


MISSING = "there is no PostgreSQL here; Debian's package postgresql has it"


def _sweep() -> None:
    """Remove what tests left behind that were killed: their servers ended with them, their folders did not."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            with (folder / _HELD).open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # Somebody's who lives, or not ours.
            continue


class Cluster:
    """One server. `start`, then `new_database` as often as wanted, then `stop`; also a context manager."""

    def __init__(self, *, durable: bool = False, settings: tuple[str, ...] = ()) -> None:
        """`settings` are such as `max_connections=20`, as postgresql.conf has them."""
        self._durable = durable
        self._settings = settings
        self._numbers = itertools.count(1)
        self._templates: set[str] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []
        self._held: IO[str] | None = None
        self.port = 0
        self.folder = Path()

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the server's folder and start it. On the thread that lives as long as the server shall."""
        bin_ = programs()
        if bin_ is None:
            raise RuntimeError(MISSING)
        # Not below pytest's own folders: their names are too long for a socket's path, and closed to other accounts.
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._held = (self.folder / _HELD).open("w")
        fcntl.flock(self._held, fcntl.LOCK_EX)
        try:
            as_whom = self._account()
            data = self.folder / "data"
            make = [*as_whom, str(bin_ / "initdb"), "--no-sync", "--no-instructions", "-A", "trust", "-U", SUPERUSER]
            make += ["-E", "UTF8", "--locale=C", "-D", str(data)]
            done = subprocess.run(make, capture_output=True, text=True, check=False, timeout=_PATIENCE, cwd="/")
            if done.returncode:
                raise RuntimeError(f"initdb failed: {done.stderr}")
            # Who reaches the socket may come in; by the network only with a password.
            rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
            (data / "pg_hba.conf").write_text(rules)
            self._launch(as_whom, bin_)
        except BaseException:
            self.stop()
            raise

    def _account(self) -> list[str]:
        """How to become somebody whom PostgreSQL takes; the folder belongs to him then."""
        # The server ends with us, however we end. INT: at once, but in order.
        last_will = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() != 0:
            return last_will
        for name in _ACCOUNTS:
            try:
                account = pwd.getpwnam(name)
            except KeyError:
                continue
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            return [*last_will, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        raise RuntimeError("there is no account but root to run PostgreSQL under")

    def _launch(self, as_whom: list[str], bin_: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
        options += ["max_connections=60", "log_min_messages=fatal", "autovacuum=off", "lc_messages=C"]
        options += [*(() if self._durable else _QUICK), *self._settings]
        self._command = [*as_whom, str(bin_ / "postgres"), "-D", str(self.folder / "data")]
        for option in options:
            self._command += ["-c", option]
        self.resume()

    def _wait(self) -> None:
        """Until it takes connections."""
        assert self._process is not None
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}") from error
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server and remove its folder. SIGINT: sessions are ended; SIGQUIT: as if it had crashed."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._held is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._held.close()
            self._held = None

    def halt(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server and keep its data, for `resume`. SIGQUIT: as if it had crashed."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)

    def resume(self) -> None:
        """Start the server again, on the same port and data."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")
        self._wait()

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """`halt`, then `resume`."""
        self.halt(how)
        self.resume()

    # -- databases ----------------------------------------------------------------------------------

    def connect(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the superuser to that database, each statement a transaction of its own."""
        return psycopg.connect(self.url(name), autocommit=True)

    def url(self, name: str, *, user: str = SUPERUSER, tcp: bool = False) -> str:
        """The address of that database, as gateway.toml has it. By `tcp` a password is asked for."""
        if tcp:
            return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"
        folder = str(self.folder).replace("/", "%2F")
        return f"postgresql://{user}@{folder}:{self.port}/{name}"

    def new_database(self, template: str | None = None) -> str:
        """The address of a new database, empty or as `template` (the name of one that nobody uses now)."""
        name = f"test{next(self._numbers)}"
        # Copying its files is the quickest; PostgreSQL 15 and newer have to be asked for it.
        with self.connect("postgres") as connection:
            how = " STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}{how}".encode())
        return self.url(name)

    def migrated(self) -> str:
        """The address of a new database in the form that this version expects. Migrating is slow: done once, copied."""
        if "migrated" not in self._templates:
            from gateway.storage.postgres.connection import Database
            from gateway.storage.postgres.migrate import migrate

            self.run("CREATE DATABASE migrated")
            migrate(Database.at(self.url("migrated")))
            self._templates.add("migrated")
        return self.new_database("migrated")

    def drop(self, url: str) -> None:
        """Remove a database, whoever still uses it."""
        self.run(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement of the superuser."""
        with self.connect("postgres") as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []
