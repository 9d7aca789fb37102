"""YAML read as a tree of tables, lists and texts, each with its line. Pure, with PyYAML's parser underneath.

A subset of YAML 1.2: no anchors and aliases (nine lines of them can stand for gigabytes), no tags (they name types to
be made), one document, no key twice. A scalar stays the text that it is written as, with a mark whether it stood plain:
only what reads it knows whether `no`, `5.7.1` or `0123` is a word or something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from gateway.rules.flaw import BadValue
from gateway.settings.fault import shown

MAX_DEPTH = 10  # Levels of lists and tables. A rule has six at most.
MAX_NODES = 500_000  # Values in a file. A thousand rules with five thousand words have a tenth of it.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as it is written, without quotes. `plain`: it stood without any, so it may be a number or true."""

    value: str
    line: int
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with texts as keys, each once, in the order of the file; each with the line of its key."""

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
            raise BadValue("a list or table as a key", "a word, and its value behind the colon", node.line)
        elif node.value in self.entries:
            first = self.entries[node.value][0]
            found = f"the key {node.value[:_SHOWN]!r}, which line {first} has already"
            raise BadValue(found, "each key once", node.line)
        else:
            self.key = node


def read_tree(text: str) -> Node | None:
    """The document in `text`, None where there is none (comments alone).

    Raises BadValue with its first flaw, whose line counts from 1: behind it nothing can be told for certain.
    """
    try:
        return _tree(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = f"YAML that can't be read: {error.problem or error.context}"
        raise BadValue(found, _hint(found), mark.line + 1 if mark else 0) from error
    except yaml.YAMLError as error:  # A letter that YAML does not allow.
        place = getattr(error, "position", None)
        line = text.count("\n", 0, place) + 1 if isinstance(place, int) else 0
        raise BadValue("a control character", "text without it", line) from error


def _hint(found: str) -> str:
    """What mostly stands behind an error of the parser."""
    if "tab" in found or r"'\t'" in found:
        return "blanks where lines are indented; a tab is none"
    if any(word in found for word in ("token", "block", "flow", "expected key", "alphabetic")):
        return 'quotes around a text with : # [ ] { } % & * ! | > @ or `, such as "[secure]"; patterns in single quotes'
    if "escape" in found:
        return "single quotes around a pattern, in which \\ is only a \\"
    return "YAML, such as - name: Tagged mail"


def _tree(events: Iterator[yaml.Event]) -> Node | None:
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
                    right = "one document; the rules behind --- in a file of their own"
                    raise BadValue("a second document", right, line)
            case yaml.AliasEvent():
                raise BadValue("an alias (*)", "the value itself (a text that begins with * needs quotes)", line)
            case yaml.ScalarEvent() | yaml.CollectionStartEvent():
                _plain(event, line)
                count += 1
                if isinstance(event, yaml.ScalarEvent):
                    node = Text(event.value, line, event.style in (None, ""))
                elif len(opened) >= MAX_DEPTH:
                    raise BadValue(f"more than {MAX_DEPTH} levels of lists and tables", "a list of rules", line)
                else:
                    opened.append(_Open(isinstance(event, yaml.MappingStartEvent), line))
            case yaml.CollectionEndEvent():
                node = opened.pop().done()
        if count > MAX_NODES:
            raise BadValue(f"more than {MAX_NODES} values", "several files", line)
        if node is not None:
            if opened:
                opened[-1].take(node)
            else:
                root = node
    return None if root == Text("", getattr(root, "line", 0), True) else root


def _plain(event: yaml.Event, line: int) -> None:
    """Raises BadValue for an anchor or a tag."""
    if getattr(event, "anchor", None) is not None:
        raise BadValue("an anchor (&)", "to leave it out (a text that begins with & needs quotes)", line)
    if (tag := getattr(event, "tag", None)) is not None:
        right = "to leave it out (a text that begins with ! needs quotes)"
        raise BadValue(f"the tag {tag[:_SHOWN]!r}", right, line)


def node(value: object) -> Node:
    """What YAML would have made of a value of Python, for those who make rules without a file. Raises BadValue."""
    match value:
        case Text() | Items() | Table():
            return value
        case None:
            return Text("", 0, True)
        case bool():
            return Text("true" if value else "false", 0, True)
        case int() | float():
            return Text(str(value), 0, True)
        case str():
            return Text(value, 0)
        case list() | tuple():
            return Items(tuple(node(one) for one in value), 0)
        case dict():
            return Table({str(key): (0, node(one)) for key, one in value.items()}, 0)
    raise BadValue(f"a {type(value).__name__}", "a text, a number, a list or a table")


def kind(one: Node) -> str:
    """What it is, in words, for a fault; short, on one line."""
    if isinstance(one, Text):
        return (one.value[:_SHOWN] if one.plain and one.value.isprintable() else shown(one.value)) or "nothing"
    if isinstance(one, Items):
        return f"a list of {len(one.items)}" if one.items else "an empty list"
    return "a table"
