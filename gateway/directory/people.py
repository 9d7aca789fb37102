"""A directory in YAML: people and groups with their addresses, in the form of `EXAMPLE`. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gateway.directory.entry import BadEntry, entry, mailbox
from gateway.directory.flaw import MOST, Flaw, Unreadable
from gateway.directory.folding import folded
from gateway.directory.model import Group, Person, Roll
from gateway.directory.tree import Items, Node, Table, Text, read_tree
from gateway.mail.address import Address
from gateway.settings.fault import shown

VERSION = "1"
EXAMPLE = """\
version: 1
people:
  - name: Ida Example
    addresses: [ida@corp.example]
    aliases: [i.example@corp.example]
    attributes: {department: Sales}
groups:
  - name: Sales
    addresses: [sales@corp.example]
    members: [ida@corp.example]
catch_all: [old.corp.example]
"""
_TOP = ("version", "people", "groups", "catch_all")
_PERSON = ("name", "addresses", "aliases", "attributes")
_GROUP = ("name", "addresses", "members", "attributes")


def read_people(text: str) -> Roll:
    """Everybody whom the directory names. Raises Unreadable with every flaw, in the order of the file."""
    return _Reader().read(read_tree(text))


class _Reader:
    """Makes values of one tree and gathers what is wrong with it."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self.known: dict[str, int] = {}  # Folded address, and in which line it stood first.

    def read(self, root: Node) -> Roll:
        if not isinstance(root, Table):
            raise Unreadable(Flaw(root.line, _kind(root), "a table with people, and groups where there are some"))
        self._check_keys(root, _TOP)
        self._check_version(root)
        people = tuple(self._person(one) for one in self._tables(root, "people"))
        groups = tuple(self._group(one) for one in self._tables(root, "groups"))
        catch_all = frozenset(self._domains(root))
        if not self.flaws and not (self.known or catch_all):
            self._bad(root.line, "nobody", "people with addresses; an empty directory would refuse everybody")
        if self.flaws:
            self.flaws.sort(key=lambda flaw: flaw.line)
            raise Unreadable(*self.flaws[:MOST])
        return Roll(known=frozenset(self.known), catch_all=catch_all, people=people, groups=groups)

    def _bad(self, line: int, found: str, right: str) -> None:
        self.flaws.append(Flaw(line, found, right))

    def _check_keys(self, table: Table, allowed: tuple[str, ...]) -> None:
        for key, (line, _) in table.entries.items():
            if key not in allowed:
                near = difflib.get_close_matches(key.lower(), allowed, n=1, cutoff=0.6)
                right = f"`{near[0]}`" if near else f"one of {', '.join(allowed)}"
                self._bad(line, f"the unknown key {shown(key)}", right)

    def _check_version(self, root: Table) -> None:
        line, node = root.entries.get("version", (root.line, None))
        if not isinstance(node, Text) or node.value != VERSION:
            found = "no version" if node is None else shown(node.value) if isinstance(node, Text) else _kind(node)
            self._bad(line, found, f"version: {VERSION}")

    def _tables(self, root: Table, key: str) -> Iterator[Table]:
        line, node = root.entries.get(key, (root.line, Items((), root.line)))
        if not isinstance(node, Items):
            if not (isinstance(node, Text) and not node.value):  # `groups:` with nothing behind it.
                self._bad(line, _kind(node), f"a list of {key}, each beginning with -")
            return
        for one in node.items:
            if isinstance(one, Table):
                yield one
            else:
                self._bad(one.line, _kind(one), "a table with name and addresses")

    def _person(self, table: Table) -> Person:
        self._check_keys(table, _PERSON)
        addresses = self._own(table, "addresses")
        return Person(
            name=self._name(table),
            addresses=addresses,
            aliases=self._own(table, "aliases", required=False),
            attributes=self._attributes(table),
        )

    def _group(self, table: Table) -> Group:
        self._check_keys(table, _GROUP)
        return Group(
            name=self._name(table),
            addresses=self._own(table, "addresses"),
            members=tuple(address for _, address in self._mailboxes(table, "members")),
            attributes=self._attributes(table),
        )

    def _name(self, table: Table) -> str:
        line, node = table.entries.get("name", (table.line, Text("", table.line)))
        if isinstance(node, Text):
            return node.value  # Nobody needs one to be known.
        self._bad(line, _kind(node), "the name, a text")
        return ""

    def _own(self, table: Table, key: str, *, required: bool = True) -> tuple[Address, ...]:
        """Addresses by which it is reached: each stands once in the whole file."""
        before = len(self.flaws)
        made = []
        for line, address in self._mailboxes(table, key):
            who = folded(address)
            if (first := self.known.get(who)) is not None:
                self._bad(line, f"{shown(address.text)}, which line {first} has already", "each address once")
            else:
                self.known[who] = line
            made.append(address)
        if required and not made and len(self.flaws) == before:
            self._bad(table.line, f"no {key}", f"{key}: [ida@corp.example]")
        return tuple(made)

    def _mailboxes(self, table: Table, key: str) -> Iterator[tuple[int, Address]]:
        for line, text in self._texts(table, key):
            try:
                yield line, mailbox(text)
            except BadEntry as error:
                self._bad(line, shown(text), error.right)

    def _domains(self, root: Table) -> Iterator[str]:
        for line, text in self._texts(root, "catch_all"):
            try:
                found = entry(f"@{text.removeprefix('@')}")
            except BadEntry:
                self._bad(line, shown(text), "a domain, such as corp.example")
                continue
            if isinstance(found, str):
                yield found

    def _texts(self, table: Table, key: str) -> Iterator[tuple[int, str]]:
        """The texts of a list, or one that stands alone."""
        line, node = table.entries.get(key, (table.line, Items((), table.line)))
        yield from self._several(line, node, key)

    def _several(self, line: int, node: Node, key: str) -> Iterator[tuple[int, str]]:
        if isinstance(node, Text):
            if node.value:
                yield node.line, node.value.strip()
            return
        if not isinstance(node, Items):
            self._bad(line, _kind(node), f"a list of {key}")
            return
        for one in node.items:
            if isinstance(one, Text):
                yield one.line, one.value.strip()
            else:
                self._bad(one.line, _kind(one), "a text")

    def _attributes(self, table: Table) -> Mapping[str, tuple[str, ...]]:
        line, node = table.entries.get("attributes", (table.line, Table({}, table.line)))
        if not isinstance(node, Table):
            if not (isinstance(node, Text) and not node.value):
                self._bad(line, _kind(node), "a table, such as {department: Sales}")
            return MappingProxyType({})
        return MappingProxyType(
            {
                key: tuple(text for _, text in self._several(at, value, "values"))
                for key, (at, value) in node.entries.items()
            }
        )


def _kind(node: Node) -> str:
    if isinstance(node, Text):
        return f"the text {shown(node.value)}" if node.value else "nothing"
    return "a list" if isinstance(node, Items) else "a table"
