"""Makes edits in a message while it streams."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.mail.edit import Edit
from gateway.mail.mime.encode import Encoder, encoder


class Editor:
    """Made for one passage of one message: `feed` it all octets in order, then ask `end` for what is left.

    `edits` are in the order of their octets and don't overlap.
    """

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = iter(edits)
        self._at = 0  # Octets that were fed.
        self._encoder: Encoder | None = None
        self._edit = next(self._edits, None)

    def feed(self, octets: bytes) -> bytes:
        """What becomes of the next octets, as far as it can be written."""
        out: list[bytes] = []
        place, base, size = 0, self._at, len(octets)
        while (edit := self._edit) is not None and edit.start - base < size:
            start, end = max(edit.start - base, 0), min(edit.end - base, size)
            out.append(octets[place:start])
            if edit.encoding is not None:
                if self._encoder is None:
                    self._encoder = encoder(edit.encoding)
                out.append(self._encoder.feed(octets[start:end]))
            place = end
            if edit.end - base > size:  # It goes on in the next block.
                break
            out.append(self._finish(edit))
        out.append(octets[place:])
        self._at += size
        return b"".join(out)

    def end(self) -> bytes:
        """What is still to be written: an edit at the very end."""
        out = []
        while self._edit is not None:
            out.append(self._finish(self._edit))
        return b"".join(out)

    def _finish(self, edit: Edit) -> bytes:
        rest = b"" if self._encoder is None else self._encoder.end()
        self._encoder = None
        self._edit = next(self._edits, None)
        return rest + edit.octets
