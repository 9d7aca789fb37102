"""What a condition is: one entry of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from gateway.mail.address import Address
from gateway.rules.model import Rule
from gateway.rules.shapes import Shape
from gateway.rules.view import View


@dataclass(frozen=True, slots=True)
class Hit:
    """What was found (content: it is never logged) and where, such as `subject`."""

    found: tuple[str, ...] = ()
    where: str | None = None


Hits = tuple[Hit, ...]
NO: Hits = ()

# An empty answer means that the condition does not hold. They may raise: then the rule could not be judged.
Judge = Callable[[Any, View, Rule], Hits]  # Of the whole message.
RecipientJudge = Callable[[Any, View, Address], Hits]  # Of one recipient.


class Cost(IntEnum):
    """What a condition has to look at; cheap ones are asked first."""

    ENVELOPE = 0
    HEADER = 1
    STRUCTURE = 2  # The parts and their names.
    TEXT = 3  # What the message says.
    CONTENT = 4  # The octets of attachments, or a search of its own.


class Place(StrEnum):
    """A text that words and patterns are sought in."""

    SUBJECT = "subject"
    TEXT = "text"  # The subject, and every text part.
    HEADER = "header"
    SENDER = "sender"
    RECIPIENT = "recipient"  # Of each recipient by himself.
    ATTACHMENT_NAME = "attachment name"


class Text(NamedTuple):
    """Which one. `name`: of the header field in lower case, or the rule's `sender_location`. A tuple, whose hash takes
    no Python: each message asks for it often.
    """

    place: Place
    name: str = ""


@dataclass(frozen=True, slots=True)
class Sought:
    """Words or patterns, any of them, in one text."""

    text: Text
    words: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


class Mark(NamedTuple):
    """Something that a message has or has not and that is quickly told: a recipient's domain, the sender's scope. A
    tuple, for the same reason.

    A rule with a condition of which the message has no mark is not looked at.
    """

    kind: str
    value: str

    @property
    def is_common(self) -> bool:
        """Whether much mail has it: a scope tells less than a domain or an address."""
        return self.kind.endswith("scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionKind:
    """One condition, which is an exception too. Exactly one of `judge`, `recipient` and `sought` is there.

    `text` is a sentence for the reference. `judge` looks at the message, `recipient` at each recipient, and forks.
    `sought` says which words or patterns have to be found where, for all rules in one pass. `marks`: one of these a
    message must have, or the condition can't hold. `needs`: whether the message has what the condition is about,
    whatever its value; asked once for all rules. `over`: a number of the message, told without reading it; where
    that is more than its value the condition holds, so that all rules are answered at once.
    """

    name: str
    shape: Shape
    text: str
    cost: Cost
    judge: Judge | None = None
    recipient: RecipientJudge | None = None
    sought: Callable[[Any, Rule], tuple[Sought, ...]] | None = None
    marks: Callable[[Any, Rule], tuple[Mark, ...]] | None = None
    needs: Callable[[View], bool] | None = None
    over: Callable[[View], int] | None = None
    forks: bool = False
