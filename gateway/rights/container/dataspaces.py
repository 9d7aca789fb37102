"""The storage that says "DRM" and carries the publishing licence ([MS-OFFCRYPTO] 2.1, 2.2; [MS-OXORMMS] 2.2.4.2)."""

from __future__ import annotations

import struct
from typing import Final

from gateway.rights.container import limits
from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Tree
from gateway.rights.container.counted import Cursor, lp4_pieces, lp4_text
from gateway.rights.container.damaged import Damaged

DATA_SPACES: Final = "\x06DataSpaces"
CONTENT: Final = "\x09DRMContent"

_SPACE: Final = "\x09DRMDataSpace"
_TRANSFORM: Final = "\x09DRMTransform"
_PRIMARY: Final = "\x06Primary"
_TRANSFORM_ID: Final = "{C73DFACD-061F-43B0-8B64-0C620D2A8B50}"
_TRANSFORM_NAME: Final = "Microsoft.Metadata.DRMTransform"
_VERSIONS: Final = struct.pack("<6H", 1, 0, 1, 0, 1, 0)  # Who reads, updates, wrote it: 1.0 each.
_TRANSFORM_TYPE: Final = 1
_STREAM: Final = 0  # Of a reference in the map (2.1.6.2).

# All but the licence is the same in every file.
_REFERENCE: Final = struct.pack("<II", 1, _STREAM) + lp4_text(CONTENT) + lp4_text(_SPACE)
_VERSION: Final = lp4_text("Microsoft.Container.DataSpaces") + _VERSIONS
_MAP: Final = struct.pack("<III", 8, 1, len(_REFERENCE) + 4) + _REFERENCE
_INFO: Final = struct.pack("<II", 8, 1) + lp4_text(_TRANSFORM)
_ID: Final = lp4_text(_TRANSFORM_ID)
# IRMDSTransformInfo (2.2.6) in front of the licence: the transform's header, an empty extensibility header.
PRIMARY_HEAD: Final = b"".join((
    struct.pack("<II", 8 + len(_ID), _TRANSFORM_TYPE),
    _ID,
    lp4_text(_TRANSFORM_NAME),
    _VERSIONS,
    struct.pack("<I", 4),
))  # fmt: skip


def primary_size(licence: int) -> int:
    """Octets of the stream with a licence of so many."""
    return len(PRIMARY_HEAD) + 4 + licence + -licence % 4


def write_data_spaces(licence: bytes) -> Tree:
    """The storage \\x06DataSpaces with `licence`, the text of the publishing licence in UTF-8."""
    return {
        "Version": _VERSION,
        "DataSpaceMap": _MAP,
        "DataSpaceInfo": {_SPACE: _INFO},
        "TransformInfo": {_TRANSFORM: {_PRIMARY: b"".join((PRIMARY_HEAD, *lp4_pieces(licence)))}},
    }


def read_licence(file: CompoundFile) -> bytes:
    """The licence's octets, by the lengths in front of it: other names in there move it.

    Version, map and list of transforms are not asked: all writers have the same, and none of it is signed.
    Raises `Damaged`, also for a transform that is not rights management.
    """
    path = (DATA_SPACES, "TransformInfo", _TRANSFORM, _PRIMARY)
    if file.size(*path) > limits.LICENCE + limits.STRING:
        raise Damaged("licence: too long")
    cursor = Cursor(file.read(*path), "licence")
    before_name = cursor.number(4)
    kind = cursor.number(4)
    id_ = cursor.lp4()
    if kind != _TRANSFORM_TYPE or id_.upper() != _TRANSFORM_ID.encode("utf-16-le"):
        raise cursor.damaged("another transform than rights management")
    spare = before_name - 8 - 4 - len(id_) - -len(id_) % 4
    if spare < 0:
        raise cursor.damaged("length of the transform's header")
    cursor.take(spare)
    cursor.lp4()  # The transform's name.
    cursor.take(len(_VERSIONS))
    extension = cursor.number(4)
    if extension < 4:
        raise cursor.damaged("length of the extensibility header")
    cursor.take(extension - 4)
    return cursor.lp4(limits.LICENCE)
