"""The texts of the templates as a catalogue: `python -m gateway.portal.pages.extraction` brings those of translators up
to date. To be run whenever a template changes; a test tells when it was not.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from gateway.portal.languages import LANGUAGES
from gateway.portal.pages.catalogues import SOURCE

_FOLDER: Final = Path(__file__).parent
_LOCALE: Final = _FOLDER.parent / "locale"
# What would make a catalogue differ from day to day, and tells nobody anything.
_NOISE: Final = (
    b'"Project-Id-Version', b'"Report-Msgid', b'"POT-Creation', b'"PO-Revision', b'"Last-Translator', b'"Language-Team',
    b'"Generated-By',
)  # fmt: skip


def template_texts() -> Catalog:
    """Every text of every template, with its places."""
    catalogue = Catalog(project="gateway", charset="utf-8")
    for file in sorted((_FOLDER / "templates").glob("*.html")):
        found = extract(
            "jinja2.ext:babel_extract", BytesIO(file.read_bytes()), options={"trimmed": "true", "silent": "false"}
        )
        for _, texts, comments, _ in found:
            catalogue.add(texts, locations=[(file.name, 0)], auto_comments=comments)
    return catalogue


def merged(language: str, texts: Catalog) -> bytes:
    """The catalogue of `language` with `texts` in it: what is new is empty, what is gone is left out."""
    place = _LOCALE / language / "portal.po"
    known = read_po(BytesIO(place.read_bytes()), locale=language)
    known.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    known.header_comment = f"# Texts of the portal's pages: {LANGUAGES[language]}."
    known.obsolete.clear()
    written = BytesIO()
    write_po(written, known, width=100, omit_header=False, sort_output=False, include_lineno=False)
    return b"".join(line for line in written.getvalue().splitlines(True) if not line.startswith(_NOISE))


def main() -> None:
    """Write all catalogues anew."""
    texts = template_texts()
    for language in LANGUAGES:
        if language != SOURCE:
            (_LOCALE / language / "portal.po").write_bytes(merged(language, texts))


if __name__ == "__main__":
    main()
