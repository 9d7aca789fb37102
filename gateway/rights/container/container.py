"""message.rpmsg as a whole: the publishing licence and the ciphertext, in and out ([MS-OXORMMS] 2.2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.rights.container import compound, limits
from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import write_compound
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.dataspaces import CONTENT, DATA_SPACES, read_licence, write_data_spaces
from gateway.rights.container.envelope import Envelope, write_envelope
from gateway.rights.container.stretch import Stretch


@dataclass(frozen=True, slots=True)
class Parts:
    """What a message.rpmsg holds. Nothing of it is to be believed before the licence's signature is verified."""

    licence: bytes = field(repr=False)  # The publishing licence and the certificates above it, UTF-8, as they came.
    content: Stretch = field(repr=False)

    @property
    def drm_content(self) -> bytes:
        """The whole stream \x09DRMContent, as a copy: the length in front, the ciphertext."""
        return bytes(self.content.view())


def write_rpmsg(licence: bytes, drm_content: bytes) -> bytes:
    """The file of a message whose publishing licence and whole stream \\x09DRMContent these are.

    Raises ValueError for a licence over 1 MiB, which no reader would take.
    """
    if len(licence) > limits.LICENCE:
        raise ValueError("the publishing licence is longer than readers take: fewer readers for one message")
    file = write_compound({DATA_SPACES: write_data_spaces(licence), CONTENT: drm_content})
    if len(drm_content) < compound.CUTOFF:
        return write_envelope([file.head, *file.streams], [])
    at = next(number for number, piece in enumerate(file.streams) if piece is drm_content)
    return write_envelope([file.head, *file.streams[:at]], file.streams[at:])


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
