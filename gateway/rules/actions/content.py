"""Actions that change what is read: the subject, header fields, disclaimers."""

from __future__ import annotations

import unicodedata
from typing import Final

from gateway.rules.actions.kind import ActionKind, Scene
from gateway.rules.shapes import DISCLAIMER, REMOVE_HEADER, SET_HEADER, TEXT
from gateway.rules.tokens import SENDER_TOKENS, Tokened
from gateway.rules.values import Disclaimer, HeaderField
from gateway.rules.work import DisclaimerWanted, PrependSubject, RemoveField, SetField

MAX_SUBJECT: Final = 256  # Letters in front of a subject.


def _alike(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _prepend_subject(text: str, scene: Scene) -> None:
    """Once: a reply to a message that had it has it too (a03)."""
    work = scene.work
    subjects = tuple(scene.values("subject")) or ("",)
    if all(_alike(text) in _alike(subject) for subject in subjects):
        return
    work.edits += (PrependSubject(text),)
    work.changed["subject"] = tuple(_in_front(text, subject) for subject in subjects)


def _in_front(text: str, subject: str) -> str:
    """As a reader will see it: a blank stands between an encoded word and what is none (RFC 2047 5)."""
    blank = " " if subject and text.isascii() != subject.isascii() and not text.endswith(" ") else ""
    return f"{text}{blank}{subject}".rstrip()


def _set_header(value: HeaderField, scene: Scene) -> None:
    scene.work.edits += (SetField(value.name, value.value),)
    scene.work.changed[value.name.lower()] = (value.value,)


def _remove_header(name: str, scene: Scene) -> None:
    scene.work.edits += (RemoveField(name),)
    scene.work.changed[name.lower()] = ()


def _disclaimer(value: Disclaimer, scene: Scene) -> None:
    wanted = DisclaimerWanted(rule=scene.rule.name, html=value.text, location=value.location, fallback=value.fallback)
    if wanted not in scene.work.disclaimers:
        scene.work.disclaimers += (wanted,)


CONTENT: Final = (
    ActionKind(
        name="prepend_subject",
        shape=TEXT(MAX_SUBJECT),
        text="Puts the text in front of the subject, once however often the message passes.",
        act=_prepend_subject,
    ),
    ActionKind(
        name="set_header",
        shape=SET_HEADER,
        text="Makes one header field of that name and value; others of the name go.",
        act=_set_header,
    ),
    ActionKind(
        name="remove_header",
        shape=REMOVE_HEADER,
        text="Takes all header fields of that name away.",
        act=_remove_header,
    ),
    ActionKind(
        name="apply_html_disclaimer",
        shape=Tokened(DISCLAIMER, SENDER_TOKENS),
        text="Puts HTML into the HTML parts of the body and the same as text into its text parts.",
        act=_disclaimer,
    ),
)
