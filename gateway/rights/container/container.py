"""message.rpmsg as a whole: the publishing licence and the ciphertext, in and out ([MS-OXORMMS] 2.2.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.rights.container import compound, limits
from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Octets, Written, write_compound
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.dataspaces import CONTENT, DATA_SPACES, LICENCE_AT, read_licence, write_data_spaces
from gateway.rights.container.envelope import Envelope, Piece, Way, write_envelope
from gateway.rights.container.stretch import Stretch

# Octets of a licence for few readers. Deflating takes a quarter off the ciphertext in it, and a sixth of the time that
# the licence's signature takes: more than the octets cost in a file that travels a few times.
_SHORT: Final = 32 * 1024


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
    file = write_compound({DATA_SPACES: write_data_spaces(licence), CONTENT: drm_content})
    if len(drm_content) < compound.CUTOFF or len(licence) < compound.CUTOFF:  # They lie in the head.
        return write_envelope([(piece, Way.DEFLATED) for piece in (file.head, *file.streams)])
    stream, *others = file.streams
    pieces: list[Piece] = []
    pieces += _head(file) if len(file.head) <= limits.BLOCK else [(file.head, Way.DEFLATED)]
    pieces += _licence(stream, *alike, Way.STORED if len(licence) <= _SHORT else Way.DEFLATED)
    # What is shorter than a sector are the zeros behind a stream.
    pieces += [(piece, Way.KEPT if len(piece) < compound.SECTOR else Way.STORED) for piece in others]
    return write_envelope(pieces)


def _head(file: Written) -> Iterator[Piece]:
    """Files of one shape have all of it in common but the lengths of what is in them."""
    at = 0
    for size in file.sizes:
        yield file.head[at:size], Way.KEPT
        at = size + compound.ENTRY_SIZE
        yield file.head[size:at], Way.STORED
    yield file.head[at:], Way.KEPT


def _licence(stream: Octets, front: int, end: int, own: Way) -> Iterator[Piece]:
    """`own`: what is alike in no others, which is ciphertext in base64 for the most part."""
    view = memoryview(stream)
    yield view[: LICENCE_AT - 4], Way.KEPT
    yield view[LICENCE_AT - 4 : LICENCE_AT], Way.STORED  # Its length.
    yield view[LICENCE_AT : LICENCE_AT + front], Way.KEPT
    yield view[LICENCE_AT + front : -end or len(view)], own
    yield view[len(view) - end :], Way.KEPT


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
