"""Messages of the open folder: FETCH, STORE, COPY, MOVE, SEARCH (RFC 3501 6.4, RFC 6851, RFC 7162)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from pymap.flags import FlagOp
from pymap.parsing.command.select import CopyCommand, FetchCommand, MoveCommand, SearchCommand, StoreCommand
from pymap.parsing.response import CommandResponse
from pymap.parsing.specials import SequenceSet

from gateway.imap.answers import Bad, Refusal
from gateway.imap.commands import Store, UidStore
from gateway.imap.conversation import Answered
from gateway.imap.fetch_command import Fetch, Kind, UidFetch, plain
from gateway.imap.fetching import Fetching, Plan
from gateway.imap.flag_words import BadFlag, bits_known, split
from gateway.imap.opened import Opened
from gateway.imap.search_command import Search, UidSearch
from gateway.imap.searching import Searching
from gateway.imap.select_commands import SelectCommands
from gateway.imap.sequence import BadSequence, places, spans, written
from gateway.imap.wire import done, refused
from gateway.storage.mailboxes.model import SEEN, Changes, Copied, Entries, FlagChange, Folder

NAMED: Final = 5  # Damaged messages that one response names.

_CHANGES: Final = {FlagOp.ADD: FlagChange.ADD, FlagOp.DELETE: FlagChange.REMOVE, FlagOp.REPLACE: FlagChange.REPLACE}


class MessageCommands(SelectCommands):
    """What reads and changes messages."""

    def _places(self, wanted: SequenceSet) -> list[int]:
        """Where the messages stand that are meant. Raises Bad."""
        try:
            return list(places(spans(wanted, self.folder.uids)))
        except BadSequence:
            raise Bad("A message of that number is not there") from None

    # -- FETCH --------------------------------------------------------------------------------------------------------

    async def do_fetch(self, cmd: FetchCommand) -> Answered:
        if not isinstance(cmd, Fetch | UidFetch):
            raise TypeError(cmd)
        opened = self.folder
        found = self._places(cmd.sequence_set)
        items = list(cmd.items)
        if cmd.uid and plain(Kind.UID) not in items:
            items.insert(0, plain(Kind.UID))
        if cmd.changed_since is not None:
            since = cmd.changed_since
            found = [at for at in found if opened.modseqs[at] > since]
            items.append(plain(Kind.MODSEQ))
        if any(item.kind is Kind.MODSEQ for item in items):
            self.want_modseq()
        plan = Plan(items)
        seen: frozenset[int] = frozenset()
        if plan.head or plan.octets:
            await self.person.key()  # Before anything is flagged: a closed mailbox stays as it is.
        if plan.sees and not opened.read_only:
            seen = await self._see(found)
        fetching = Fetching(self.desk, self.memory, opened, self.person, plan, seen)
        async with aclosing(fetching.batches(found)) as batches:
            async for batch in batches:
                try:
                    await self.wire.send(batch.octets)
                finally:
                    self.memory.give(batch.taken)
        return self._fetched(cmd, fetching), None

    async def _see(self, found: Sequence[int]) -> frozenset[int]:
        """Flag as read what is not; the UIDs of those that were not."""
        opened = self.folder
        uids = [opened.uids[at] for at in found if not opened.flags[at] & SEEN]
        if not uids:
            return frozenset()
        changed = (await self.desk.store.set_flags(opened.folder.id, uids, FlagChange.ADD, SEEN)).changed
        await self._enter_flags(changed)
        self.hub.touched(opened.folder.id)
        return frozenset(changed.uids)

    async def _enter_flags(self, changed: Entries) -> None:
        """What this connection has changed, without telling it."""
        changes = Changes(entries=changed, expunged=(), modseq=0, complete=True)
        silent = frozenset(changed.uids)
        await self.desk.aside(len(changed), lambda: self.folder.take(changes, silent=silent))

    def _fetched(self, cmd: FetchCommand, fetching: Fetching) -> CommandResponse:
        outcome = fetching.outcome
        for level, event, some in (
            ("error", "message_damaged", outcome.damaged),
            ("warning", "message_head_read_anew", outcome.heads),
        ):
            for uid, damaged in some:
                self.desk.tell(
                    level,
                    event,
                    id=self.id,
                    mailbox=self.person.mailbox.address,
                    folder=self.folder.folder.id,
                    uid=uid,
                    content=damaged.content,
                    damage=damaged.damage.value,
                    part=damaged.part,
                )
        if outcome.damaged:
            names = [
                f"message {uid}: {damaged.part} {damaged.damage.value}" for uid, damaged in outcome.damaged[:NAMED]
            ]
            more = len(outcome.damaged) - len(names)
            text = f"Damaged, by UID: {'; '.join(names)}{f'; and {more} more' if more else ''}; the others were sent"
            return refused(cmd.tag, text.encode("ascii", "replace"), b"CORRUPTION")
        if outcome.unknown_encoding:
            return refused(cmd.tag, b"A part has a transfer encoding that is not known", b"UNKNOWN-CTE")
        if outcome.is_gone:
            return done(cmd.tag, b"Fetched; some messages are gone", b"EXPUNGEISSUED")
        return done(cmd.tag, b"Fetched")

    # -- STORE --------------------------------------------------------------------------------------------------------

    async def do_store(self, cmd: StoreCommand) -> Answered:
        if not isinstance(cmd, Store | UidStore):
            raise TypeError(cmd)
        opened = self.writable()
        found = self._places(cmd.sequence_set)
        try:
            bits, keywords = split(cmd.words)
        except BadFlag as error:
            raise Bad(str(error)) from None
        if cmd.unchanged_since is not None:
            self.want_modseq()
        uids = [opened.uids[at] for at in found]
        result = await self.desk.store.set_flags(
            opened.folder.id, uids, _CHANGES[cmd.mode], bits, keywords, unchanged_since=cmd.unchanged_since
        )
        told: list[bytes] = []
        if keywords or not all(bits_known(flags, opened.folder.keywords) for flags in result.changed.flags):
            told += await self.keywords()
        await self._enter_flags(result.changed)
        if result.changed.uids:
            self.hub.touched(opened.folder.id)
        failed = frozenset(result.failed)
        told += await self.desk.aside(len(found), lambda: self._stored(cmd, found, failed, result.changed))
        if failed:  # RFC 7162 3.1.3
            numbers = [opened.uids[at] if cmd.uid else at + 1 for at in found if opened.uids[at] in failed]
            return done(cmd.tag, b"Some had changed", b"MODIFIED " + written(numbers), *told), None
        return done(cmd.tag, b"Stored", None, *told), None

    def _stored(self, cmd: StoreCommand, found: Sequence[int], failed: frozenset[int], changed: Entries) -> list[bytes]:
        """What is told of the messages that STORE meant (RFC 3501 6.4.6), none of those that had changed."""
        opened = self.folder
        news = frozenset(changed.uids)
        told: list[bytes] = []
        for at in found:
            uid = opened.uids[at]
            if uid in failed or (cmd.silent and not (opened.is_condstore and uid in news)):
                continue
            told.append(opened.fetched(at, by_uid=cmd.uid or opened.is_condstore, with_flags=not cmd.silent))
        return told

    # -- COPY and MOVE ------------------------------------------------------------------------------------------------

    async def do_copy(self, cmd: CopyCommand) -> Answered:
        opened, uids, target = await self._aim(cmd)
        copied = await self.desk.store.copy(opened.folder.id, uids, target.id)
        self.hub.touched(target.id)
        code = _copy_uid(copied)
        return done(cmd.tag, b"Copied" if code else b"Nothing to copy", code), None

    async def do_move(self, cmd: MoveCommand) -> Answered:
        """RFC 6851: COPYUID comes first, then what is gone."""
        self.writable()
        opened, uids, target = await self._aim(cmd)
        copied = await self.desk.store.move(opened.folder.id, uids, target.id)
        self.hub.touched(opened.folder.id)
        self.hub.touched(target.id)
        code = _copy_uid(copied)
        if code is None:
            return done(cmd.tag, b"Nothing to move"), None
        told = [b"* OK [%b] Moved\r\n" % code, *await self.changes(), *await self.expunges()]
        return done(cmd.tag, b"Moved", None, *told), None

    async def _aim(self, cmd: CopyCommand | MoveCommand) -> tuple[Opened, list[int], Folder]:
        opened = self.folder
        uids = [opened.uids[at] for at in self._places(cmd.sequence_set)]
        return opened, uids, await self.named(cmd.mailbox, try_create=True)

    # -- SEARCH -------------------------------------------------------------------------------------------------------

    async def do_search(self, cmd: SearchCommand) -> Answered:
        if not isinstance(cmd, Search | UidSearch):
            raise TypeError(cmd)
        if cmd.bad_charset:
            raise Refusal("Only these charsets are known", "BADCHARSET (US-ASCII UTF-8)")
        opened = self.folder
        searching = Searching(self.desk, self.memory, opened, self.person, most=self.terms.max_search)
        try:
            found = await searching.found(cmd.wanted)
        except BadSequence:
            raise Bad("A message of that number is not there") from None
        numbers = [opened.uids[at] if cmd.uid else at + 1 for at in found]
        told = _search_response(cmd.tag, numbers, cmd.returning, by_uid=cmd.uid)
        if searching.damaged:
            text = b"%d messages are damaged and were not searched; the others were" % searching.damaged
            return refused(cmd.tag, text, b"CORRUPTION", told), None
        return done(cmd.tag, b"Searched", None, told), None


def _copy_uid(copied: Copied) -> bytes | None:
    if not copied.sources:
        return None
    return b"COPYUID %d %b %b" % (copied.uid_validity, written(copied.sources), written(copied.targets))


def _search_response(tag: bytes, numbers: Sequence[int], returning: frozenset[bytes] | None, *, by_uid: bool) -> bytes:
    if returning is None:
        return b"* SEARCH" + b"".join([b" %d" % number for number in numbers]) + b"\r\n"
    parts = [b'* ESEARCH (TAG "%b")' % tag]  # RFC 4731 3.1
    if by_uid:
        parts.append(b"UID")
    if numbers and b"MIN" in returning:
        parts.append(b"MIN %d" % numbers[0])
    if numbers and b"MAX" in returning:
        parts.append(b"MAX %d" % numbers[-1])
    if b"COUNT" in returning:
        parts.append(b"COUNT %d" % len(numbers))
    if numbers and b"ALL" in returning:
        parts.append(b"ALL " + written(numbers))
    return b" ".join(parts) + b"\r\n"
