"""The commands that a client may give, on pymap's parsers: ours read names of folders, options and flags.

Leaves out: what reads the octets of APPEND's messages (`connection`), and FETCH's items (`fetch_command`).
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from pymap.flags import FlagOp
from pymap.parsing import EndLine, Params, Space
from pymap.parsing.command import CommandAuth, CommandNoArgs, CommandSelect
from pymap.parsing.command.auth import (
    CreateCommand,
    DeleteCommand,
    ExamineCommand,
    ListCommand,
    LSubCommand,
    RenameCommand,
    SelectCommand,
    StatusCommand,
    SubscribeCommand,
    UnsubscribeCommand,
)
from pymap.parsing.command.nonauth import AuthenticateCommand
from pymap.parsing.command.select import (
    CopyCommand,
    MoveCommand,
    StoreCommand,
    UidCopyCommand,
    UidMoveCommand,
    UidStoreCommand,
)
from pymap.parsing.commands import Commands
from pymap.parsing.exceptions import NotParseable
from pymap.parsing.primitives import Atom, List
from pymap.parsing.specials import AString, ExtensionOptions, Mailbox, SequenceSet, StatusAttribute

from gateway.imap import folder_name
from gateway.imap.appending import Append
from gateway.imap.fetch_command import Fetch, UidFetch, mod_sequence
from gateway.imap.search_command import Search, UidSearch

MAX_LIST_PATTERNS: Final = 20


def known_commands() -> Commands:
    """Those that this server knows."""
    commands = Commands()
    for one in (b"STARTTLS",):  # TLS came first.
        commands.deregister(one)
    for command in (
        Append,
        Authenticate,
        Copy,
        Create,
        Delete,
        Enable,
        Examine,
        Fetch,
        GetQuota,
        GetQuotaRoot,
        ListFolders,
        ListSubscribed,
        Move,
        Namespace,
        Rename,
        Search,
        Select,
        Status,
        Store,
        Subscribe,
        UidCopy,
        UidFetch,
        UidMove,
        UidSearch,
        UidStore,
        Unselect,
        Unsubscribe,
    ):
        commands.register(command)
    return commands


def _folder_alone(buf: memoryview, params: Params) -> tuple[Mailbox, memoryview]:
    _, buf = Space.parse(buf, params)
    name, buf = folder_name.read(buf, params)
    _, buf = EndLine.parse(buf, params)
    return name, buf


def _folder_and_options(buf: memoryview, params: Params) -> tuple[Mailbox, ExtensionOptions, memoryview]:
    _, buf = Space.parse(buf, params)
    name, buf = folder_name.read(buf, params)
    options, buf = ExtensionOptions.parse(buf, params)
    _, buf = EndLine.parse(buf, params)
    return name, options, buf


def _set_and_folder(buf: memoryview, params: Params) -> tuple[SequenceSet, Mailbox, memoryview]:
    _, buf = Space.parse(buf, params)
    wanted, buf = SequenceSet.parse(buf, params)
    name, buf = _folder_alone(buf, params)
    return wanted, name, buf


class Authenticate(AuthenticateCommand):
    """AUTHENTICATE with an initial response (RFC 4959); `initial` is None where there is none."""

    _base64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}|=")
    initial: bytes | None = None

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Authenticate, memoryview]:
        _, buf = Space.parse(buf, params)
        mechanism, buf = Atom.parse(buf, params)
        initial: bytes | None = None
        try:
            _, rest = Space.parse(buf, params)
        except NotParseable:
            rest = buf
        if match := cls._base64.match(rest):
            buf = rest[match.end() :]
            try:
                initial = b"" if match[0] == b"=" else binascii.a2b_base64(match[0], strict_mode=True)
            except binascii.Error:
                raise NotParseable(buf) from None
        _, buf = EndLine.parse(buf, params)
        command = cls(params.tag, mechanism.value.upper())
        command.initial = initial
        return command, buf


class Select(SelectCommand):
    """SELECT, with CONDSTORE (RFC 7162 3.1.8) among its options."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Select, memoryview]:
        name, options, buf = _folder_and_options(buf, params)
        return cls(params.tag, name, options), buf


class Examine(ExamineCommand):
    """EXAMINE: the same, read-only."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Examine, memoryview]:
        name, options, buf = _folder_and_options(buf, params)
        return cls(params.tag, name, options), buf


class Create(CreateCommand):
    """CREATE. `has_use`: a special use is named (RFC 6154 3), which is refused later."""

    _use = re.compile(rb" *\( *USE *\([ A-Za-z\\-]*\) *\)", re.IGNORECASE)
    has_use = False

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Create, memoryview]:
        _, buf = Space.parse(buf, params)
        name, buf = folder_name.read(buf, params)
        use = cls._use.match(buf)
        _, buf = EndLine.parse(buf if use is None else buf[use.end() :], params)
        command = cls(params.tag, name, ExtensionOptions.empty())
        command.has_use = use is not None
        return command, buf


class Delete(DeleteCommand):
    """DELETE."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Delete, memoryview]:
        name, buf = _folder_alone(buf, params)
        return cls(params.tag, name), buf


class Rename(RenameCommand):
    """RENAME."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Rename, memoryview]:
        _, buf = Space.parse(buf, params)
        before, buf = folder_name.read(buf, params)
        after, options, buf = _folder_and_options(buf, params)
        return cls(params.tag, before, after, options), buf


class Subscribe(SubscribeCommand):
    """SUBSCRIBE."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Subscribe, memoryview]:
        name, buf = _folder_alone(buf, params)
        return cls(params.tag, name), buf


class Unsubscribe(UnsubscribeCommand):
    """UNSUBSCRIBE."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Unsubscribe, memoryview]:
        name, buf = _folder_alone(buf, params)
        return cls(params.tag, name), buf


_STATUS: Final = StatusAttribute.valid_statuses - {b"MAILBOXID"} | {b"HIGHESTMODSEQ"}


class _StatusItem(StatusAttribute):
    """With HIGHESTMODSEQ (RFC 7162 3.1.7)."""

    valid_statuses = _STATUS


class Status(StatusCommand):
    """STATUS."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Status, memoryview]:
        _, buf = Space.parse(buf, params)
        name, buf = folder_name.read(buf, params)
        _, buf = Space.parse(buf, params)
        items, rest = List.parse(buf, params.copy(expected=[_StatusItem], list_limit=16))
        if not items.value:
            raise NotParseable(buf)
        _, rest = EndLine.parse(rest, params)
        return cls(params.tag, name, items.get_as(StatusAttribute)), rest


class ListFolders(ListCommand):
    """LIST, with what RFC 5258 adds as far as RFC 6154 needs it: selection and return options.

    `patterns` are all that were given; `selecting` and `returning` are the words of the options, in capitals.
    """

    _pattern = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
    _option = re.compile(rb"[A-Za-z-]+")
    selecting: tuple[bytes, ...] = ()
    returning: tuple[bytes, ...] = ()
    patterns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[ListFolders, memoryview]:
        _, buf = Space.parse(buf, params)
        selecting: tuple[bytes, ...] = ()
        if buf[:1].tobytes() == b"(":
            selecting, buf = cls._options(buf)
            _, buf = Space.parse(buf, params)
        reference, buf = folder_name.read(buf, params)
        _, buf = Space.parse(buf, params)
        patterns, buf = cls._patterns(buf, params)
        returning: tuple[bytes, ...] = ()
        if bytes(buf[:8]).upper() == b" RETURN ":
            returning, buf = cls._options(buf[8:])
        _, buf = EndLine.parse(buf, params)
        command = cls(params.tag, reference.value, patterns[0])
        command.selecting, command.returning, command.patterns = selecting, returning, patterns
        return command, buf

    @classmethod
    def _patterns(cls, buf: memoryview, params: Params) -> tuple[tuple[str, ...], memoryview]:
        if buf[:1].tobytes() != b"(":
            pattern, buf = cls._one(buf, params)
            return (pattern,), buf
        found: list[str] = []
        buf = buf[1:]
        while True:
            pattern, buf = cls._one(buf, params)
            found.append(pattern)
            if buf[:1].tobytes() == b")":
                return tuple(found), buf[1:]
            if len(found) >= MAX_LIST_PATTERNS:
                raise NotParseable(buf)
            _, buf = Space.parse(buf, params)

    @classmethod
    def _one(cls, buf: memoryview, params: Params) -> tuple[str, memoryview]:
        if match := cls._pattern.match(buf):
            raw, rest = match[0], buf[match.end() :]
        else:
            text, rest = AString.parse(buf, params)
            raw = text.value
        try:
            return folder_name.decoded(raw), rest
        except folder_name.BadName as error:
            raise NotParseable(buf) from error

    @classmethod
    def _options(cls, buf: memoryview) -> tuple[tuple[bytes, ...], memoryview]:
        """`(WORD WORD ...)`; STATUS with its items is not among them."""
        end = bytes(buf[:200]).find(b")")
        if buf[:1].tobytes() != b"(" or end < 0:
            raise NotParseable(buf)
        words = tuple(word.upper() for word in bytes(buf[1:end]).split())
        if not all(cls._option.fullmatch(word) for word in words):
            raise NotParseable(buf)
        return words, buf[end + 1 :]


class ListSubscribed(LSubCommand):
    """LSUB."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[ListSubscribed, memoryview]:
        _, buf = Space.parse(buf, params)
        reference, buf = folder_name.read(buf, params)
        _, buf = Space.parse(buf, params)
        pattern, buf = ListFolders._one(buf, params)
        _, buf = EndLine.parse(buf, params)
        return cls(params.tag, reference.value, pattern), buf


class Copy(CopyCommand):
    """COPY."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Copy, memoryview]:
        wanted, name, buf = _set_and_folder(buf, params)
        return cls(params.tag, wanted, name), buf


class UidCopy(UidCopyCommand):
    """UID COPY."""

    delegate = CopyCommand

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[UidCopy, memoryview]:
        wanted, name, buf = _set_and_folder(buf, params.copy(uid=True))
        return cls(params.tag, wanted, name), buf


class Move(MoveCommand):
    """MOVE (RFC 6851)."""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Move, memoryview]:
        wanted, name, buf = _set_and_folder(buf, params)
        return cls(params.tag, wanted, name), buf


class UidMove(UidMoveCommand):
    """UID MOVE."""

    delegate = MoveCommand

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[UidMove, memoryview]:
        wanted, name, buf = _set_and_folder(buf, params.copy(uid=True))
        return cls(params.tag, wanted, name), buf


_STORE_ITEM: Final = re.compile(rb" *([+-]?)FLAGS(\.SILENT)? +(\()?", re.IGNORECASE)
_FLAG: Final = re.compile(rb"\\?[\x21\x23\x24\x26\x27\x2b-\x5b\x5d\x5e-\x7a\x7c\x7e]+")
_MODES: Final = {b"": FlagOp.REPLACE, b"+": FlagOp.ADD, b"-": FlagOp.DELETE}
_UNCHANGED: Final = re.compile(rb" *\( *UNCHANGEDSINCE +([0-9]{1,19}) *\)", re.IGNORECASE)


class _StoreArguments:
    """What stands behind STORE. `unchanged_since` is None where it is not asked for (RFC 7162 3.1.3)."""

    def __init__(self, buf: memoryview, params: Params) -> None:
        _, buf = Space.parse(buf, params)
        self.wanted, buf = SequenceSet.parse(buf, params)
        self.unchanged_since: int | None = None
        if match := _UNCHANGED.match(buf):
            self.unchanged_since = mod_sequence(match[1], buf)
            buf = buf[match.end() :]
        item = _STORE_ITEM.match(buf)
        if item is None:
            raise NotParseable(buf)
        self.mode = _MODES[item[1]]
        self.silent = item[2] is not None
        buf = buf[item.end() :]
        self.words: list[bytes] = []
        while found := _FLAG.match(buf):
            self.words.append(found[0])
            buf = buf[found.end() :]
            if buf[:1].tobytes() == b" ":
                buf = buf[1:]
        if item[3]:
            if buf[:1].tobytes() != b")":
                raise NotParseable(buf)
            buf = buf[1:]
        elif not self.words:
            raise NotParseable(buf)
        _, self.rest = EndLine.parse(buf, params)


class Store(StoreCommand):
    """STORE; `words` are the flags as the client wrote them."""

    words: tuple[bytes, ...] = ()
    unchanged_since: int | None = None

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Store, memoryview]:
        arguments = _StoreArguments(buf, params)
        command = cls(params.tag, arguments.wanted, (), arguments.mode, arguments.silent)
        command.words, command.unchanged_since = tuple(arguments.words), arguments.unchanged_since
        return command, arguments.rest


class UidStore(UidStoreCommand):
    """UID STORE."""

    delegate = StoreCommand
    words: tuple[bytes, ...] = ()
    unchanged_since: int | None = None

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[UidStore, memoryview]:
        arguments = _StoreArguments(buf, params.copy(uid=True))
        command = cls(params.tag, arguments.wanted, (), arguments.mode, arguments.silent)
        command.words, command.unchanged_since = tuple(arguments.words), arguments.unchanged_since
        return command, arguments.rest


class Unselect(CommandNoArgs, CommandSelect):
    """UNSELECT (RFC 3691): close without expunging."""

    command = b"UNSELECT"


class Namespace(CommandNoArgs, CommandAuth):
    """NAMESPACE (RFC 2342)."""

    command = b"NAMESPACE"


class Enable(CommandAuth):
    """ENABLE (RFC 5161)."""

    command = b"ENABLE"
    wanted: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Enable, memoryview]:
        words: list[bytes] = []
        while True:
            try:
                _, buf = Space.parse(buf, params)
                word, buf = Atom.parse(buf, params)
            except NotParseable:
                break
            words.append(word.value.upper())
        if not words:
            raise NotParseable(buf)
        _, buf = EndLine.parse(buf, params)
        command = cls(params.tag)
        command.wanted = tuple(words)
        return command, buf


class GetQuotaRoot(CommandAuth):
    """GETQUOTAROOT (RFC 9208 4.1.2)."""

    command = b"GETQUOTAROOT"
    folder: str = ""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[GetQuotaRoot, memoryview]:
        name, buf = _folder_alone(buf, params)
        command = cls(params.tag)
        command.folder = name.value
        return command, buf


class GetQuota(CommandAuth):
    """GETQUOTA (RFC 9208 4.1.1)."""

    command = b"GETQUOTA"
    root: bytes = b""

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[GetQuota, memoryview]:
        _, buf = Space.parse(buf, params)
        root, buf = AString.parse(buf, params)
        _, buf = EndLine.parse(buf, params)
        command = cls(params.tag)
        command.root = root.value
        return command, buf
