"""One rule out of its table in a file: its own keys, conditions, exceptions and actions, with all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.rules import forms, later
from gateway.rules.dates import DATE
from gateway.rules.fault import Fault
from gateway.rules.flaw import BadValue
from gateway.rules.grammar import Grammar
from gateway.rules.model import Action, Condition, Mode, OnError, Rule, SenderLocation
from gateway.rules.names import exception_of, snake
from gateway.rules.shapes import SWITCH, TEXT, Number, Shape, closest, member
from gateway.rules.shapes.words import MAX_NAME
from gateway.rules.tree import Node, Table, Text, kind

MAX_COMMENTS = 1_024  # Letters; Exchange's limit.
MAX_PRIORITY = 1_000_000


@dataclass(frozen=True, slots=True)
class Property:
    """A key of a rule itself: how it is written, and what the reference says of it."""

    shape: Shape
    default: str
    meaning: str


PROPERTIES: Final[Mapping[str, Property]] = {
    "name": Property(TEXT(MAX_NAME), "must be there", "Its name in log, trace and notices; no two rules share one."),
    "priority": Property(
        Number(0, MAX_PRIORITY),
        "behind those that have one",
        "Rules run by ascending priority, those with the same one, or none, in the order in which they stand.",
    ),
    "mode": Property(
        member(Mode),
        "`enforce`",
        "`audit`: what would be done is only traced; `audit_and_notify`: reports and notices go out too.",
    ),
    "enabled": Property(SWITCH, "`true`", "Whether it works."),
    "activation_date": Property(DATE, "none", "From when on it works: a date, or a date and time (RFC 3339), in UTC."),
    "expiry_date": Property(DATE, "none", "From when on it works no more; a date alone means its beginning."),
    "rule_error_action": Property(
        member(OnError),
        "`defer` for a rule that protects, refuses, holds or demands TLS; else `ignore`",
        "What becomes of a message when the rule can't be judged: it goes on, or the client keeps it (4xx).",
    ),
    "sender_address_location": Property(
        member(SenderLocation),
        "`header`",
        "Where conditions on the sender's address look: From, the envelope, or both.",
    ),
    "comments": Property(TEXT(MAX_COMMENTS, lines=True), "none", "For whoever reads the file."),
}
_LATER: Final = "to leave it out until then; it comes later, with "
SECTIONS: Final = ("when", "unless", "then")
# What people write instead of ours.
_MEANT: Final = {
    "conditions": "when",
    "if": "when",
    "exceptions": "unless",
    "except": "unless",
    "except_if": "unless",
    "actions": "then",
    "action": "then",
    "state": "enabled",
    "description": "comments",
    "comment": "comments",
    "on_error": "rule_error_action",
    "expires": "expiry_date",
    "expiration_date": "expiry_date",
    "activation": "activation_date",
    "sender_location": "sender_address_location",
}


@dataclass(slots=True)
class Report:
    """Takes what is wrong with one rule of one file."""

    file: str
    faults: list[Fault]
    rule: str = ""

    def add(self, key: str, found: str, right: str, line: int) -> None:
        """One fault of this rule."""
        self.faults.append(Fault(file=self.file, line=line, rule=self.rule, key=key, found=found, right=right))

    def unknown(self, section: str, what: str, name: str, right: str, line: int) -> None:
        """A name that nobody knows, or that comes later."""
        shown = kind(Text(name, line))
        found = (
            f"the {what} {shown}, which is not built yet" if right.startswith(_LATER) else f"the unknown {what} {shown}"
        )
        self.add(section, found, right, line)

    def read(self, shape: Shape, key: str, line: int, node: Node) -> Any:
        """The value that stands at `key`; None where it is wrong, and then all of that is reported."""
        try:
            return shape.read(node)
        except BadValue as error:
            for flaw in error.flaws:
                place = flaw.below(key, line)
                self.add(place.place, place.found, place.right, place.line)
            return None


@dataclass(slots=True)
class Draft:
    """A rule as it is read: what of it is right, and the priority that was written."""

    file: str
    line: int
    name: str
    priority: int | None = None
    when: tuple[Condition, ...] = ()
    unless: tuple[Condition, ...] = ()
    then: tuple[Action, ...] = ()
    parts: dict[str, Any] = field(default_factory=dict)

    def rule(self, priority: int) -> Rule:
        """The rule, which had no fault, with the priority that it got among all."""
        return Rule(
            name=self.name,
            priority=priority,
            when=self.when,
            unless=self.unless,
            then=self.then,
            file=self.file,
            line=self.line,
            **self.parts,
        )


def read_rule(table: Table, file: str, grammar: Grammar, faults: list[Fault]) -> Draft:
    """The rule in `table`, as far as it can be understood; `faults` gets all that is wrong with it."""
    report = Report(file, faults, name_of(table))
    values = _properties(table, report, grammar)
    draft = Draft(
        file,
        table.line,
        report.rule,
        values.get("priority"),
        _conditions(table, "when", report, grammar),
        _conditions(table, "unless", report, grammar),
        _actions(table, report, grammar),
    )
    began, ends = values.get("activation_date"), values.get("expiry_date")
    if began is not None and ends is not None and ends <= began:
        line = table.entries["expiry_date"][0]
        report.add("expiry_date", "an end that is not after the beginning", "a date after activation_date", line)
    protects = any(grammar.actions[action.name].protects for action in draft.then)
    draft.parts = {
        "mode": values.get("mode", Mode.ENFORCE),
        "enabled": values.get("enabled", True),
        "activation": began,
        "expiry": ends,
        "on_error": values.get("rule_error_action", OnError.DEFER if protects else OnError.IGNORE),
        "sender_location": values.get("sender_address_location", SenderLocation.HEADER),
        "comments": values.get("comments", ""),
    }
    return draft


def name_of(table: Table) -> str:
    """What a rule or data type is called in its faults; "" where that can't be told."""
    _, node = table.entries.get("name", (0, None))
    return node.value[:MAX_NAME] if isinstance(node, Text) and node.value.isprintable() else ""


def _properties(table: Table, report: Report, grammar: Grammar) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, (line, node) in table.entries.items():
        if key in SECTIONS:
            continue
        if (known := PROPERTIES.get(key)) is None:
            report.unknown("", "key", key, _right_property(key, grammar), line)
        elif node == Text("", node.line, True) and key == "comments":
            continue
        else:
            values[key] = report.read(known.shape, key, line, node)
    name = values.get("name")
    if "name" not in table.entries:
        report.add("name", "no name", "name: and a few words that tell it from others", table.line)
    elif name is not None and name != name.strip():
        report.add("name", kind(Text(name, 0)), "a name without blanks in front or behind", table.entries["name"][0])
    return values


def _right_property(key: str, grammar: Grammar) -> str:
    name = snake(key)
    if (part := _coming(key)) is not None:
        return _LATER + part
    if name in PROPERTIES or name in SECTIONS:
        return f"`{name}`"
    if name in _MEANT:
        return f"`{_MEANT[name]}`"
    if name in grammar.conditions or name in forms.part_names(forms.CONDITIONS):
        return f"`{name}` below `when`, or below `unless` for an exception"
    if (inner := exception_of(key)) is not None:
        return f"`{inner}` below `unless`"
    if name in grammar.actions or name in forms.part_names(forms.ACTIONS):
        return f"`{name}` below `then`"
    return closest(name, [*PROPERTIES, *SECTIONS])


def _section(table: Table, key: str, report: Report, example: str) -> Table:
    """What stands at `key`, empty where that is nothing."""
    line, node = table.entries.get(key, (table.line, Table({}, table.line)))
    if isinstance(node, Table):
        return node
    if not (isinstance(node, Text) and not node.value and node.plain):  # `unless:` with nothing behind it.
        report.add(key, kind(node), f"a table, such as {example}", line)
    return Table({}, line)


def _conditions(table: Table, section: str, report: Report, grammar: Grammar) -> tuple[Condition, ...]:
    whole = _section(table, section, report, "{subject_contains_words: [budget]}")
    made = []
    for name, line, node in _named(whole, section, forms.CONDITIONS, report):
        if (known := grammar.conditions.get(name)) is None:
            report.unknown(section, "condition", name, _right_condition(name, grammar), line)
            continue
        value = report.read(known.shape, f"{section}.{name}", line, node)
        made.append(Condition(name, value, line))
    return tuple(made)


def _actions(table: Table, report: Report, grammar: Grammar) -> tuple[Action, ...]:
    whole = _section(table, "then", report, "{quarantine: true}")
    made = []
    for name, line, node in _named(whole, "then", forms.ACTIONS, report):
        if (known := grammar.actions.get(name)) is None:
            report.unknown("then", "action", name, _right_action(name, grammar), line)
            continue
        made.append(Action(name, report.read(known.shape, f"then.{name}", line, node), line))
    if not whole.entries:
        line = table.entries["then"][0] if "then" in table.entries else table.line
        report.add("then", "no action", "then: and what is to be done, such as {quarantine: true}", line)
    return tuple(made)


def _named(
    whole: Table, section: str, kinds: tuple[forms.Form, ...], report: Report
) -> Iterable[tuple[str, int, Node]]:
    """Name, line and value of each entry, what Exchange spreads over several names put together."""

    def twice(key: str, found: str, right: str, line: int) -> None:
        report.add(f"{section}.{key}", found, right, line)

    for name, (line, node) in forms.joined(whole, kinds, twice).entries.items():
        yield name, line, node


def _right_condition(name: str, grammar: Grammar) -> str:
    return _right(
        name,
        known=[*grammar.conditions, *forms.part_names(forms.CONDITIONS)],
        elsewhere=lambda ours: (
            f"`{ours}` below `then`: it is an action"
            if ours in grammar.actions or ours in forms.part_names(forms.ACTIONS)
            else f"`{ours}` beside `when`"
            if ours in PROPERTIES
            else None
        ),
    )


def _right_action(name: str, grammar: Grammar) -> str:
    return _right(
        name,
        known=[*grammar.actions, *forms.part_names(forms.ACTIONS)],
        elsewhere=lambda ours: (
            f"`{ours}` below `when`: it is a condition"
            if ours in grammar.conditions or ours in forms.part_names(forms.CONDITIONS)
            else f"`{ours}` beside `then`"
            if ours in PROPERTIES
            else None
        ),
    )


def _right(name: str, *, known: list[str], elsewhere: Callable[[str], str | None]) -> str:
    """What would be right instead of an unknown name: nothing yet for one that comes later, wherever it stands; ours
    for Exchange's, the place where it belongs, a close one.
    """
    if (part := _coming(name)) is not None:
        return _LATER + part
    ours = snake(name)
    exception = exception_of(name)
    if exception is not None and exception in known:
        return f"`{exception}` below `unless`"
    if ours in known:
        return f"`{ours}`"
    return elsewhere(ours) or closest(ours, known)


def _coming(name: str) -> str | None:
    """The part that brings a name of Exchange's which is not built yet, or an exception of it; None for others."""
    for one in (snake(name), exception_of(name)):
        for table in (later.CONDITIONS, later.ACTIONS, later.PROPERTIES):
            if one is not None and one in table:
                return table[one]
    return None
