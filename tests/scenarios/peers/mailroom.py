"""A gateway with mailboxes, and what people do with it: write to it, read from it, look into its stores."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from gateway.app.places import Places
from gateway.settings.load import loaded
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.imap import RawImap, Refused, Session, connected
from tests.scenarios.peers.mail_programs import Reader
from tests.scenarios.peers.ports import answers, free_port, until
from tests.scenarios.peers.raw import Raw

IDA, BERT, OTTO = "ida@corp.example", "bert@corp.example", "otto@partner.example"
PASSWORD: Final = "Kakapo-7788-perambulate"
MARK: Final = re.compile(rb"^X-Mark: ([^\r\n]+)\r$", re.MULTILINE)


@dataclass
class Mailroom:
    """`port` is where it speaks IMAP. Everybody has the same password."""

    gateway: Gateway
    port: int
    vaults: dict[str, Path] = field(default_factory=dict)  # The folders of the file vaults.

    @property
    def ca(self) -> Path:
        return self.gateway.folder / "certs" / "ca.pem"

    @property
    def blobs(self) -> Path:
        """Where contents lie, while they lie in a folder."""
        return self.gateway.folder / "data" / "mailboxes"

    def start(self) -> Mailroom:
        """The gateway with all its processes; returns once it speaks IMAP."""
        self.gateway.start()
        until(lambda: answers(self.port), f"the gateway to listen for IMAP\n{self.gateway.log}")
        return self

    # -- commands ---------------------------------------------------------------------------------------------------

    def does(self, *arguments: str, stdin: str | None = None) -> str:
        """What a command says that must succeed."""
        done = self.gateway.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{arguments}: {done.stderr}\n{self.gateway.log[-4000:]}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def refuses(self, *arguments: str) -> str:
        """What a command says that must answer no, in words for whoever has to act."""
        done = self.gateway.run(*arguments)
        assert done.returncode == 1, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.stderr.strip(), arguments
        assert "Traceback" not in done.stderr
        return done.stderr

    def create(self, address: str, *options: str) -> None:
        self.does("mailbox", "create", address, "--password-stdin", *options, stdin=PASSWORD + "\n")

    def policy(self, name: str = "default") -> dict[str, Any]:
        """What `policy show` tells."""
        return dict(self.gateway.json("policy", "show", name))

    def mailbox(self, address: str) -> dict[str, Any]:
        """What `mailbox show` tells."""
        return dict(self.gateway.json("mailbox", "show", address))

    def warnings(self) -> list[str]:
        """What `gateway status` warns of."""
        return [one["text"] for one in self.gateway.ask("status")["warnings"]]

    # -- mail -------------------------------------------------------------------------------------------------------

    def post(self, octets: bytes, *recipients: str, sender: str = OTTO) -> str:
        """The reply to a message, or to whichever command was refused."""
        with Raw(self.gateway.port, seconds=60) as client:
            client.hello()
            for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients or (IDA,)), "DATA"):
                said = client.ask(command)
                if said[:1] not in "23":
                    return said
            client.send(re.sub(rb"(?m)^\.", b"..", octets) + (b"" if octets.endswith(b"\r\n") else b"\r\n"))
            return client.ask(".")

    def write(self, mark: object, *recipients: str, text: bytes = b"Good morning.\r\n") -> str:
        """Send a message with that mark, which must be taken; its queue id."""
        said = self.post(f"Subject: mark {mark}\r\nX-Mark: {mark}\r\n\r\n".encode() + text, *recipients)
        assert said.startswith("250"), said
        return said.split()[-1]

    # -- reading ----------------------------------------------------------------------------------------------------

    def reader(self, address: str = IDA) -> Reader:
        return Reader(self.port, self.ca, address, PASSWORD)

    def session(self, address: str = IDA) -> Session:
        return Session(self.port, self.ca, address, PASSWORD)

    def raw(self) -> RawImap:
        return RawImap(self.port, self.ca)

    def count(self, address: str = IDA, folder: str = "INBOX") -> int:
        with self.session(address) as session:
            return session.status(folder, "MESSAGES")["MESSAGES"]

    def arrived(self, count: int, address: str = IDA, folder: str = "INBOX", seconds: float = 30.0) -> list[bytes]:
        """All messages of a folder, once there are at least so many."""
        with self.session(address) as session:
            until(
                lambda: session.status(folder, "MESSAGES")["MESSAGES"] >= count,
                f"{count} messages in {folder} of {address}",
                seconds,
            )
            return session.all(folder)

    def closed(self, address: str = IDA, word: str = "[UNAVAILABLE]") -> str:
        """What somebody hears whose mailbox is closed, once it is. `word` is the code with which it begins."""

        def look() -> str:
            connection = connected(self.port, self.ca)
            try:
                connection.login(address, PASSWORD)
                kind, said = connection.select("INBOX")
                if kind == "OK":
                    kind, said = connection.uid("FETCH", "1:*", "(BODY.PEEK[])")
                return b" ".join(one for one in said if isinstance(one, bytes)).decode() if kind == "NO" else ""
            finally:
                connection.shutdown()

        said = until(look, f"the mailbox of {address} to be closed", 20)
        assert said.startswith(word), said
        return said

    def opens(self, address: str = IDA, seconds: float = 20.0) -> list[bytes]:
        """All messages of the inbox, once it opens."""

        def look() -> list[bytes] | None:
            try:
                with self.session(address) as session:
                    return session.all()
            except Refused:
                return None

        found: list[list[bytes]] = []

        def opened() -> bool:
            found[:] = [one for one in (look(),) if one is not None]
            return bool(found)

        until(opened, f"the mailbox of {address} to open", seconds)
        return found[0]

    # -- stores -----------------------------------------------------------------------------------------------------

    @property
    def database(self) -> Path:
        return Places.of(loaded(self.gateway.config)).shared

    @property
    def postgres(self) -> str | None:
        """The address of its PostgreSQL, where it is on one."""
        url = loaded(self.gateway.config).settings.storage.url
        return url if url.startswith("postgresql:") else None

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the shared database, read by another program than ours."""
        if (url := self.postgres) is not None:
            with psycopg.connect(url, autocommit=True) as connection:
                return connection.execute(sql.replace("?", "%s").encode(), values).fetchall()
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(sql, values).fetchall()

    def change(self, sql: str, *values: object) -> int:
        """Change the shared database behind the gateway's back; how many rows were."""
        if (url := self.postgres) is not None:
            with psycopg.connect(url, autocommit=True) as connection:
                return connection.execute(sql.replace("?", "%s").encode(), values).rowcount
        with closing(sqlite3.connect(self.database, timeout=20)) as database, database:
            return database.execute(sql, values).rowcount

    def rows(self, *tables: str) -> dict[str, dict[Any, tuple[Any, ...]]]:
        """All rows of these tables by their first column."""
        return {table: {row[0]: row for row in self.query(f"SELECT * FROM {table}")} for table in tables}

    def chunks(self) -> dict[str, bytes]:
        """All blobs by name."""
        return {path.name: path.read_bytes() for path in self.blobs.rglob("*") if path.is_file()}


def marks(messages: list[bytes]) -> list[str]:
    """The marks of these messages, in their order."""
    return [found.group(1).decode() for one in messages if (found := MARK.search(one))]


def changed(before: dict[Any, tuple[Any, ...]], after: dict[Any, tuple[Any, ...]]) -> list[Any]:
    """The first column of the rows that are new, gone or not the same."""
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


@contextmanager
def open_mailroom(folder: Path, template: str, **values: object) -> Iterator[Mailroom]:
    """A gateway that was made with `init --imap`, with these settings, not started yet; removed at the end."""
    room = new_mailroom(folder, template, **values)
    try:
        yield room
    finally:
        room.gateway.remove()


def new_mailroom(folder: Path, template: str, **values: object) -> Mailroom:
    port = free_port()
    gateway = Gateway(folder, template)
    gateway.values |= {"IMAP": port, "MORE": ""} | values
    gateway.init("--imap", f"127.0.0.1:{port}")
    vaults = {"main": folder / "vault", "root-a": folder / "root-a", "root-b": folder / "root-b"}
    return Mailroom(gateway, port, vaults)


def shown(value: object) -> str:
    """A JSON value as one text, for looking whether something stands in it."""
    return json.dumps(value, ensure_ascii=False)
