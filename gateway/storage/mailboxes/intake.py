"""Messages that come into a mailbox: a content, its place in a folder, and its blobs' names, in one transaction.

Those of one moment share the transaction and its statements: what is there is asked in one round trip, what comes of it
is written in another, however many messages there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from gateway.storage.mailboxes.driver import Driver, Rows, Step, chunks, inserts
from gateway.storage.mailboxes.faults import (
    BlobsCollected,
    KeyChanged,
    MailboxFault,
    NoFolder,
    NoMailbox,
    OverQuota,
)
from gateway.storage.mailboxes.message_rows import INTENDED, MessageRows, joined_names, split_names
from gateway.storage.mailboxes.model import CONTENT_ID, INBOX, SEEN, ContentRow, MailboxState, NewMessage
from gateway.storage.sealer import Sealer
from gateway.storage.sharing import SharedStore
from gateway.storage.together import Gathering
from gateway.world.chance import Chance
from gateway.world.clock import Clock

MOST_ADDED: Final = 1000  # Messages in one `add`.
_MAILBOXES: Final = (
    "SELECT id, state, key_version, next_key_version, quota, used FROM mailboxes WHERE id IN (??)"
    " ORDER BY id FOR UPDATE"
)
_KNOWN: Final = "SELECT mailbox, token, uid FROM mailbox_arrivals WHERE mailbox=? AND token IN (??)"
_FOLDER: Final = "SELECT id, mailbox, token, uid_next, modseq FROM mailbox_folders WHERE"
_INBOXES: Final = f"{_FOLDER} mailbox IN (??) AND token IN (??) ORDER BY id FOR UPDATE"
_FOLDERS: Final = f"{_FOLDER} id IN (??) AND token IS NOT NULL ORDER BY id FOR UPDATE"
_CLAIMED: Final = "DELETE FROM mailbox_blobs WHERE state=? AND name IN (??) RETURNING name"
_CONTENTS: Final = "INSERT INTO mailbox_contents (id, mailbox, key_version, refs, size, created, blobs, map, head)"
_MESSAGES: Final = "INSERT INTO mailbox_messages (folder, uid, modseq, flags, date, size, content)"
_ARRIVALS: Final = "INSERT INTO mailbox_arrivals (mailbox, token, folder, uid, time)"
_GROWN: Final = "UPDATE mailbox_folders SET modseq=?, uid_next=?, messages=messages+?, unseen=unseen+? WHERE id=?"
_FILLED: Final = "UPDATE mailboxes SET used=used+?, messages=messages+? WHERE id=?"


@dataclass(frozen=True, slots=True)
class _Adding:
    """One call of `add`. `inbox`: the token of the mailbox's INBOX, where it is meant."""

    mailbox: int
    folder: int | None
    inbox: int
    messages: Sequence[NewMessage]


@dataclass(slots=True)
class _Mailbox:
    """One that is there, and what comes to it now."""

    state: str
    versions: tuple[int, int | None]
    quota: int | None
    used: int
    messages: int = 0
    octets: int = 0


@dataclass(slots=True)
class _Folder:
    """One that is there, and what comes into it now. `uid_next` rises with it; `modseq` is the one that it gets."""

    id: int
    uid_next: int
    modseq: int
    bits: dict[tuple[str, ...], int] = field(default_factory=dict)  # Those of keywords, once they are known.
    messages: int = 0
    unseen: int = 0


@dataclass(slots=True)
class _There:
    """What was found, and what is to be written."""

    mailboxes: dict[int, _Mailbox] = field(default_factory=dict)
    known: dict[tuple[int, bytes], int] = field(default_factory=dict)
    inboxes: dict[tuple[int, int], _Folder] = field(default_factory=dict)
    folders: dict[tuple[int, int], _Folder] = field(default_factory=dict)  # By mailbox and id.
    contents: dict[bytes, ContentRow] = field(default_factory=dict)
    refs: dict[bytes, int] = field(default_factory=dict)
    repeated: list[ContentRow] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    arrivals: list[tuple[object, ...]] = field(default_factory=list)


class Intake(MessageRows):
    """Adds messages. Each exactly once, where it has a token."""

    def __init__(self, shared: SharedStore, sealer: Sealer, *, chance: Chance, clock: Clock) -> None:
        super().__init__(shared, sealer, chance=chance, clock=clock)
        self._additions: Gathering[_Adding, list[int] | MailboxFault] = Gathering(shared, self._add_all)

    async def add(self, mailbox: int, folder: int | None, messages: Sequence[NewMessage]) -> list[int]:
        """Put messages into a folder (None: INBOX), all or none; their UIDs, in their order.

        A message whose token came before has the UID that it got then, and what was written for it now is garbage. The
        names of blobs must be of `reserve`. Messages may share a content. Raises NoMailbox, NoFolder, OverQuota,
        KeyChanged, BlobsCollected, TooManyKeywords.
        """
        if len(messages) > MOST_ADDED:
            raise ValueError(f"{MOST_ADDED} messages at most are added at once")
        for one in messages:
            if len(one.content.id) != CONTENT_ID or one.content.mailbox != mailbox:
                raise ValueError("a content has an id of 16 octets, and is of the mailbox to which it is added")
        tokens = [one.token for one in messages if one.token is not None]
        if len(set(tokens)) != len(tokens):
            raise ValueError("two messages have one token")
        adding = _Adding(mailbox, folder, self._folder_token(mailbox, INBOX) if folder is None else 0, messages)
        found = await self._additions.do(adding, order=mailbox)
        if isinstance(found, MailboxFault):
            raise found
        return found

    async def arrived(self, mailbox: int, tokens: Iterable[bytes]) -> dict[bytes, int]:
        """Those of the tokens that came to the mailbox before, and the UIDs that their messages got then."""
        wanted = list(dict.fromkeys(tokens))

        def read(driver: Driver) -> dict[bytes, int]:
            rows = driver.together([(_KNOWN, (mailbox, chunk)) for chunk in chunks(wanted)])
            return {bytes(token): uid for found in rows for _, token, uid in found}

        return await self._read(read)

    # -- one transaction ----------------------------------------------------------------------------------------------

    def _add_all(self, connection: Connection, works: Sequence[_Adding]) -> list[list[int] | MailboxFault]:
        """What comes of each: nothing is written for one that is refused."""
        driver = Driver(connection)
        there = _found(driver, works)
        results = [self._added(driver, there, one) for one in works]
        self._forget_written(driver, there)
        self._write_down(driver, there)
        return results

    def _added(self, driver: Driver, there: _There, one: _Adding) -> list[int] | MailboxFault:
        """The UIDs of one call, once its rows are among those to be written."""
        mailbox = there.mailboxes.get(one.mailbox)
        if mailbox is None or mailbox.state != MailboxState.READY:
            return NoMailbox("there is no such mailbox (any more)")
        known = [there.known.get((one.mailbox, message.token or b"")) for message in one.messages]
        new = [message for message, uid in zip(one.messages, known, strict=True) if uid is None]
        if new:
            if (refusal := _refusal(mailbox, new)) is not None:
                return refusal
            place = (one.mailbox, one.inbox if one.folder is None else one.folder)
            folder = (there.inboxes if one.folder is None else there.folders).get(place)
            if folder is None:
                return NoFolder("there is no such folder (any more)")
            uids = iter([self._placed(driver, there, one.mailbox, folder, message) for message in new])
        there.repeated += [message.content for message, uid in zip(one.messages, known, strict=True) if uid is not None]
        return [next(uids) if uid is None else uid for uid in known]

    def _placed(self, driver: Driver, there: _There, mailbox: int, folder: _Folder, one: NewMessage) -> int:
        """The UID of a message that is new."""
        content, uid = one.content, folder.uid_next
        flags = one.flags | self._keywords(driver, folder, one.keywords)
        folder.uid_next += 1
        folder.messages += 1
        folder.unseen += 0 if flags & SEEN else 1
        there.mailboxes[mailbox].messages += 1
        there.mailboxes[mailbox].octets += content.size
        there.contents[content.id] = content
        there.refs[content.id] = there.refs.get(content.id, 0) + 1
        date = int(one.date * 1000)
        there.rows.append((folder.id, uid, folder.modseq, flags, date, content.size, content.id))
        if one.token is not None:
            there.known[mailbox, one.token] = uid
            there.arrivals.append((mailbox, one.token, folder.id, uid, self._now()))
        return uid

    def _keywords(self, driver: Driver, folder: _Folder, keywords: tuple[str, ...]) -> int:
        # Most messages come without, so the folder's are not opened for each.
        if keywords and keywords not in folder.bits:
            folder.bits[keywords] = self._bits(driver, self._folder(driver, folder.id), keywords)
        return folder.bits.get(keywords, 0)

    def _forget_written(self, driver: Driver, there: _There) -> None:
        """Give up what was written for messages that are there already, unless that very content is theirs."""
        contents = {one.id: one for one in there.repeated if one.id not in there.contents}
        for chunk in chunks(list(contents)):
            for (id_,) in driver.rows("SELECT id FROM mailbox_contents WHERE id IN (??)", chunk):
                del contents[bytes(id_)]
        if contents:
            self._discard(driver, [name for one in contents.values() for name in split_names(joined_names(one.blobs))])

    def _write_down(self, driver: Driver, there: _There) -> None:
        """All that was decided. Raises BlobsCollected; then nothing may be committed."""
        if not there.rows:
            return
        blobs = {id_: joined_names(one.blobs) for id_, one in there.contents.items()}
        names = sorted(name for octets in blobs.values() for name in split_names(octets))
        claims: list[Step] = [(_CLAIMED, (INTENDED, chunk)) for chunk in chunks(names)]
        contents = [
            (
                *(one.id, one.mailbox, one.key_version, there.refs[one.id], one.size, int(one.created * 1000)),
                *(blobs[one.id], one.map, one.head),
            )
            for one in there.contents.values()
        ]
        steps = [*claims, *inserts(_CONTENTS, contents), *inserts(_MESSAGES, there.rows)]
        steps += [*inserts(_ARRIVALS, there.arrivals), *_sums(there)]
        claimed = driver.together(steps)[: len(claims)]
        if sum(map(len, claimed)) != len(names):
            raise BlobsCollected("the names of the content's blobs are no longer reserved; it has to be written anew")


def _found(driver: Driver, works: Sequence[_Adding]) -> _There:
    """Mailboxes, folders and what came before. The mailboxes are locked, then the folders, each by rising ids."""
    there = _There()
    mailboxes = sorted({one.mailbox for one in works})
    steps: list[Step] = [(_MAILBOXES, (chunk,)) for chunk in chunks(mailboxes)]
    wanted: dict[int, list[bytes]] = {}
    for one in works:
        tokens = [message.token for message in one.messages if message.token is not None]
        wanted.setdefault(one.mailbox, []).extend(tokens)
    steps += [(_KNOWN, (mailbox, chunk)) for mailbox in mailboxes for chunk in chunks(wanted[mailbox])]
    inboxes = {one.mailbox: one.inbox for one in works if one.folder is None}
    steps += [(_INBOXES, (chunk, [inboxes[one] for one in chunk])) for chunk in chunks(sorted(inboxes))]
    steps += [(_FOLDERS, (chunk,)) for chunk in chunks(sorted({one.folder for one in works if one.folder is not None}))]
    for (statement, _), rows in zip(steps, driver.together(steps), strict=True):
        if statement is _MAILBOXES:
            there.mailboxes.update(_mailboxes(rows))
        elif statement is _KNOWN:
            there.known.update(((mailbox, bytes(token)), uid) for mailbox, token, uid in rows)
        else:
            for id_, mailbox, token, uid_next, modseq in rows:
                folder = there.folders.get((mailbox, id_)) or _Folder(id_, uid_next, modseq + 1)
                there.folders[mailbox, id_] = there.inboxes[mailbox, token] = folder
    return there


def _mailboxes(rows: Rows) -> Iterator[tuple[int, _Mailbox]]:
    for id_, state, version, next_version, quota, used in rows:
        yield id_, _Mailbox(state, (version, next_version), quota, used)


def _refusal(mailbox: _Mailbox, new: Sequence[NewMessage]) -> MailboxFault | None:
    """Why these can't be taken, where they can't."""
    octets, used = sum(one.content.size for one in new), mailbox.used + mailbox.octets
    if mailbox.quota is not None and used + octets > mailbox.quota:
        return OverQuota(f"the mailbox holds {used} of {mailbox.quota} octets, and {octets} more do not fit")
    if any(one.content.key_version not in mailbox.versions for one in new):
        return KeyChanged("the mailbox has another key by now")
    return None


def _sums(there: _There) -> Iterator[Step]:
    """What folders and mailboxes count."""
    for folder in there.folders.values():
        if folder.messages:
            yield _GROWN, (folder.modseq, folder.uid_next, folder.messages, folder.unseen, folder.id)
    for id_, mailbox in there.mailboxes.items():
        if mailbox.messages:
            yield _FILLED, (mailbox.octets, mailbox.messages, id_)
