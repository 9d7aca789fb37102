"""Values that Exchange spreads over several parameters: one table here, or its several names, whichever is written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gateway.rules.tree import Node, Table


@dataclass(frozen=True, slots=True)
class Form:
    """`joint` is the condition or action; `parts` are names that may stand beside or instead of it, each with the key
    of its table that it means. `beside`: only where `joint` itself is written; else the parts belong to a form below.
    """

    joint: str
    parts: MappingProxyType[str, str] = field(hash=False)
    alone: str | None = None  # The key that a single value at `joint` means, where it is written beside its parts.
    beside: bool = False


def _form(joint: str, parts: dict[str, str], alone: str | None = None, *, beside: bool = False) -> Form:
    return Form(joint, MappingProxyType(parts), alone, beside)


CONDITIONS: Final = (
    _form("header_contains", {"header_contains_message_header": "name", "header_contains_words": "words"}),
    _form("header_matches", {"header_matches_message_header": "name", "header_matches_patterns": "patterns"}),
)
ACTIONS: Final = (
    _form("apply_smime", {"smime_otherwise": "otherwise"}, alone="what"),
    _form("set_header", {"set_header_name": "name", "set_header_value": "value"}),
    # As Exchange has it: beside notify_sender they are what the refusal of that says, and no refusal of every message.
    _form(
        "notify_sender",
        {"reject_message_reason_text": "text", "reject_message_enhanced_status_code": "code"},
        alone="mode",
        beside=True,
    ),
    _form(
        "reject_message",
        {"reject_message_reason_text": "text", "reject_message_enhanced_status_code": "code"},
        alone="text",
    ),
    _form(
        "apply_html_disclaimer",
        {
            "apply_html_disclaimer_text": "text",
            "apply_html_disclaimer_location": "location",
            "apply_html_disclaimer_fallback_action": "fallback",
        },
        alone="text",
    ),
    _form("generate_incident_report", {"incident_report_content": "content"}, alone="to"),
)


def part_names(forms: tuple[Form, ...], names: Collection[str] | None = None) -> dict[str, tuple[str, str]]:
    """Each name that is a part of a form: to what it belongs, and which key of its table it means. `names`: what is
    written, where that is known.
    """
    found: dict[str, tuple[str, str]] = {}
    for form in forms:
        if names is not None and form.beside and form.joint not in names:
            continue
        for name, key in form.parts.items():
            found.setdefault(name, (form.joint, key))
    return found


def joined(table: Table, forms: tuple[Form, ...], flaw: Callable[[str, str, str, int], None]) -> Table:
    """`table` with each form's parts under its joint name, at the place of the first; `flaw` hears (key, found, right,
    line) of what stands twice.
    """
    parts = part_names(forms, table.entries)
    spread = {joint for name, (joint, _) in parts.items() if name in table.entries}
    if not spread:
        return table
    alone = {form.joint: form.alone for form in forms}
    gathered: dict[str, tuple[int, Node]] = {}
    inner: dict[str, dict[str, tuple[int, Node]]] = {joint: {} for joint in spread}
    for name, (line, node) in table.entries.items():
        joint, key = parts.get(name, (name, None))
        gathered.setdefault(joint, (line, node))
        if joint not in spread:
            continue
        if key is not None:
            new = {key: (line, node)}
        elif isinstance(node, Table):
            new = dict(node.entries)
        else:
            new = {alone[joint] or joint: (line, node)}
        for one, value in new.items():
            if one in inner[joint]:
                flaw(name, f"`{joint}`, which says {one} too", "one of the two", line)
            inner[joint][one] = value
    for joint, keys in inner.items():
        line = gathered[joint][0]
        gathered[joint] = (line, Table(keys, line))
    return Table(gathered, table.line)
