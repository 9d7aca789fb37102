"""Faults of settings: which file and key, what was found, what would be right."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

_LONGEST = 60  # Letters of a found value that are shown: enough to know it again, too few to fill a screen.


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `key` is dotted, such as `connectors.outbound[1].tls_settings`; empty: the whole file.

    A warning does not keep the gateway from serving. `beside`: other keys by whose values it was judged; where one of
    those is at fault itself, nobody knows yet whether this is one.
    """

    file: str
    key: str
    found: str
    right: str
    severity: Literal["error", "warning"] = "error"
    beside: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        mark = "warning: " if self.severity == "warning" else ""
        return f"{place}: {mark}found {self.found}; right would be {self.right}"

    def as_json(self) -> dict[str, str]:
        """The five fields, for `--json`."""
        return {name: getattr(self, name) for name in ("file", "key", "found", "right", "severity")}


class BadSettings(Exception):
    """The settings can't be used. `faults` holds every fault that was found, warnings too, in the order of the file.

    What to do: show them all; each says what would be right.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def errors(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Those that keep the gateway from serving."""
    return tuple(fault for fault in faults if fault.severity == "error")


def entry_keys(key: str, count: int, *names: str) -> tuple[str, ...]:
    """The keys of a list with `count` entries and of these values in each: what a fault is `beside` that was judged by
    all entries.
    """
    entries = [f"{key}[{number}]" for number in range(count)]
    return (key, *entries, *(f"{entry}.{name}" for entry in entries for name in names))


def shown(value: object) -> str:
    """A value of a TOML file as a fault shows it: short, on one line, control characters escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        cut = value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "..."
        return json.dumps(cut, ensure_ascii=not cut.isprintable())
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
