"""The words of the pages in each language: gettext catalogues, read from the sources that translators write."""

from __future__ import annotations

from collections.abc import Mapping
from gettext import GNUTranslations, NullTranslations
from importlib import resources
from io import BytesIO
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from gateway.portal.languages import LANGUAGES

SOURCE: Final = "en"  # The texts of the templates themselves.


def catalogues() -> Mapping[str, NullTranslations]:
    """One for each language of `languages.LANGUAGES`. Reads files: to be called once, at the start."""
    folder = resources.files("gateway.portal") / "locale"
    found: dict[str, NullTranslations] = {}
    for language in LANGUAGES:
        if language == SOURCE:
            found[language] = NullTranslations()
            continue
        octets = (folder / language / "portal.po").read_bytes()
        compiled = BytesIO()
        write_mo(compiled, read_po(BytesIO(octets), locale=language))
        compiled.seek(0)
        found[language] = GNUTranslations(compiled)
    return found
