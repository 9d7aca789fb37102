"""Data encryption policies: each one row, in which every wrapped copy of its key lies, sealed once more."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from gateway.storage.mailboxes.driver import Driver
from gateway.storage.mailboxes.faults import PolicyThere
from gateway.storage.mailboxes.ground import ORGANISATION, Ground
from gateway.storage.mailboxes.model import CopyKind, MailboxState, PolicyRow, PolicyState, WrappedCopy
from gateway.storage.writer import StorageBroken

_COLUMNS: Final = "id, edition, is_default, sealed"
_EVERY: Final = f"SELECT {_COLUMNS} FROM mailbox_policies WHERE organisation=?"  # noqa: S608 - constants alone
_BY_ID: Final = f"SELECT {_COLUMNS} FROM mailbox_policies WHERE id=?"  # noqa: S608
_BY_TOKEN: Final = f"{_EVERY} AND token=?"
_DEFAULT: Final = f"{_EVERY} AND is_default=1"
_REPLACED: Final = (
    "UPDATE mailbox_policies SET edition=?, sealed=?, is_default=CASE WHEN ? THEN 0 ELSE is_default END"
    " WHERE id=? AND edition=? RETURNING is_default"
)


class PolicyRows(Ground):
    """The table `mailbox_policies`."""

    async def policies(self) -> list[PolicyRow]:
        """Every policy, purged ones too, the oldest first."""

        def read(driver: Driver) -> list[PolicyRow]:
            rows = driver.rows(_EVERY, ORGANISATION)
            return sorted((self._opened_policy(row) for row in rows), key=lambda one: (one.created, one.id))

        return await self._read(read)

    async def policy(self, id_: int) -> PolicyRow | None:
        """The policy of that id; None where there is none."""

        def read(driver: Driver) -> PolicyRow | None:
            row = driver.row(_BY_ID, id_)
            return None if row is None else self._opened_policy(row)

        return await self._read(read)

    async def policy_named(self, name: str) -> PolicyRow | None:
        """The policy of that name; None where there is none."""
        token = self._token("policy", name)

        def read(driver: Driver) -> PolicyRow | None:
            row = driver.row(_BY_TOKEN, ORGANISATION, token)
            found = None if row is None else self._opened_policy(row)
            return found if found is not None and found.name == name else None

        return await self._read(read)

    async def default_policy(self) -> PolicyRow | None:
        """The policy of new mailboxes; None where none was made the default."""

        def read(driver: Driver) -> PolicyRow | None:
            row = driver.row(_DEFAULT, ORGANISATION)
            return None if row is None else self._opened_policy(row)

        return await self._read(read)

    async def add_policy(self, policy: PolicyRow) -> PolicyRow:
        """Keep a new policy; as it is kept. `id` is of `new_id`: its copies are bound to it. Raises PolicyThere."""
        kept = replace(policy, edition=1)

        def write(driver: Driver) -> PolicyRow:
            added = driver.do(
                "INSERT INTO mailbox_policies (id, organisation, token, edition, is_default, sealed)"
                " VALUES (?,?,?,?,0,?) ON CONFLICT DO NOTHING",
                *(kept.id, ORGANISATION, self._token("policy", kept.name), kept.edition, self._sealed_policy(kept)),
            )
            if not added:
                raise PolicyThere(f"there is a policy {kept.name!r} already")
            if kept.is_default:
                self._put_default(driver, kept.id)
            return kept

        return await self._alone(write)

    async def replace_policy(self, before: PolicyRow, after: PolicyRow) -> PolicyRow | None:
        """Put `after` in the place of `before`, one row; as it is kept. None where it has changed since it was read.

        Id, name and being the default stay; one that is purged now is the default no longer. What no longer stands in
        it is overwritten where the engine can; of one that is purged now, in the engine's log too.
        """
        if (after.id, after.name) != (before.id, before.name):
            raise ValueError("a policy keeps its id and its name")
        edition = before.edition + 1
        is_purged = after.state is PolicyState.PURGED

        def write(driver: Driver) -> PolicyRow | None:
            with driver.overwriting():
                row = driver.row(_REPLACED, edition, self._sealed_policy(after), is_purged, before.id, before.edition)
            # Another may have become the default since the row was read, which is no edition of it.
            return None if row is None else replace(after, edition=edition, is_default=bool(row[0]))

        done = await self._alone(write)
        if done is not None and done.state is PolicyState.PURGED:
            with suppress(StorageBroken):  # It is gone from its row; the engine's log is written over in time.
                await asyncio.to_thread(self._shared.scrub, ["mailbox_policies"])
        return done

    async def set_default_policy(self, id_: int | None) -> bool:
        """The policy of new mailboxes from now on; None: none. False where there is no such policy."""
        return await self._alone(lambda driver: self._put_default(driver, id_))

    async def mailboxes_under(self) -> dict[int | None, int]:
        """How many mailboxes lie under each policy (None: under none)."""

        def read(driver: Driver) -> dict[int | None, int]:
            statement = "SELECT policy, count(*) FROM mailboxes WHERE organisation=? AND state<>? GROUP BY policy"
            rows = driver.rows(statement, ORGANISATION, MailboxState.REMOVED.value)
            return {policy: int(count) for policy, count in rows}

        return await self._read(read)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _put_default(self, driver: Driver, id_: int | None) -> bool:
        # All of them, in one order: of two who name a default at one moment the second sees what the first has named.
        driver.rows("SELECT id FROM mailbox_policies WHERE organisation=? ORDER BY id FOR UPDATE", ORGANISATION)
        if id_ is not None and driver.row("SELECT 1 FROM mailbox_policies WHERE id=?", id_) is None:
            return False
        driver.do("UPDATE mailbox_policies SET is_default=0 WHERE organisation=? AND is_default=1", ORGANISATION)
        if id_ is not None:
            driver.do("UPDATE mailbox_policies SET is_default=1 WHERE id=?", id_)
        return True

    def _sealed_policy(self, one: PolicyRow) -> bytes:
        facts = {
            "name": one.name,
            "state": one.state.value,
            "version": one.version,
            "copies": [
                {
                    "kind": copy.kind.value,
                    "vault": copy.vault,
                    "key": copy.key,
                    "key_version": copy.key_version,
                    "octets": _text(copy.octets),
                }
                for copy in one.copies
            ],
            "custodian": None if one.custodian is None else _text(one.custodian),
            "created": one.created,
            "changed": one.changed,
            "purge": None if one.purge is None else dict(one.purge),
        }
        return self._sealed("policy", one.id, facts)

    def _opened_policy(self, row: tuple[Any, ...]) -> PolicyRow:
        id_, edition, is_default, sealed = row
        facts = self._opened("policy", id_, sealed)
        custodian = facts["custodian"]
        return PolicyRow(
            id=id_,
            name=facts["name"],
            state=PolicyState(facts["state"]),
            version=facts["version"],
            copies=tuple(
                WrappedCopy(
                    kind=CopyKind(copy["kind"]),
                    vault=copy["vault"],
                    key=copy["key"],
                    key_version=copy["key_version"],
                    octets=b64decode(copy["octets"]),
                )
                for copy in facts["copies"]
            ),
            is_default=bool(is_default),
            custodian=None if custodian is None else b64decode(custodian),
            created=facts["created"],
            changed=facts["changed"],
            purge=facts["purge"],
            edition=edition,
        )


def _text(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
