"""People who may log in, as sessions and the register ask; and a connection that looks like TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from gateway.accounts.login import AWAY, LogInEnded, LogInLater, LogInRefused
from gateway.accounts.model import User
from gateway.storage.tables import SHARED

T = TypeVar("T")

IDA = User(id="1", name="ida", epoch=0, addresses=("ida@corp.example", "*@sales.corp.example"))


class FakeAccounts:
    """`passwords` by name, `users` by name. `asked` are name, password and address of each attempt.

    Switches: `away`: nothing can be judged; `ended`: whoever is logged in may no more; `delay` before a refusal.
    """

    def __init__(self) -> None:
        self.users = {"ida": IDA}
        self.passwords = {"ida": "geheim"}
        self.asked: list[tuple[str, str, str]] = []
        self.looks = 0
        self.away = False
        self.ended = False
        self.delay = 0.0

    async def log_in(self, name: str, password: str, address: str) -> User:
        self.asked.append((name, password, address))
        if self.away:
            raise LogInLater(AWAY)
        if self.passwords.get(name) != password:
            raise LogInRefused(self.delay, name if name in self.users else "")
        return self.users[name]

    async def still(self, user: User) -> User:
        self.looks += 1
        if self.away:
            raise LogInLater(AWAY)
        if self.ended:
            raise LogInEnded
        return self.users[user.name]


class FakeTls:
    """What a session sees of a connection under TLS."""

    def cipher(self) -> tuple[str, str, int]:
        return "TLS_AES_256_GCM_SHA384", "TLSv1.3", 256

    def version(self) -> str:
        return "TLSv1.3"


class FakeShared:
    """The shared database in memory, with its tables. `away` is raised by every call."""

    def __init__(self) -> None:
        self.engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
        )
        SHARED.create_all(self.engine)
        self.away: Exception | None = None
        self.calls = 0

    async def call(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
        self.calls += 1
        if self.away is not None:
            raise self.away
        with self.engine.begin() as connection:
            return run(connection)
