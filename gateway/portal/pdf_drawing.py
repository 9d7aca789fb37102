"""The process that draws a stranger's PDF: `python -m gateway.portal.pdf_drawing`, asked and answered by pipes.

It reads a line of JSON (`{"first": 0, "pages": 20}`: what is there; `{"page": 0}`: one page as a PNG), then the file
until the end. Before it has read an octet of the file it has confined itself. It draws with PDFium, which has no
JavaScript here. Status 0: the answer is on standard output; `UNREADABLE`: the file is none that it draws.
Leaves out: files with a password, XFA forms, media.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from importlib import import_module
from typing import Any, Final

from gateway.world.confinement import confine

UNREADABLE: Final = 3  # The exit status for a file that can't be drawn.
MAX_FILE: Final = 32 << 20  # Octets of a PDF that is drawn.
MAX_PICTURE: Final = 24 << 20  # Octets of a page that was drawn.
MAX_LETTERS: Final = 20_000  # Of the text of a page.
SECONDS: Final = 10  # Of CPU, for the whole process.
MEMORY: Final = 1 << 30  # Octets of address space, PDFium and Python with it.
WIDTH: Final = 1240.0  # Pixels: sharp on a desk, readable when a phone enlarges it.
MOST: Final = 6_000_000  # Pixels of one page.


def main() -> int:
    """Answer one question; the exit status."""
    pdfium = import_module("pypdfium2")
    "\0".encode("utf-16-le").decode("utf-16-le")  # What is imported at its first use can't be imported later.
    confine(memory=MEMORY, seconds=SECONDS, output=MAX_PICTURE)
    asked = json.loads(sys.stdin.buffer.readline(1000))
    octets = sys.stdin.buffer.read(MAX_FILE + 1)
    if len(octets) > MAX_FILE:
        return UNREADABLE
    try:
        document = pdfium.PdfDocument(octets)
        document.init_forms()  # So that what was filled in is drawn.
        if "page" in asked:
            answer = drawn(document, int(asked["page"]))
        else:
            answer = json.dumps(told(document, int(asked["first"]), int(asked["pages"]))).encode()
    except (pdfium.PdfiumError, IndexError, ValueError, ArithmeticError, MemoryError):
        return UNREADABLE
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return 0


def told(document: Any, first: int, pages: int) -> dict[str, Any]:
    """How many pages there are, and of some of them the size in pixels and the text."""
    count = len(document)
    found = []
    for number in range(first, min(count, first + pages)):
        page = document[number]
        width, height, _ = _extent(*page.get_size())
        text = page.get_textpage().get_text_range()[:MAX_LETTERS]
        found.append({"number": number, "width": width, "height": height, "text": _written(text)})
    return {"count": count, "pages": found}


def drawn(document: Any, number: int) -> bytes:
    """One page as a PNG."""
    if not 0 <= number < len(document):
        raise IndexError(number)
    page = document[number]
    _, _, scale = _extent(*page.get_size())
    bitmap = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)
    return png(bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels, memoryview(bitmap.buffer).cast("B"))


def png(width: int, height: int, stride: int, channels: int, octets: memoryview) -> bytes:
    """Rows of red, green, blue (or of grey) as a PNG (ISO 15948), without a fourth channel."""
    packed = zlib.compressobj(3)
    pieces = []
    for row in range(height):
        line = octets[row * stride : row * stride + width * channels]
        if channels == 4:
            whole = bytearray(width * 3)
            for channel in range(3):
                whole[channel::3] = line[channel::4]
            pieces.append(packed.compress(b"\0" + whole))
        else:
            pieces.append(packed.compress(b"\0" + line))
    pieces.append(packed.flush())
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", b"".join(pieces)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _extent(width: float, height: float) -> tuple[int, int, float]:
    """Pixels of a page of so many points, and the scale for it. Raises ValueError for a page that is none."""
    if not (0 < width < 20_000 and 0 < height < 20_000):
        raise ValueError("a page without an extent")
    scale = min(WIDTH / width, (MOST / (width * height)) ** 0.5)
    return max(1, round(width * scale)), max(1, round(height * scale)), scale


def _written(text: str) -> str:
    """Without what no page can show, and with ends of lines as they are usual."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")
    return "".join(one for one in text if one == "\n" or one.isprintable()).strip()


if __name__ == "__main__":
    sys.exit(main())
