"""Conditions on attachments: those of nested messages too, never what lies inside an archive or document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from gateway.mail.reading import Attachment
from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hit, Hits, Place, Sought, Text
from gateway.rules.filetype import FileType, bare_name, filetype
from gateway.rules.matching.fold import plain
from gateway.rules.model import Rule
from gateway.rules.shapes import FLAG, PATTERNS, SIZE, WORDS
from gateway.rules.view import View

_TYPES: Final = "file types"


def label(attachment: Attachment) -> str:
    """By which an attachment is told: its name, else its type."""
    return attachment.names[0] if attachment.names else attachment.type


def types_of(view: View) -> tuple[FileType, ...]:
    """What each attachment is by its octets, in order; found out once."""
    known = view.remembered(_TYPES)
    if not isinstance(known, tuple):
        known = tuple(filetype(one.octets(), one.names, one.type) for one in view.attachments())
        view.remember(_TYPES, known)
    return known


def attachment_rows(view: View) -> list[Mapping[str, object]]:
    """The facts about attachments that `gateway rule test` prints."""
    return [
        {
            "name": one.names[0] if one.names else "",
            "type": kind.type,
            "size": one.size,
            "executable": kind.executable,
            "password_protected": kind.password_protected,
        }
        for one, kind in zip(view.attachments(), types_of(view), strict=True)
    ]


def _has_attachments(view: View) -> bool:
    return bool(view.attachments())


def _name_patterns(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.ATTACHMENT_NAME), patterns=value),)


@lru_cache(maxsize=1024)  # One for each rule, which asks of each message.
def _endings(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("." + one.lstrip("*").lstrip(".").casefold() for one in value)


def _extensions(value: tuple[str, ...], view: View, rule: Rule) -> Hits:
    if not (every := view.attachments()):
        return NO
    wanted = _endings(value)
    found = [tuple([name for name in one.names if bare_name(plain(name)).endswith(wanted)]) for one in every]
    return tuple(Hit(names, "attachment name") for names in found if names)


def _size_over(value: int, view: View, rule: Rule) -> Hits:
    return tuple(Hit((f"{one.size} B",), label(one)) for one in view.attachments() if one.size > value)


def _executable(value: bool, view: View, rule: Rule) -> Hits:
    if not view.attachments():
        return NO
    pairs = zip(view.attachments(), types_of(view), strict=True)
    return tuple(Hit((kind.type,), label(one)) for one, kind in pairs if kind.executable)


KINDS: Final = (
    ConditionKind(
        name="attachment_name_matches_patterns",
        shape=PATTERNS,
        text="The name of an attachment, decoded, fits one of these patterns.",
        cost=Cost.STRUCTURE,
        sought=_name_patterns,
    ),
    ConditionKind(
        name="attachment_extension_matches_words",
        shape=WORDS,
        text="The name of an attachment ends with one of these extensions, written with or without the dot.",
        cost=Cost.STRUCTURE,
        judge=_extensions,
        needs=_has_attachments,
    ),
    ConditionKind(
        name="attachment_size_over",
        shape=SIZE,
        text="Any one attachment, decoded, is larger than this.",
        cost=Cost.STRUCTURE,
        judge=_size_over,
        needs=_has_attachments,
    ),
    ConditionKind(
        name="attachment_has_executable_content",
        shape=FLAG,
        text="An attachment is a program, by its content and not by its name: of Windows, DOS, Linux, macOS or Java, a"
        " script, an installer, a shortcut, a document with macros. Archives are not looked into.",
        cost=Cost.CONTENT,
        judge=_executable,
        needs=_has_attachments,
    ),
)
