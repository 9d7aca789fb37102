"""Which conditions and actions there are, as far as reading rules needs it: both tables, seen from here.

Leaves out: what they mean; `gateway.rules.conditions` and `gateway.rules.actions` say that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.rules.actions import ACTIONS
from gateway.rules.classifiers import BUILT_IN, CHECKSUMS
from gateway.rules.conditions import CONDITIONS
from gateway.rules.shapes import Shape


class Kind(Protocol):
    """A condition or action, for reading it. `text` is a sentence for the reference."""

    @property
    def text(self) -> str: ...

    @property
    def shape(self) -> Shape:
        """How its value is written."""
        ...


class Protective(Kind, Protocol):
    """An action, for reading it."""

    @property
    def protects(self) -> bool:
        """Whether mail that should have had it must not go on without: it encrypts, refuses, holds or demands TLS."""
        ...


@dataclass(frozen=True, slots=True)
class Grammar:
    """Conditions and actions by name, and the names of data types and checksums that need no file."""

    conditions: Mapping[str, Kind]
    actions: Mapping[str, Protective]
    data_types: frozenset[str]
    checksums: frozenset[str]


def grammar() -> Grammar:
    """What this version knows."""
    return Grammar(
        conditions=CONDITIONS, actions=ACTIONS, data_types=frozenset(BUILT_IN), checksums=frozenset(CHECKSUMS)
    )
