"""Mailboxes as final delivery and RCPT see them: rows, policies, keys and contents in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.mail.message import Content
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.storage.mailboxes.faults import KeyChanged, NoMailbox, OverQuota
from gateway.storage.mailboxes.model import (
    ContentRow,
    CopyKind,
    Mailbox,
    MailboxState,
    NewMessage,
    PolicyRow,
    PolicyState,
    WrappedCopy,
    WrappedKey,
)


def make_mailbox(id_: int, address: str, **facts: Any) -> Mailbox:
    """A mailbox under no policy."""
    policy = facts.pop("policy", None)
    key = WrappedKey(version=facts.pop("version", 1), policy=policy, policy_version=0, octets=b"wrapped")
    given = {"account": address, "next_key": None, "quota": None, "used": 0, "messages": 0, "created": 0.0, **facts}
    return Mailbox(id=id_, address=address, policy=policy, key=key, state=MailboxState.READY, **given)


def make_policy(id_: int, name: str, state: PolicyState = PolicyState.READY, *, is_default: bool = False) -> PolicyRow:
    """A policy whose copies open nothing."""
    copies = tuple(WrappedCopy(kind=kind, vault="v", key="k", key_version=1, octets=b"") for kind in CopyKind)
    return PolicyRow(
        id=id_,
        name=name,
        state=state,
        version=1,
        copies=copies,
        is_default=is_default,
        custodian=None,
        created=0.0,
        changed=0.0,
    )


class FakeMailboxes:
    """`names` reach mailboxes; `messages` by mailbox id are what was added, octets for octets, once for each token.

    Switches: `raises` by mailbox id: what `key` raises; `broken`: what each question raises; `lost` counts down how
    often an `add` is done and then raises, as after a crash whose answer was lost.
    """

    def __init__(self, *mailboxes: Mailbox) -> None:
        self.names: dict[str, Mailbox] = {one.address: one for one in mailboxes}
        self.rows = [make_policy(7, "house")]
        self.messages: dict[int, list[bytes]] = {}
        self.heads: list[bytes | None] = []
        self.asked: list[list[str]] = []
        self.looked = 0
        self.raises: dict[int, Exception] = {}
        self.broken: Exception | None = None
        self.lost = 0
        self.writing = 0
        self.abandoned: list[bytes] = []
        self.most = 0
        self._written: dict[bytes, bytes] = {}
        self._tokens: dict[tuple[int, bytes], int] = {}

    async def find_many(self, addresses: Iterable[str]) -> dict[str, Mailbox]:
        names = list(addresses)
        self.asked.append(names)
        await asyncio.sleep(0)
        if self.broken is not None:
            raise self.broken
        return {name: self.names[name] for name in names if name in self.names}

    async def policies(self) -> list[PolicyRow]:
        self.looked += 1
        if self.broken is not None:
            raise self.broken
        return self.rows

    async def key(self, mailbox: Mailbox) -> MailboxKey:
        if mailbox.id in self.raises:
            raise self.raises[mailbox.id]
        return MailboxKey(mailbox.id, mailbox.key.version, b"k" * 32)

    async def write(self, key: MailboxKey, content: Content, head: bytes | None = None) -> ContentRow:
        self.writing += 1
        self.most = max(self.most, self.writing)
        try:
            whole = b"".join([block async for block in content.blocks()])
            await asyncio.sleep(0)
        finally:
            self.writing -= 1
        id_ = len(self._written).to_bytes(16)
        self._written[id_] = whole
        self.heads.append(head)
        return ContentRow(
            id=id_,
            mailbox=key.mailbox,
            key_version=key.version,
            size=len(whole),
            blobs=(),
            map=b"",
            head=head or b"",
            created=0.0,
        )

    async def abandon(self, row: ContentRow) -> None:
        self.abandoned.append(row.id)

    async def add(self, mailbox: int, folder: int | None, messages: Sequence[NewMessage]) -> list[int]:
        row = next((one for one in self.names.values() if one.id == mailbox), None)
        if row is None:
            raise NoMailbox("there is no such mailbox (any more)")
        uids = []
        for one in messages:
            assert one.token is not None
            there = self.messages.setdefault(mailbox, [])
            if (mailbox, one.token) not in self._tokens:
                if row.quota is not None and sum(map(len, there)) + one.content.size > row.quota:
                    raise OverQuota("the mailbox is full")
                if one.content.key_version != row.key.version:
                    raise KeyChanged("the mailbox has another key by now")
                there.append(self._written[one.content.id])
                self._tokens[mailbox, one.token] = len(there)
            uids.append(self._tokens[mailbox, one.token])
        if self.lost:
            self.lost -= 1
            raise ConnectionResetError("the answer was lost")
        return uids
