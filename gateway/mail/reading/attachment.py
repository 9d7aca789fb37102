"""A file that a message brings, by the names that any reader may give it."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.mail.reading.transfer import Encoding, decoded_blocks, decoded_size


class Attachment:
    """`names`: every name that a reader may take, the shown one first; none where it has none. `type`: as it is said,
    in small letters. `inline`: shown among the text. `within`: how many attached messages and containers it lies in.
    `where`: its place among the parts, such as `1.2`. `content_id`: as it stands in its field, empty without one.

    Its octets are decoded each time they are asked for: nothing is kept twice.
    """

    __slots__ = (
        "_encoding", "_end", "_size", "_source", "_start", "content_id", "inline", "names", "type", "where", "within",
    )  # fmt: skip

    def __init__(
        self,
        names: tuple[str, ...],
        kind: str,
        where: str,
        *,
        source: bytes,
        start: int,
        end: int,
        encoding: Encoding = Encoding.NONE,
        inline: bool = False,
        within: int = 0,
        content_id: bytes = b"",
    ) -> None:
        self.names = names
        self.type = kind
        self.where = where
        self.inline = inline
        self.within = within
        self.content_id = content_id
        self._source = source
        self._start = start
        self._end = end
        self._encoding = encoding
        self._size: int | None = None

    @property
    def name(self) -> str:
        """The shown one, empty where it has none."""
        return self.names[0] if self.names else ""

    @property
    def size(self) -> int:
        """Octets, decoded."""
        if self._size is None:
            self._size = decoded_size(self._source, self._start, self._end, self._encoding)
        return self._size

    def blocks(self) -> Iterator[bytes]:
        """Its octets, decoded, in pieces of about 1 MiB, so that whoever wants the beginning decodes no more."""
        return decoded_blocks(self._source, self._start, self._end, self._encoding)

    def octets(self) -> bytes:
        """Its octets, decoded."""
        return b"".join(self.blocks())

    def __repr__(self) -> str:
        return f"Attachment({self.type!r}, {self.where!r})"
