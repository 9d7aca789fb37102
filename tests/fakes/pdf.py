"""A PDF of some pages, and one who draws none of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.portal.pdf_pages import PdfDrawer
from tests.fakes.clock import FakeClock


def pdf(*texts: str, width: int = 595, height: int = 842) -> bytes:
    """A page for each text, in ASCII, 24 points high; extents in points."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(texts)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(texts)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(texts):
        drawn = f"BT /F 24 Tf 72 {height - 100} Td ({text}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
    made, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n" + "".join(f"{at:010} 00000 n \n" for at in places)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n"
    return made + (table + end).encode()


class FakeDrawer(PdfDrawer):
    """Starts no process: answers with `answer`, or raises `error`; `asked` are the questions."""

    def __init__(self) -> None:
        super().__init__((), {}, FakeClock())
        self.answer = b""
        self.error: Exception | None = None
        self.asked: list[dict[str, int]] = []

    async def _ask(self, question: Mapping[str, int], file: Iterator[bytes], size: int) -> bytes:
        self.asked.append(dict(question))
        if self.error is not None:
            raise self.error
        return self.answer
