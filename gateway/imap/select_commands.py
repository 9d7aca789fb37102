"""A folder opened, looked at, closed: SELECT, EXAMINE, NOOP, CHECK, IDLE, CLOSE, UNSELECT, EXPUNGE (RFC 3501 6)."""

from __future__ import annotations

from typing import Final, cast

from pymap.parsing.command import Command
from pymap.parsing.command.any import NoOpCommand
from pymap.parsing.command.auth import AppendCommand, SelectCommand
from pymap.parsing.command.select import (
    CheckCommand,
    CloseCommand,
    CopyCommand,
    ExpungeCommand,
    FetchCommand,
    IdleCommand,
    SearchCommand,
    StoreCommand,
)
from pymap.selected import SelectedMailbox

from gateway.imap.answers import Refusal
from gateway.imap.commands import Unselect
from gateway.imap.conversation import Answered, Conversation
from gateway.imap.flag_words import SYSTEM_WORDS, bits_known
from gateway.imap.opened import Opened
from gateway.imap.sequence import places, spans
from gateway.imap.wire import done
from gateway.storage.mailboxes.faults import NoFolder
from gateway.storage.mailboxes.model import MOST_KEYWORDS, Folder

LOOK: Final = 1.0  # Seconds from which on any command looks for changes; some always do.

_NUMBERED: Final = (FetchCommand, StoreCommand, SearchCommand)
# APPEND and COPY may go to the folder that is open (RFC 3501 6.3.11).
_LOOKS: Final = (NoOpCommand, CheckCommand, IdleCommand, StoreCommand, ExpungeCommand, AppendCommand, CopyCommand)


class SelectCommands(Conversation):
    """What opens and closes folders, and tells their news."""

    _selected: SelectedMailbox | None

    def _enter(self, opened: Opened | None) -> None:
        self.opened = opened
        self._selected = cast(SelectedMailbox, opened)  # pymap only asks whether there is one.

    async def do_select(self, cmd: SelectCommand) -> Answered:
        """SELECT and EXAMINE. A mailbox whose key can't be had stays shut."""
        self._enter(None)
        folder = await self.named(cmd.mailbox)
        await self.person.key()
        entries = await self.desk.store.entries(folder.id)
        opened = Opened(self.person.mailbox, folder, entries, read_only=cmd.readonly)
        opened.looked = self.desk.clock.monotonic()
        if cmd.options.has(b"CONDSTORE"):  # RFC 7162 3.1.8
            self.wants_modseq = True
        opened.is_condstore = self.wants_modseq
        self._enter(opened)
        words = _flag_words(folder)
        told = [b"* FLAGS (%b)\r\n" % words, b"* %d EXISTS\r\n" % len(opened), b"* 0 RECENT\r\n"]
        if (unseen := opened.first_unseen()) is not None:
            told.append(b"* OK [UNSEEN %d] The first that was not read\r\n" % unseen)
        told.append(b"* OK [UIDVALIDITY %d] UIDs are valid\r\n" % folder.uid_validity)
        uid_next = max(folder.uid_next, opened.uids[-1] + 1 if opened.uids else 1)
        told.append(b"* OK [UIDNEXT %d] The next UID\r\n" % uid_next)
        told.append(b"* OK [HIGHESTMODSEQ %d] The last change\r\n" % opened.modseq)
        if cmd.readonly:
            told.append(b"* OK [PERMANENTFLAGS ()] Read-only\r\n")
            return done(cmd.tag, b"Opened", b"READ-ONLY", *told), None
        more = b" \\*" if len(folder.keywords) < MOST_KEYWORDS else b""
        told.append(b"* OK [PERMANENTFLAGS (%b%b)] Flags that stay\r\n" % (words, more))
        return done(cmd.tag, b"Opened", b"READ-WRITE", *told), None

    async def do_noop(self, cmd: NoOpCommand) -> Answered:
        return done(cmd.tag, b"Done"), None

    async def do_check(self, cmd: CheckCommand) -> Answered:
        return done(cmd.tag, b"Done"), None

    async def do_idle(self, cmd: IdleCommand) -> Answered:
        return done(cmd.tag, b"Done"), None

    async def do_unselect(self, cmd: Unselect) -> Answered:
        """RFC 3691."""
        self._enter(None)
        return done(cmd.tag, b"Closed"), None

    async def do_close(self, cmd: CloseCommand) -> Answered:
        """Expunges without telling (RFC 3501 6.4.2)."""
        opened = self.folder
        self._enter(None)
        if not opened.read_only and await self.desk.store.expunge(opened.folder.id):
            self.hub.touched(opened.folder.id)
        return done(cmd.tag, b"Closed"), None

    async def do_expunge(self, cmd: ExpungeCommand) -> Answered:
        """EXPUNGE, and UID EXPUNGE (RFC 4315 2.1)."""
        opened = self.writable()
        uids = None
        if cmd.uid_set is not None:
            uids = [opened.uids[at] for at in places(spans(cmd.uid_set, opened.uids))]
        if await self.desk.store.expunge(opened.folder.id, uids):
            self.hub.touched(opened.folder.id)
        return done(cmd.tag, b"Expunged"), None

    def writable(self) -> Opened:
        """The open folder. Raises Refusal where it was opened to be read alone."""
        if self.folder.read_only:
            raise Refusal("The folder was opened to be read alone", "READ-ONLY")
        return self.folder

    # -- news ---------------------------------------------------------------------------------------------------------

    async def after(self, cmd: Command) -> list[bytes]:
        opened = self.opened
        if opened is None or isinstance(cmd, SelectCommand):
            return []
        is_due = isinstance(cmd, _LOOKS) or self.desk.clock.monotonic() - opened.looked >= LOOK
        told = await self.changes(by_uid=getattr(cmd, "uid", False)) if is_due else []
        if not isinstance(cmd, _NUMBERED) or cmd.uid:  # RFC 3501 7.4.1
            told += await self.expunges()
        return told

    async def expunges(self) -> list[bytes]:
        """Tell what is gone from the open folder; none where it was closed."""
        opened = self.opened
        return [] if opened is None else await self.desk.aside(opened.gone, opened.expunges)

    async def changes(self, *, by_uid: bool = False) -> list[bytes]:
        """Ask the store what has happened in the open folder, and enter it; expunges are not told yet."""
        opened = self.folder
        store = self.desk.store
        opened.looked = self.desk.clock.monotonic()
        try:
            changes = await store.changes(opened.folder.id, opened.modseq)
        except NoFolder:
            self._enter(None)
            return [b"* OK [CLOSED] The folder was deleted\r\n"]
        told: list[bytes] = []
        if not all(bits_known(flags, opened.folder.keywords) for flags in changes.entries.flags):
            told += await self.keywords()
        aside = self.desk.aside
        if changes.complete:
            count = len(changes.entries) + len(changes.expunged)
            return told + await aside(count, lambda: opened.take(changes, by_uid=by_uid))
        entries = await store.entries(opened.folder.id)
        return told + await aside(len(entries), lambda: opened.replaced(entries, changes.modseq))

    async def keywords(self) -> list[bytes]:
        """The folder has keywords that this connection does not know."""
        opened = self.folder
        folder = await self.desk.store.folder_now(opened.folder.id)
        if folder is None or folder.keywords == opened.folder.keywords:
            return []
        opened.folder = folder
        return [b"* FLAGS (%b)\r\n" % _flag_words(folder)]


def _flag_words(folder: Folder) -> bytes:
    return b" ".join([*SYSTEM_WORDS, *(word.encode("ascii", "replace") for word in folder.keywords)])
