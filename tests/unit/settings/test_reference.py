"""docs/settings.md is made from the schema and is fresh."""

from __future__ import annotations

from pathlib import Path

from gateway.settings.reference import reference
from gateway.settings.schema import Section, Settings
from gateway.settings.shape import sections

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text() == reference(), "say: python -m gateway.settings.reference > docs/settings.md"


def test_every_key_of_every_section_stands_in_it() -> None:
    page = reference()
    told: dict[type[Section], str] = {}
    for header, section in sections():
        part = page.partition(f"\n## {header or 'At the top'}\n")[2].partition("\n## ")[0]
        if (first := told.setdefault(section, header)) != header:
            assert f"`{first}`" in part  # What may stand in several places is told once.
            continue
        for key in section.model_fields:
            assert f"\n| `{key}` |" in part, (header, key)


def test_every_key_says_what_it_means() -> None:
    for row in reference().splitlines():
        if row.startswith("| `"):
            assert row.split(" | ")[-1].strip("| ") not in ("", "none"), row


def test_sections_have_the_headers_of_toml() -> None:
    headers = [header for header, _ in sections(Settings)]
    assert "[storage]" in headers
    assert "[[connectors.inbound]]" in headers
    assert "[listeners.timeouts]" in headers
