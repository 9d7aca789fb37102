"""Faults of rule files: which file, line, rule and key, what was found, what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

MOST = 200  # Faults that are told at once; whoever has more repeats one mistake.


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong. `line` counts from 1, 0: the whole file. `rule` is its name, `key` dotted, such as
    `when.subject_contains_words[2]`; both "" where it concerns more than that. A warning keeps nothing from working.
    """

    file: str
    line: int = 0
    rule: str = ""
    key: str = ""
    found: str
    right: str
    severity: Literal["error", "warning"] = "error"

    @property
    def place(self) -> str:
        """Where in the file, such as `line 12: rule "Tagged mail": then.reject_message.code`; "" for the whole file."""
        parts = [f"line {self.line}"] if self.line else []
        parts += [f'rule "{self.rule}"'] if self.rule else []
        return ": ".join([*parts, self.key] if self.key else parts)

    def __str__(self) -> str:
        place = f"{self.file}: {self.place}" if self.place else self.file
        mark = "warning: " if self.severity == "warning" else ""
        return f"{place}: {mark}found {self.found}; right would be {self.right}"

    def as_json(self) -> dict[str, object]:
        """All its parts, for `--json`."""
        return asdict(self)


class BadRules(Exception):
    """The rules can't be used. `faults` holds every fault that was found, in the order of files and lines.

    What to do: show them all, and let the rules that were good before work on.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
