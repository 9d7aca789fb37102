"""YAML read as a tree of tables, lists and texts, each with its line. Pure, with PyYAML's parser underneath.

A subset of YAML 1.2: no anchors and aliases (nine lines of them can stand for gigabytes), no tags (they name types to
be made), one document, every scalar a text (`no` is somebody's name, not false), no key twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from gateway.directory.flaw import Flaw, Unreadable

MAX_DEPTH = 8  # Ours need five.
MAX_NODES = 4_000_000


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar; whatever it looks like, it is a text."""

    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with texts as keys, each once, in the order of the file."""

    entries: dict[str, tuple[int, Node]]
    line: int


Node = Text | Items | Table


@dataclass(slots=True)
class _Open:
    """A list or table that has begun. In a table `key` is the one whose value comes next."""

    is_table: bool
    line: int
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[int, Node]] = field(default_factory=dict)
    key: Text | None = None

    def done(self) -> Node:
        return Table(self.entries, self.line) if self.is_table else Items(tuple(self.items), self.line)

    def take(self, node: Node) -> None:
        if not self.is_table:
            self.items.append(node)
        elif self.key is not None:
            self.entries[self.key.value] = (self.key.line, node)
            self.key = None
        elif not isinstance(node, Text):
            raise Unreadable(Flaw(node.line, "a list or table as a key", "a word, and its value behind the colon"))
        elif node.value in self.entries:
            found = f"the key {node.value[:60]!r}, which line {self.entries[node.value][0]} has already"
            raise Unreadable(Flaw(node.line, found, "each key once"))
        else:
            self.key = node


def read_tree(text: str) -> Node:
    """The document in `text`. Raises Unreadable with its first flaw: behind it nothing can be told for certain."""
    try:
        return _tree(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = f"YAML that can't be read: {error.problem or error.context}"
        raise Unreadable(Flaw(mark.line + 1 if mark else 0, found, "YAML, such as - name: Ida")) from error
    except yaml.YAMLError as error:  # A letter that YAML does not allow.
        place = getattr(error, "position", None)
        line = text.count("\n", 0, place) + 1 if isinstance(place, int) else 0
        raise Unreadable(Flaw(line, "a control character", "text")) from error


def _tree(events: Iterator[yaml.Event]) -> Node:
    opened: list[_Open] = []
    root: Node | None = None
    documents = count = 0
    for event in events:
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        node: Node | None = None
        match event:
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    raise Unreadable(Flaw(line, "a second document", "one document"))
            case yaml.AliasEvent():
                raise Unreadable(Flaw(line, "an alias (*)", "the value itself: anchors and aliases are not taken"))
            case yaml.ScalarEvent() | yaml.CollectionStartEvent():
                _plain(event, line)
                count += 1
                if isinstance(event, yaml.ScalarEvent):
                    node = Text(event.value, line)
                elif len(opened) >= MAX_DEPTH:
                    raise Unreadable(Flaw(line, f"more than {MAX_DEPTH} levels", "people and groups, each a list"))
                else:
                    opened.append(_Open(isinstance(event, yaml.MappingStartEvent), line))
            case yaml.CollectionEndEvent():
                node = opened.pop().done()
        if count > MAX_NODES:
            raise Unreadable(Flaw(line, f"more than {MAX_NODES} values", "a shorter file, or LDAP"))
        if node is not None:
            if opened:
                opened[-1].take(node)
            else:
                root = node
    if root is None:
        raise Unreadable(Flaw(0, "an empty file", "people, each with addresses"))
    return root


def _plain(event: yaml.Event, line: int) -> None:
    """Raises Unreadable for an anchor or a tag."""
    if getattr(event, "anchor", None) is not None:
        raise Unreadable(Flaw(line, "an anchor (&)", "to leave it out: anchors and aliases are not taken"))
    if (tag := getattr(event, "tag", None)) is not None:
        raise Unreadable(Flaw(line, f"the tag {tag[:60]!r}", "to leave it out: every value is text"))
