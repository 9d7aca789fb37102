"""message.rpmsg as a whole: the publishing licence and the ciphertext, in and out ([MS-OXORMMS] 2.2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from gateway.rights.container import compound, limits
from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Written, write_compound
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.dataspaces import (
    CONTENT,
    DATA_SPACES,
    PRIMARY_HEAD,
    primary_size,
    read_licence,
    write_data_spaces,
)
from gateway.rights.container.envelope import Envelope, Piece, Way, write_envelope
from gateway.rights.container.stretch import Stretch

# Octets of a licence for few readers. Deflating takes a quarter off the ciphertext in it, and a sixth of the time that
# the licence's signature takes: more than the octets cost in a file that travels a few times.
_SHORT: Final = 32 * 1024
_SMALL: Final = 64 * 1024  # Octets of licence and ciphertext in a file whose head is remembered.


@dataclass(frozen=True, slots=True)
class Parts:
    """What a message.rpmsg holds. Nothing of it is to be believed before the licence's signature is verified."""

    licence: bytes = field(repr=False)  # The publishing licence and the certificates above it, UTF-8, as they came.
    content: Stretch = field(repr=False)

    @property
    def drm_content(self) -> bytes:
        """The whole stream \x09DRMContent, as a copy: the length in front, the ciphertext."""
        return bytes(self.content.view())


def write_rpmsg(licence: bytes, drm_content: bytes, *, alike: tuple[int, int] = (0, 0)) -> bytes:
    """The file of a message whose publishing licence and whole stream \\x09DRMContent these are. `alike`: octets at the
    licence's beginning and end that many others have too.

    Raises ValueError for a licence over 1 MiB, which no reader would take.
    """
    if len(licence) > limits.LICENCE:
        raise ValueError("the publishing licence is longer than readers take: fewer readers for one message")
    if len(drm_content) < compound.CUTOFF or len(licence) < compound.CUTOFF:  # They lie in the head.
        file = _file(licence, drm_content)
        return write_envelope([(piece, Way.DEFLATED) for piece in (file.head, *file.streams)])
    return write_envelope([*_head(licence, drm_content), *_streams(licence, drm_content, *alike)])


def _file(licence: bytes, drm_content: bytes) -> Written:
    return write_compound({DATA_SPACES: write_data_spaces(licence), CONTENT: drm_content})


def _head(licence: bytes, drm_content: bytes) -> list[Piece]:
    """Short files whose streams have as many sectors have all of it in common but the lengths of those."""
    if len(licence) + len(drm_content) > _SMALL:
        return [(_file(licence, drm_content).head, Way.DEFLATED)]
    lengths = primary_size(len(licence)), len(drm_content)
    (first, *runs), order = _runs(*[-(-length // compound.SECTOR) for length in lengths])
    pieces: list[Piece] = [(first, Way.KEPT)]
    for number, run in zip(order, runs, strict=True):
        pieces += ((lengths[number].to_bytes(compound.ENTRY_SIZE, "little"), Way.STORED), (run, Way.KEPT))
    return pieces


@lru_cache(maxsize=256)
def _runs(primary: int, content: int) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """The head of files whose streams have so many sectors, in pieces, and whose lengths stand between these."""
    file = _file(bytes(primary * compound.SECTOR - primary_size(0)), bytes(content * compound.SECTOR))
    return file.runs(), tuple([number for _, number in file.sizes])


def _streams(licence: bytes, drm_content: bytes, front: int, end: int) -> list[Piece]:
    """What is in no other licence is ciphertext in base64 for the most part."""
    view = memoryview(licence)
    own = Way.STORED if len(licence) <= _SHORT else Way.DEFLATED
    return [
        (PRIMARY_HEAD, Way.KEPT),
        (len(licence).to_bytes(4, "little"), Way.STORED),
        (view[:front], Way.KEPT),
        (view[front : len(licence) - end], own),
        (view[len(licence) - end :], Way.KEPT),
        (bytes(-(primary_size(0) + len(licence)) % compound.SECTOR), Way.KEPT),
        (drm_content, Way.STORED),
        (bytes(-len(drm_content) % compound.SECTOR), Way.KEPT),
    ]


def read_rpmsg(octets: bytes | Envelope, most: int | None = None) -> Parts:
    """Licence and ciphertext of a message.rpmsg, or of what an envelope was fed. `most` octets may it have, and as many
    may come of it; by default `limits.most_of` its own. A ciphertext in one piece, as we write it, is not copied.

    Raises `Damaged` for whatever is no such file, or passes a limit.
    """
    if isinstance(octets, Envelope):
        envelope = octets
    else:
        envelope = Envelope(limits.most_of(len(octets)) if most is None else most)
        envelope.feed(octets)
    plain = envelope.end()
    file = CompoundFile(plain.getbuffer())
    licence = read_licence(file)
    if not licence:
        raise Damaged("licence: empty")
    place = file.place(CONTENT)
    return Parts(licence, Stretch.of(file.read(CONTENT)) if place is None else Stretch(plain, *place))
