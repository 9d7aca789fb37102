"""Policies and mailbox keys in memory, and two vaults with a root each beside the service's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.keys.domain import DomainKeys
from gateway.keys.rotation import RootName
from gateway.keys.sealer import KeySealer
from gateway.mailboxes.policies.life import PolicyLife
from gateway.mailboxes.policies.mailbox_keys import MailboxKeys
from gateway.mailboxes.policies.policy_keys import PolicyKeys
from gateway.storage.mailboxes.faults import PolicyThere
from gateway.storage.mailboxes.model import ContentRow, Mailbox, MailboxState, PolicyRow, PolicyState, WrappedKey
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.vault import FakeVault

ROOT_A = RootName("a", "mail")
ROOT_B = RootName("b", "mail")
AVAILABILITY = RootName("main", "availability")


class AtOnce(Executor):
    """Does what it is given before `submit` returns: no thread, so that a clock of the test is enough."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as any executor
            future.set_exception(error)
        return future


class FakeRows:
    """Fulfils `KeyStore`. `writes` names each row that was written; `broken` is raised by each question."""

    def __init__(self) -> None:
        self.rows: dict[int, PolicyRow] = {}
        self.boxes: dict[int, Mailbox] = {}
        self.contents: dict[bytes, ContentRow] = {}
        self.writes: list[str] = []
        self.asked = 0  # How often one policy was read.
        self.broken: Exception | None = None
        self.rival: Callable[[], None] = lambda: None  # Called before each write: somebody else may be first.
        self._ids = 100

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def _ask(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def policies(self) -> list[PolicyRow]:
        self._ask()
        return list(self.rows.values())

    async def policy(self, id_: int) -> PolicyRow | None:
        self.asked += 1
        self._ask()
        return self.rows.get(id_)

    async def add_policy(self, policy: PolicyRow) -> PolicyRow:
        self._ask()
        self.rival()
        if any(row.name == policy.name for row in self.rows.values()):
            raise PolicyThere(f"there is a policy {policy.name!r} already")
        self.rows[policy.id] = replace(policy, edition=1)
        self.writes.append("policy")
        return self.rows[policy.id]

    async def replace_policy(self, before: PolicyRow, after: PolicyRow) -> PolicyRow | None:
        self._ask()
        self.rival()
        if self.rows[before.id].edition != before.edition:
            return None
        is_default = self.rows[before.id].is_default and after.state is not PolicyState.PURGED
        self.rows[before.id] = replace(after, edition=before.edition + 1, is_default=is_default)
        self.writes.append("policy")
        return self.rows[before.id]

    async def set_default_policy(self, id_: int | None) -> bool:
        self._ask()
        self.rows = {row.id: replace(row, is_default=row.id == id_) for row in self.rows.values()}
        return True

    async def all_mailboxes(self, *, policy: int | None = None) -> list[Mailbox]:
        self._ask()
        return [one for one in self.boxes.values() if policy is None or one.policy == policy]

    async def rolling(self) -> list[Mailbox]:
        self._ask()
        return [one for one in self.boxes.values() if one.next_key is not None and one.state is MailboxState.READY]

    async def get(self, id_: int) -> Mailbox | None:
        self._ask()
        return self.boxes.get(id_)

    async def assign(self, before: Mailbox, key: WrappedKey, next_key: WrappedKey | None = None) -> bool:
        self._ask()
        self.rival()
        there = self.boxes[before.id]
        if (there.key, there.next_key) != (before.key, before.next_key):
            return False
        self.boxes[before.id] = replace(there, policy=key.policy, key=key, next_key=next_key)
        self.writes.append("mailbox")
        return True

    async def contents_left(self, mailbox: int, version: int) -> int:
        return len(self._older(mailbox, version))

    async def contents_under_older(self, mailbox: int, version: int, *, limit: int) -> list[ContentRow]:
        self._ask()
        return self._older(mailbox, version)[:limit]

    def _older(self, mailbox: int, version: int) -> list[ContentRow]:
        return [one for one in self.contents.values() if one.mailbox == mailbox and one.key_version < version]

    async def rewrap(self, changes: Sequence[tuple[ContentRow, ContentRow]]) -> int:
        self._ask()
        self.rival()
        done = 0
        for before, after in changes:
            if self.contents.get(before.id) == before:
                self.contents[before.id] = after
                done += 1
        self.writes += ["content"] * done
        return done

    async def finish_roll(self, mailbox: int) -> bool:
        self._ask()
        box = self.boxes[mailbox]
        if box.next_key is None or self._older(mailbox, box.next_key.version):
            return False
        self.boxes[mailbox] = replace(box, key=box.next_key, next_key=None, policy=box.next_key.policy)
        return True


@dataclass
class Ground:
    """Everything that a test of policies stands on. `told` are (level, event, facts) of the log."""

    rows: FakeRows = field(default_factory=FakeRows)
    clock: FakeClock = field(default_factory=FakeClock)
    chance: FakeChance = field(default_factory=lambda: FakeChance("policies", share=0.0))
    told: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    a: FakeVault = field(default_factory=lambda: FakeVault("a", ("mail",)))
    b: FakeVault = field(default_factory=lambda: FakeVault("b", ("mail",)))
    main: FakeVault = field(default_factory=lambda: FakeVault("main"))
    executor: Executor = field(default_factory=AtOnce)

    def __post_init__(self) -> None:
        self.vaults = {"a": self.a, "b": self.b, "main": self.main}
        self.sealer = KeySealer(DomainKeys({("mailboxes", 1): b"d" * 32}), FakeChance("sealer"))
        self.life = PolicyLife(
            self.rows,
            self.vaults,
            availability=AVAILABILITY,
            clock=self.clock,
            chance=self.chance,
            executor=self.executor,
        )
        self.keys = self.policy_keys()
        self.mailbox_keys = MailboxKeys(
            self.rows,
            self.keys,
            self.sealer,
            clock=self.clock,
            chance=self.chance,
            tell=self.tell,
            executor=self.executor,
        )

    def policy_keys(self) -> PolicyKeys:
        """Those of a process that has just started."""
        return PolicyKeys(
            self.rows,
            self.vaults,
            availability=(AVAILABILITY.vault, AVAILABILITY.key),
            clock=self.clock,
            chance=self.chance,
            tell=self.tell,
            executor=self.executor,
        )

    def tell(self, level: str, event: str, **facts: Any) -> None:
        self.told.append((level, event, facts))

    def events(self) -> list[str]:
        """What was told, without the facts."""
        return [event for _, event, _ in self.told]

    async def policy(self, name: str = "house", **options: Any) -> PolicyRow:
        """A policy under ROOT_A and ROOT_B; what making it has asked of the vaults does not count."""
        row = await self.life.create(name, [ROOT_A, ROOT_B], **options)
        for vault in self.vaults.values():
            vault.wraps = vault.unwraps = 0
        self.rows.writes.clear()
        return row

    async def mailbox(self, policy: int | None, address: str = "ida@corp.example") -> Mailbox:
        """A mailbox under that policy."""
        id_ = self.rows.new_id()
        key = await self.mailbox_keys.new(id_, policy)
        self.rows.boxes[id_] = Mailbox(
            id=id_,
            address=address,
            account=address,
            policy=policy,
            key=key,
            next_key=None,
            quota=None,
            used=0,
            messages=0,
            created=self.clock.now(),
            state=MailboxState.READY,
        )
        return self.rows.boxes[id_]

    def content(self, mailbox: int, number: int, version: int = 1) -> ContentRow:
        """A content whose map says under which version it lies."""
        row = ContentRow(
            id=number.to_bytes(16, "big"),
            mailbox=mailbox,
            key_version=version,
            size=10,
            blobs=(),
            map=b"map under %d" % version,
            head=b"",
            created=0.0,
        )
        self.rows.contents[row.id] = row
        return row
