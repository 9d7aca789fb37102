"""Values of the directory: whom it knows, and what it answers when it is asked about an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from gateway.directory.folding import folded, keys
from gateway.mail.address import Address


class Answer(StrEnum):
    """To the question whether somebody exists."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    UNSURE = "unsure"  # The source is away, or does not want to say now.


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one question. `why` says why it is unsure, for the log: never an answer's secret.

    `away`: nobody was reached, so whoever asks the same place next will learn no more.
    """

    answer: Answer
    why: str = ""
    away: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with addresses, the main one first; `aliases` reach the same mailbox. `attributes` have many values."""

    name: str
    addresses: tuple[Address, ...]
    aliases: tuple[Address, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Several under one address. `members` are addresses of people, of other groups, or of anybody outside."""

    name: str
    addresses: tuple[Address, ...]
    members: tuple[Address, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Everybody whom one file names. `known` are folded addresses (`folding`), `catch_all` whole domains.

    A plain list has no `people` and `groups`.
    """

    known: frozenset[str]
    catch_all: frozenset[str] = frozenset()
    people: tuple[Person, ...] = ()
    groups: tuple[Group, ...] = ()

    def knows(self, address: Address, separator: str | None = None) -> bool:
        """Whether the address is named, or its domain as a whole; `separator`: see `folding.keys`."""
        if folded(address) in self.known or address.domain in self.catch_all:
            return True
        return separator is not None and not self.known.isdisjoint(keys(address, separator))
