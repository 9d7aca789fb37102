"""Mailboxes, the names by which mail reaches them, and their wrapped keys. Addresses come in their normal form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.storage.mailboxes.driver import Driver, chunks
from gateway.storage.mailboxes.faults import AddressTaken, NoMailbox
from gateway.storage.mailboxes.folder_rows import FolderFacts
from gateway.storage.mailboxes.ground import ORGANISATION
from gateway.storage.mailboxes.model import (
    INBOX,
    MOST_NAMES,
    SPECIAL,
    Mailbox,
    MailboxName,
    MailboxState,
    NameKind,
    WrappedKey,
)
from gateway.storage.mailboxes.sweep import Sweep
from gateway.storage.sealer import SealBroken

_COLUMNS: Final = (
    "id, state, key_version, policy, policy_version, wrapped, next_key_version, next_policy, next_policy_version, "
    "next_wrapped, quota, used, messages, created, sealed"
)
_THERE: Final = f"FROM mailboxes WHERE state<>'{MailboxState.REMOVED}'"
_BY_ID: Final = f"SELECT {_COLUMNS} {_THERE} AND id IN (??)"
_BY_ACCOUNT: Final = (
    f"SELECT {_COLUMNS} FROM mailboxes WHERE organisation=? AND account=? AND state=? ORDER BY created, id"  # noqa: S608
)
_EVERY: Final = f"SELECT {_COLUMNS} {_THERE} AND organisation=? ORDER BY created, id"
_UNDER: Final = f"SELECT {_COLUMNS} {_THERE} AND organisation=? AND (policy=? OR next_policy=?) ORDER BY created, id"
_ROLLING: Final = f"SELECT {_COLUMNS} FROM mailboxes WHERE organisation=? AND state=? AND next_key_version IS NOT NULL"  # noqa: S608
_GIVEN: Final = "SELECT max(uid_validity) FROM mailboxes WHERE state<>?"


class MailboxRows(Sweep):
    """The tables `mailboxes` and `mailbox_names`."""

    # -- making and finding -------------------------------------------------------------------------------------------

    async def create(
        self, id_: int, address: str, account: str, key: WrappedKey, *, quota: int | None = None
    ) -> Mailbox:
        """A new mailbox with INBOX and the folders of SPECIAL. `id_` is of `new_id`: the key is bound to it.

        Raises AddressTaken.
        """
        now = self._now()
        folders = [(self.new_id(), name, SPECIAL.get(name)) for name in (INBOX, *SPECIAL)]

        def write(driver: Driver) -> Mailbox:
            self._add_name(driver, MailboxName(address, NameKind.ADDRESS, id_))
            # Above whatever a mailbox gave that had the address before, so that nobody takes its mail for what they
            # know of that one (RFC 3501 2.3.1.1).
            gone = driver.number(_GIVEN, MailboxState.READY.value)
            validity = max(now // 1000, gone + 1)
            driver.do(
                "INSERT INTO mailboxes (id, organisation, account, state, key_version, policy, policy_version, wrapped,"
                " quota, used, messages, uid_validity, created, sealed) VALUES (?,?,?,?,?,?,?,?,?,0,0,?,?,?)",
                *(id_, ORGANISATION, self._token("account", account), MailboxState.READY.value),
                *(key.version, key.policy, key.policy_version, key.octets, quota, validity, now),
                self._sealed("mailbox", id_, {"address": address, "account": account}),
            )
            for folder, name, use in folders:
                self._insert_folder(driver, folder, id_, FolderFacts(name, use, True), validity)
            return self._mailbox(driver, id_)

        return await self._write(write)

    async def get(self, id_: int) -> Mailbox | None:
        """The mailbox of that id; None where there is none. One that is being removed is still told."""
        return next(iter((await self.get_many([id_])).values()), None)

    async def get_many(self, ids: Iterable[int]) -> dict[int, Mailbox]:
        """The mailboxes of those ids, those that there are, by id; in one question."""
        wanted = list(dict.fromkeys(ids))
        return await self._read(lambda driver: {one.id: one for one in self._mailboxes(driver, wanted)})

    async def find(self, address: str) -> Mailbox | None:
        """The mailbox that has this address or alias; `*@` and a domain asks for the domain's catch-all."""
        return (await self.find_many([address])).get(address)

    async def find_many(self, addresses: Iterable[str]) -> dict[str, Mailbox]:
        """For each address that reaches a mailbox, that mailbox; in one question. Plus addressing is the caller's."""
        tokens = {self._token("name", address): address for address in addresses}

        def read(driver: Driver) -> dict[str, Mailbox]:
            found: dict[str, int] = {}
            for chunk in chunks(list(tokens)):
                statement = "SELECT token, mailbox, sealed FROM mailbox_names WHERE organisation=? AND token IN (??)"
                for token, mailbox, sealed in driver.rows(statement, ORGANISATION, chunk):
                    if self._name(token, mailbox, sealed).name == tokens[token]:  # Tokens have 64 bits alone.
                        found[tokens[token]] = mailbox
            mailboxes = {one.id: one for one in self._mailboxes(driver, list(dict.fromkeys(found.values())))}
            return {
                address: mailboxes[id_]
                for address, id_ in found.items()
                if id_ in mailboxes and mailboxes[id_].state is MailboxState.READY
            }

        return await self._read(read)

    async def of_account(self, account: str) -> list[Mailbox]:
        """The mailboxes of an account, the oldest first."""
        token = self._token("account", account)

        def read(driver: Driver) -> list[Mailbox]:
            rows = driver.rows(_BY_ACCOUNT, ORGANISATION, token, MailboxState.READY.value)
            return [one for one in map(self._opened_mailbox, rows) if one.account == account]

        return await self._read(read)

    async def all_mailboxes(self, *, policy: int | None = None) -> list[Mailbox]:
        """Every mailbox, or those under that policy (`key` or `next_key`), the oldest first."""

        def read(driver: Driver) -> list[Mailbox]:
            if policy is None:
                return [self._opened_mailbox(row) for row in driver.rows(_EVERY, ORGANISATION)]
            return [self._opened_mailbox(row) for row in driver.rows(_UNDER, ORGANISATION, policy, policy)]

        return await self._read(read)

    async def rolling(self) -> list[Mailbox]:
        """Those whose contents are being wrapped under their next key. No other row is opened: it is asked often."""

        def read(driver: Driver) -> list[Mailbox]:
            rows = driver.rows(_ROLLING, ORGANISATION, MailboxState.READY.value)
            return sorted(map(self._opened_mailbox, rows), key=lambda one: (one.created, one.id))

        return await self._read(read)

    # -- names --------------------------------------------------------------------------------------------------------

    async def names(self, mailbox: int) -> list[MailboxName]:
        """Its address, aliases and catch-alls, in that order and by the alphabet."""

        def read(driver: Driver) -> list[MailboxName]:
            rows = driver.rows("SELECT token, mailbox, sealed FROM mailbox_names WHERE mailbox=?", mailbox)
            order = list(NameKind)
            return sorted((self._name(*row) for row in rows), key=lambda one: (order.index(one.kind), one.name))

        return await self._read(read)

    async def all_names(self) -> list[MailboxName]:
        """Every name of every mailbox."""

        def read(driver: Driver) -> list[MailboxName]:
            rows = driver.rows("SELECT token, mailbox, sealed FROM mailbox_names WHERE organisation=?", ORGANISATION)
            return [self._name(*row) for row in rows]

        return await self._read(read)

    async def add_alias(self, mailbox: int, address: str) -> None:
        """Another address of a mailbox; `*@` and a domain make it that domain's catch-all.

        Raises NoMailbox, AddressTaken.
        """
        kind = NameKind.CATCH_ALL if address.startswith("*@") else NameKind.ALIAS

        await self._write(lambda driver: self._give_name(driver, MailboxName(address, kind, mailbox)))

    async def hand_over(self, catch_all: str, mailbox: int | None) -> bool:
        """Make that mailbox the one that takes `catch_all`, `*@` and a domain, in place of whichever had it, or with
        None nobody: one commit, so that at no moment nobody has it. Whether somebody had it.

        Raises NoMailbox, AddressTaken; then all is as it was.
        """
        token = self._token("name", catch_all)

        def write(driver: Driver) -> bool:
            if mailbox is not None:
                self._ready(driver, mailbox)  # First, as whoever removes it: so that neither waits for the other.
            had = driver.row(
                "SELECT mailbox, sealed FROM mailbox_names WHERE organisation=? AND token=? FOR UPDATE",
                *(ORGANISATION, token),
            )
            if had is not None:
                if self._name(token, *had).name != catch_all:  # Tokens have 64 bits alone.
                    raise AddressTaken(f"{catch_all} can't be kept beside what is there; right would be another")
                driver.do("DELETE FROM mailbox_names WHERE organisation=? AND token=?", ORGANISATION, token)
            if mailbox is not None:
                self._give_name(driver, MailboxName(catch_all, NameKind.CATCH_ALL, mailbox))
            return had is not None

        return await self._write(write)

    async def remove_alias(self, mailbox: int, address: str) -> bool:
        """Take an alias or a catch-all away; False where the mailbox has none of that name. Its address stays."""
        token = self._token("name", address)

        def write(driver: Driver) -> bool:
            row = driver.row(
                "SELECT sealed FROM mailbox_names WHERE organisation=? AND token=? AND mailbox=?",
                *(ORGANISATION, token, mailbox),
            )
            if row is None:
                return False
            name = self._name(token, mailbox, row[0])
            if name.name != address or name.kind is NameKind.ADDRESS:
                return False
            return driver.do("DELETE FROM mailbox_names WHERE organisation=? AND token=?", ORGANISATION, token) == 1

        return await self._write(write)

    # -- changing -----------------------------------------------------------------------------------------------------

    async def set_quota(self, mailbox: int, quota: int | None) -> bool:
        """Another quota; False where there is no such mailbox. What lies there above it stays."""
        return await self._write(
            lambda driver: driver.do("UPDATE mailboxes SET quota=? WHERE id=?", quota, mailbox) == 1
        )

    async def assign(self, before: Mailbox, key: WrappedKey, next_key: WrappedKey | None = None) -> bool:
        """Put these wrapped keys in the place of those of `before`: one row. False where they are others by now.

        The mailbox then lies under the policy of `key`. A `next_key` begins a roll (`content_store`).
        """

        def write(driver: Driver) -> bool:
            row = driver.row(_BY_ID + " FOR UPDATE", (before.id,))
            if row is None:
                return False
            there = self._opened_mailbox(row)
            if (there.key, there.next_key, there.state) != (before.key, before.next_key, MailboxState.READY):
                return False
            with driver.overwriting():
                self._put_keys(driver, before.id, key, next_key)
            return True

        return await self._alone(write)

    # -- removing -----------------------------------------------------------------------------------------------------

    async def remove(self, mailbox: int) -> bool:
        """Free its names, destroy its wrapped keys and let go of what lies in it; False where there is none.

        From the first commit on nothing of it can be read. What a crash leaves over, `sweep` takes away.
        """

        def write(driver: Driver) -> bool:
            with driver.overwriting():
                gone = driver.do(
                    "UPDATE mailboxes SET state=?, wrapped=?, next_key_version=NULL, next_policy=NULL,"
                    " next_policy_version=NULL, next_wrapped=NULL WHERE id=? AND state<>?",
                    *(MailboxState.REMOVING.value, b"", mailbox, MailboxState.REMOVED.value),
                )
            if not gone:
                return False
            driver.do("DELETE FROM mailbox_names WHERE mailbox=?", mailbox)
            driver.do("UPDATE mailbox_folders SET token=NULL WHERE mailbox=?", mailbox)
            return True

        if not await self._alone(write):
            return False
        await self.sweep(mailbox=mailbox)
        return True

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _put_keys(self, driver: Driver, mailbox: int, key: WrappedKey, next_key: WrappedKey | None) -> None:
        new = next_key
        driver.do(
            "UPDATE mailboxes SET key_version=?, policy=?, policy_version=?, wrapped=?, next_key_version=?,"
            " next_policy=?, next_policy_version=?, next_wrapped=? WHERE id=?",
            *(key.version, key.policy, key.policy_version, key.octets),
            *((None, None, None, None) if new is None else (new.version, new.policy, new.policy_version, new.octets)),
            mailbox,
        )

    def _mailboxes(self, driver: Driver, ids: Sequence[int]) -> list[Mailbox]:
        found: list[Mailbox] = []
        for chunk in chunks(ids):
            found += map(self._opened_mailbox, driver.rows(_BY_ID, chunk))
        return found

    def _mailbox(self, driver: Driver, id_: int) -> Mailbox:
        found = self._mailboxes(driver, [id_])
        if not found:
            raise NoMailbox("there is no such mailbox (any more)")
        return found[0]

    def _ready(self, driver: Driver, mailbox: int) -> None:
        row = driver.row("SELECT state FROM mailboxes WHERE id=? FOR UPDATE", mailbox)
        if row is None or row[0] != MailboxState.READY:
            raise NoMailbox("there is no such mailbox (any more)")

    def _opened_mailbox(self, row: tuple[Any, ...]) -> Mailbox:
        id_, state, version, policy, policy_version, wrapped, *rest = row
        next_version, next_policy, next_policy_version, next_wrapped, quota, used, messages, created, sealed = rest
        facts = self._opened("mailbox", id_, sealed)
        key = WrappedKey(version=version, policy=policy, policy_version=policy_version, octets=wrapped)
        following = None
        if next_version is not None:
            following = WrappedKey(
                version=next_version, policy=next_policy, policy_version=next_policy_version, octets=next_wrapped
            )
        return Mailbox(
            id=id_,
            address=facts["address"],
            account=facts["account"],
            policy=policy,
            key=key,
            next_key=following,
            quota=quota,
            used=used,
            messages=messages,
            created=created / 1000,
            state=MailboxState(state),
        )

    def _give_name(self, driver: Driver, name: MailboxName) -> None:
        self._ready(driver, name.mailbox)
        if driver.number("SELECT count(*) FROM mailbox_names WHERE mailbox=?", name.mailbox) > MOST_NAMES:
            raise AddressTaken(f"the mailbox has {MOST_NAMES} aliases already, and no more than that are kept")
        self._add_name(driver, name)

    def _add_name(self, driver: Driver, name: MailboxName) -> None:
        token = self._token("name", name.name)
        added = driver.do(
            "INSERT INTO mailbox_names (organisation, token, mailbox, sealed) VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
            *(ORGANISATION, token, name.mailbox),
            self._sealed("name", token, {"name": name.name, "kind": name.kind.value, "mailbox": name.mailbox}),
        )
        if not added:
            raise AddressTaken(f"a mailbox has {name.name} already")

    def _name(self, token: int, mailbox: int, sealed: bytes) -> MailboxName:
        facts = self._opened("name", token, sealed)
        if facts["mailbox"] != mailbox:  # Somebody put another's mailbox there.
            raise SealBroken(f"the mailboxes name {token} stands beside another mailbox than its own")
        return MailboxName(facts["name"], NameKind(facts["kind"]), mailbox)
