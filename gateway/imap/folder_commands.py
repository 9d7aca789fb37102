"""The folders of a mailbox: LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE (RFC 3501 6.3), NAMESPACE (RFC 2342),
QUOTA (RFC 9208).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pymap.parsing.command.auth import (
    CreateCommand,
    DeleteCommand,
    ListCommand,
    RenameCommand,
    StatusCommand,
    SubscribeCommand,
    UnsubscribeCommand,
)

from gateway.imap.answers import Bad, Refusal
from gateway.imap.commands import Create, GetQuota, GetQuotaRoot, ListFolders, Namespace
from gateway.imap.conversation import Answered, Conversation
from gateway.imap.folder_name import BadName, matcher, quoted
from gateway.imap.wire import done
from gateway.storage.mailboxes.faults import NoFolder
from gateway.storage.mailboxes.model import INBOX, SEPARATOR, Folder

_SELECTING: Final = {b"SUBSCRIBED", b"SPECIAL-USE", b"REMOTE"}
_RETURNING: Final = {b"SUBSCRIBED", b"SPECIAL-USE", b"CHILDREN"}
_KIBIBYTE: Final = 1024  # RFC 9208 5.1: STORAGE is counted in these.


class FolderCommands(Conversation):
    """What lists and changes folders."""

    # -- listing ------------------------------------------------------------------------------------------------------

    async def do_list(self, cmd: ListCommand) -> Answered:
        """LIST and LSUB; LIST with the options that RFC 6154 needs."""
        word = b"LSUB" if cmd.only_subscribed else b"LIST"
        patterns: Sequence[str] = cmd.patterns if isinstance(cmd, ListFolders) else (cmd.filter,)
        selecting = set(cmd.selecting) if isinstance(cmd, ListFolders) else set()
        returning = set(cmd.returning) if isinstance(cmd, ListFolders) else set()
        if not selecting <= _SELECTING or not returning <= _RETURNING:
            raise Bad("LIST: an option that this server does not know")
        if list(patterns) == [""]:  # RFC 3501 6.3.8: what is the separator?
            return done(cmd.tag, b"Listed", None, b'* LIST (\\Noselect) "/" ""\r\n'), None
        folders = await self.desk.store.folders(self.person.mailbox.id)
        if cmd.only_subscribed or b"SUBSCRIBED" in selecting:
            shown = [one for one in folders if one.subscribed]
        elif b"SPECIAL-USE" in selecting:
            shown = [one for one in folders if one.special_use]
        else:
            shown = folders
        with_subscribed = b"SUBSCRIBED" in returning or b"SUBSCRIBED" in selecting

        def lines() -> list[bytes]:
            fits = [_fitting(cmd.ref_name + pattern) for pattern in patterns]
            return [
                b"* %b (%b) %b %b\r\n" % (word, attributes, b'"/"', quoted(name))
                for name, attributes in _listed(shown, folders, with_subscribed=with_subscribed)
                if any(fit(name) for fit in fits)
            ]

        try:
            # Thousands of folders against twenty patterns take a second or more.
            told = await self.desk.aside(len(folders) * (1 + len(patterns)), lines)
        except BadName as error:
            raise Bad(f"LIST: {error}") from None
        return done(cmd.tag, b"Listed", None, *told), None

    async def do_status(self, cmd: StatusCommand) -> Answered:
        folder = await self.named(cmd.mailbox)
        values = {
            b"MESSAGES": folder.exists,
            b"RECENT": 0,
            b"UIDNEXT": folder.uid_next,
            b"UIDVALIDITY": folder.uid_validity,
            b"UNSEEN": folder.unseen,
            b"HIGHESTMODSEQ": folder.modseq,
        }
        items = list(dict.fromkeys(item.value for item in cmd.status_list))
        if b"HIGHESTMODSEQ" in items:  # RFC 7162 3.1
            self.want_modseq()
        told = b" ".join([b"%b %d" % (item, values[item]) for item in items])
        return done(cmd.tag, b"Done", None, b"* STATUS %b (%b)\r\n" % (quoted(folder.name), told)), None

    async def do_namespace(self, cmd: Namespace) -> Answered:
        """RFC 2342: one's own, and no others'."""
        return done(cmd.tag, b"Done", None, b'* NAMESPACE (("" "/")) NIL NIL\r\n'), None

    # -- changing -----------------------------------------------------------------------------------------------------

    async def do_create(self, cmd: CreateCommand) -> Answered:
        if isinstance(cmd, Create) and cmd.has_use:
            raise Refusal("Folders for special uses are there already", "USEATTR")  # RFC 6154 3
        name = cmd.mailbox.removesuffix(SEPARATOR)  # RFC 3501 6.3.3
        if name == INBOX:
            raise Refusal("INBOX is there already", "ALREADYEXISTS")
        await self.desk.store.create_folder(self.person.mailbox.id, name)
        return done(cmd.tag, b"Created"), None

    async def do_delete(self, cmd: DeleteCommand) -> Answered:
        folder = await self.named(cmd.mailbox)
        await self.desk.store.delete_folder(self.person.mailbox.id, cmd.mailbox)
        self.hub.touched(folder.id)
        return done(cmd.tag, b"Deleted"), None

    async def do_rename(self, cmd: RenameCommand) -> Answered:
        to = cmd.to_mailbox.removesuffix(SEPARATOR)
        folder = await self.desk.store.rename_folder(self.person.mailbox.id, cmd.from_mailbox, to)
        self.hub.touched(folder.id)
        return done(cmd.tag, b"Renamed"), None

    async def do_subscribe(self, cmd: SubscribeCommand) -> Answered:
        if not await self.desk.store.subscribe(self.person.mailbox.id, cmd.mailbox, True):
            raise NoFolder("there is no such folder")
        return done(cmd.tag, b"Subscribed"), None

    async def do_unsubscribe(self, cmd: UnsubscribeCommand) -> Answered:
        await self.desk.store.subscribe(self.person.mailbox.id, cmd.mailbox, False)
        return done(cmd.tag, b"No longer subscribed"), None

    # -- quota --------------------------------------------------------------------------------------------------------

    async def do_getquotaroot(self, cmd: GetQuotaRoot) -> Answered:
        """RFC 9208 4.1.2: all folders share the mailbox's."""
        folder = await self.named(cmd.folder)
        root = b'* QUOTAROOT %b ""\r\n' % quoted(folder.name)
        return done(cmd.tag, b"Done", None, root, await self._quota()), None

    async def do_getquota(self, cmd: GetQuota) -> Answered:
        if cmd.root:
            raise Refusal("There is no such quota root", "NONEXISTENT")
        return done(cmd.tag, b"Done", None, await self._quota()), None

    async def _quota(self) -> bytes:
        mailbox = await self.person.read()
        if mailbox.quota is None:
            return b'* QUOTA "" ()\r\n'
        used = -(-mailbox.used // _KIBIBYTE)
        return b'* QUOTA "" (STORAGE %d %d)\r\n' % (used, mailbox.quota // _KIBIBYTE)


def _listed(shown: Iterable[Folder], folders: Iterable[Folder], *, with_subscribed: bool) -> list[tuple[str, bytes]]:
    """Names with their attributes; what only stands above one of them too (RFC 3501 6.3.8, \\Noselect)."""
    parents = {name.rpartition(SEPARATOR)[0] for name in (one.name for one in folders)}
    above = {up for name in parents for up in _above(name)}
    found: dict[str, bytes] = {}
    for one in shown:
        words = [b"\\HasChildren" if one.name in above else b"\\HasNoChildren"]
        if one.special_use:
            words.append(one.special_use.encode("ascii"))
        if with_subscribed and one.subscribed:
            words.append(b"\\Subscribed")
        found[one.name] = b" ".join(words)
    there = {one.name for one in folders}
    for name in list(found):
        for up in _above(name.rpartition(SEPARATOR)[0]):
            if up not in there:
                found.setdefault(up, b"\\Noselect \\HasChildren")
    return sorted(found.items(), key=lambda item: (item[0] != INBOX, item[0]))


def _above(name: str) -> list[str]:
    """The name, and all above it; none for "" itself."""
    parts = name.split(SEPARATOR) if name else []
    return [SEPARATOR.join(parts[: count + 1]) for count in range(len(parts))]


def _fitting(pattern: str) -> Callable[[str], bool]:
    """Whether a name fits the pattern; INBOX fits in any case (RFC 3501 5.1)."""
    first, separator, rest = pattern.partition(SEPARATOR)
    if first.upper() == INBOX:
        pattern = INBOX + separator + rest
    fits, fits_inbox = matcher(pattern), matcher(pattern.upper())
    return lambda name: fits(name) or (name == INBOX and fits_inbox(name))
