"""The compound file that lies encrypted in a message.rpmsg ([MS-OXORMMS] 2.2.4.4): body, attachments, the original."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final

from gateway.rights.container import compound, limits
from gateway.rights.container.code_page import UTF_8, decode
from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Octets, Tree, Written, write_compound
from gateway.rights.container.counted import Cursor, narrow, wide
from gateway.rights.container.damaged import Damaged

ORIGINAL: Final = "original.eml"
BY_VALUE: Final = 1
MESSAGE: Final = 5
OLE: Final = 6

_BODY_INFO: Final = "OutlookBodyStreamInfo"
_BODY: Final = "BodyPT-HTML"
_BODY_AS_HTML: Final = "BodyPTAsHTML"
_PLAIN: Final = 1
_HTML: Final = 2
_RTF: Final = 3

_LIST: Final = "Attachment List"
_LIST_INFO: Final = "Attachment Info"
_PLACE_0: Final = "MailAttachment 0"
_DESCRIPTION: Final = "AttachDesc"
_CONTENTS: Final = "AttachContents"
_DESCRIPTION_VERSION: Final = 0x0203
_SMALL: Final = 64 * 1024  # Octets of an original around which the head is remembered.
_MANY: Final = 0xFFFFFFFF  # What the count says beside an RTF body.


@dataclass(frozen=True, slots=True)
class InnerAttachment:
    """One attachment. Where `method` is not `BY_VALUE` it is something that is named and not opened: no octets."""

    name: str = field(repr=False)
    content_id: str | None = field(repr=False)  # Without angle brackets.
    octets: bytes = field(repr=False)
    method: int = BY_VALUE


@dataclass(frozen=True, slots=True)
class Inner:
    """What a rights-managed message says.

    `original` is our own layout: the message octet for octet, as `MailAttachment 0` named original.eml, and not among
    the attachments. A stranger's first attachment may have that name too; the digest in the licence decides.
    """

    text: str | None = field(repr=False)
    html: str | None = field(repr=False)
    attachments: tuple[InnerAttachment, ...] = field(default=(), repr=False)
    original: bytes | None = field(default=None, repr=False)


def write_inner(inner: Inner) -> bytes:
    """The compound file, a multiple of 512 octets.

    Raises ValueError for attachments that are not by value, for more than 1,000, and for a first one that would be
    taken for the original.
    """
    original = inner.original
    if original is not None and not inner.attachments and inner.text is None and inner.html is None:
        return _lean(original)
    if inner.original is None and inner.attachments and inner.attachments[0].name == ORIGINAL:
        raise ValueError("the first attachment has the name that only the original message has")
    if any(one.method != BY_VALUE for one in inner.attachments):
        raise ValueError("an attached object that was not opened can't be written")
    attachments = [(_describe(one.name, one.content_id), one.octets) for one in inner.attachments]
    if inner.original is not None:
        attachments.insert(0, (_original_description(), inner.original))
    if len(attachments) > limits.ATTACHMENTS:
        raise ValueError("more attachments than readers take")

    tree: dict[str, Octets | Tree] = {}
    if inner.text is not None:
        tree[_BODY_INFO] = struct.pack("<HI", _PLAIN, UTF_8)
        tree[_BODY] = inner.text.encode("utf-8", "replace")
        if inner.html is not None:
            tree[_BODY_AS_HTML] = inner.html.encode("utf-8", "replace")
    elif inner.html is not None:
        tree[_BODY_INFO] = struct.pack("<HI", _HTML, UTF_8)
        tree[_BODY] = inner.html.encode("utf-8", "replace")
    if attachments:
        storages: dict[str, Octets | Tree] = {
            f"MailAttachment {number}": {_DESCRIPTION: description, _CONTENTS: octets}
            for number, (description, octets) in enumerate(attachments)
        }
        storages[_LIST_INFO] = _list_info(len(attachments))
        tree[_LIST] = storages
    return write_compound(tree).join()


def _lean(original: bytes) -> bytes:
    """The file that holds a message and nothing else, as most are. Raises ValueError over 2 GiB."""
    if not compound.CUTOFF <= len(original) <= _SMALL:
        return _alone(original).join()
    front, back = _around(-(-len(original) // compound.SECTOR))
    size = len(original).to_bytes(compound.ENTRY_SIZE, "little")
    return b"".join((front, size, back, original, bytes(-len(original) % compound.SECTOR)))


@lru_cache(maxsize=128)
def _around(sectors: int) -> tuple[bytes, ...]:
    """The head of such files, around the length of an original of so many sectors: the same for all of them."""
    return _alone(bytes(sectors * compound.SECTOR)).runs()


def _alone(original: bytes) -> Written:
    place = {_DESCRIPTION: _original_description(), _CONTENTS: original}
    return write_compound({_LIST: {_PLACE_0: place, _LIST_INFO: _list_info(1)}})


@lru_cache(maxsize=16)
def _list_info(count: int) -> bytes:
    """Attachment Info (2.2.4.4.2): how many, and the names of their storages."""
    return struct.pack("<I", count) + wide("".join([f"MailAttachment {number}|" for number in range(count)]))


@cache
def _original_description() -> bytes:
    """The same in every file of ours."""
    return _describe(ORIGINAL, None)


def _describe(name: str, content_id: str | None) -> bytes:
    """AttachDesc (2.2.4.4.4): names in octets and in UTF-16, times that say nothing, the method."""
    suffix = name.rpartition(".")[2] if "." in name else ""
    extension = f".{suffix}" if suffix else ""
    narrows = ("", "", name, name, name, extension)
    wides = (content_id or "", "", "", "", name, name, name, extension)
    return b"".join((
        struct.pack("<H", _DESCRIPTION_VERSION),
        *map(narrow, narrows),
        bytes(16),
        struct.pack("<I", BY_VALUE),
        *map(wide, wides),
    ))  # fmt: skip


def read_inner(octets: bytes | memoryview) -> Inner:
    """What the decrypted file holds. RTF is not read: its HTML version is. Raises `Damaged`."""
    file = CompoundFile(octets)
    text, html = _read_body(file)
    original: bytes | None = None
    attachments = []
    for place in _places(file):
        one = _read_attachment(file, place)
        if place == _PLACE_0 and one.name == ORIGINAL and one.method == BY_VALUE:
            original = one.octets
        else:
            attachments.append(one)
    return Inner(text, html, tuple(attachments), original)


def original_place(octets: memoryview) -> tuple[int, int] | None:
    """Where the original begins in the decrypted file, and its size; None where there is none, or not in one piece, so
    that only `read_inner` gives it. Raises `Damaged`.
    """
    file = CompoundFile(octets)
    places = _places(file)
    if not places or places[0] != _PLACE_0:
        return None
    one = _read_attachment(file, _PLACE_0, contents=False)
    return file.place(_LIST, _PLACE_0, _CONTENTS) if one.name == ORIGINAL and one.method == BY_VALUE else None


def _read_body(file: CompoundFile) -> tuple[str | None, str | None]:
    """Text and HTML (2.2.4.4.1)."""
    if not file.has_stream(_BODY_INFO):
        if file.has_stream(_BODY):
            raise Damaged("body: nothing says what it is")
        return None, None
    cursor = Cursor(file.read(_BODY_INFO), "body")
    form, page = cursor.number(2), cursor.number(4)
    if form not in (_PLAIN, _HTML, _RTF):
        raise cursor.damaged("neither text nor HTML nor RTF")
    body = decode(file.read(_BODY), page) if file.has_stream(_BODY) else None
    if form != _PLAIN:
        return None, body
    return body, decode(file.read(_BODY_AS_HTML), page) if file.has_stream(_BODY_AS_HTML) else None


def _places(file: CompoundFile) -> list[str]:
    """The attachments' storages in order (2.2.4.4.2)."""
    if not file.has_storage(_LIST):
        return []
    cursor = Cursor(file.read(_LIST, _LIST_INFO), "attachments")
    count = cursor.number(4)
    *places, rest = cursor.wide().split("|")
    if rest.strip("\0") or count not in (len(places), _MANY):
        raise cursor.damaged("their list")
    if len(places) > limits.ATTACHMENTS:
        raise cursor.damaged("too many")
    if len(set(places)) != len(places):
        raise cursor.damaged("one stands in the list twice")
    return places


def _read_attachment(file: CompoundFile, place: str, *, contents: bool = True) -> InnerAttachment:
    cursor = Cursor(file.read(_LIST, place, _DESCRIPTION), "attachment")
    if cursor.number(2) != _DESCRIPTION_VERSION:
        raise cursor.damaged("version of its description")
    for _ in range(6):
        cursor.narrow()
    cursor.take(16)  # When it was made and last changed.
    method = cursor.number(4)
    content_id, _, _, _, display, long_name, short_name, _ = [cursor.wide() for _ in range(8)]
    octets = file.read(_LIST, place, _CONTENTS) if method == BY_VALUE and contents else b""
    return InnerAttachment(long_name or display or short_name, content_id.strip("<>") or None, octets, method)
