"""Writes docs/settings.md out of the schema: `python -m gateway.settings.reference > docs/settings.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from gateway.settings import shape
from gateway.settings.schema import Section
from gateway.settings.unbuilt import PARTS, REFUSALS, VALUES

_HEAD = """\
# Settings: gateway.toml

<!-- Made by `python -m gateway.settings.reference`; change gateway/settings/schema.py instead of this page. -->

One TOML file holds all settings. `gateway init DIR` writes a first one, `gateway check` tells every fault in it at
once, `gateway reload` makes the running gateway take a changed file, the whole of it or nothing.

- Relative paths count from the folder of gateway.toml.
- `[name]` is a section that stands once, `[[name]]` one of a list: it may stand again and again.
- A key belongs to the header above it; the keys of the first table come before any header.
- An unknown key is a fault, never ignored. So is a number in quotes.
- Domains are written as people write them; internationalised ones are compared as A-labels.
"""
_UNBUILT = """
## Not built yet

These are refused by name, so that nobody trusts in what is not there; where it says warning, `gateway check` warns.

| key | value | what would be right |
|---|---|---|
"""


def reference() -> str:
    """The page, in Markdown."""
    lines = [_HEAD.rstrip()]
    seen: dict[type[Section], str] = {}
    for header, section in shape.sections():
        lines += ["", f"## {header}" if header else "## At the top", "", _sentence(section), ""]
        if (first := seen.setdefault(section, header)) != header:
            lines.append(f"The keys are those of `{first}`.")
            continue
        lines.append(_TABLE_HEAD)
        lines += [_row(key, field) for key, field in section.model_fields.items()]
    return "\n".join(lines) + "\n" + _UNBUILT + "".join(f"{row}\n" for row in _unbuilt())


_TABLE_HEAD = "| key | value | default | meaning |\n|---|---|---|---|"


def _sentence(section: type[Section]) -> str:
    return " ".join((section.__doc__ or "").split())


def _row(key: str, field: FieldInfo) -> str:
    return f"| `{key}` | {_value(field)} | {_default(field)} | {_cell(_meaning(field))} |"


def _meaning(field: FieldInfo) -> str:
    if field.description:
        return field.description
    section = shape.section_of(field.annotation)
    return _sentence(section) if section else ""


def _value(field: FieldInfo) -> str:
    bounds = []
    for mark in field.metadata:
        for name, words in _BOUNDS.items():
            if (bound := getattr(mark, name, None)) is not None:
                bounds.append(words.format(f"{bound:,}" if isinstance(bound, int) else f"{bound:,g}"))
    return _cell(", ".join([shape.kind(field.annotation).replace('"', "`"), *bounds]))


_BOUNDS = {"gt": "more than {}", "ge": "at least {}", "lt": "less than {}", "le": "at most {}"}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be there"
    default: Any = field.get_default(call_default_factory=True)
    if default is None:
        return "none"
    if isinstance(default, Section):
        return "its own defaults"
    if isinstance(default, list) and default and isinstance(default[0], Section):
        return "one with its own defaults"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{json.dumps(default)}`"


def _unbuilt() -> Iterator[str]:
    for refusal in REFUSALS:
        mark = "warning: " if refusal.warning else ""
        yield f"| `{refusal.path}` | {_cell(refusal.values)} | {mark}{_cell(refusal.right)} |"
    later: dict[tuple[str, str], list[str]] = {}
    for path, word, part in VALUES:
        later.setdefault((path, part), []).append(f"`{word.replace('*', '…')}`")
    for (path, part), words in later.items():
        yield f"| `{path}` | {', '.join(words)} | another one until then; they belong to {_cell(part)} |"
    for pattern, part in PARTS:
        key = pattern.replace("?*?", "[]").replace("*.", "…").replace("*", "…")
        yield f"| `{key}` | any | to leave it out until then; it belongs to {_cell(part)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").rstrip()


if __name__ == "__main__":
    sys.stdout.write(reference())
