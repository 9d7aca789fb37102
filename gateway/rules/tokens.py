"""%%tokens%% in disclaimers and notices: what stands for them is a value from the message, escaped in HTML.

Leaves out: attributes of a directory, which come later and are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from gateway.rules.flaw import BadValue
from gateway.rules.shapes import Shape
from gateway.settings.fault import shown

SENDER_TOKENS: Final = ("displayname", "email")
NOTICE_TOKENS: Final = ("from", "to", "cc", "subject", "headers", "messagedate")
_LATER: Final = frozenset(
    (
        *(
            "city",
            "company",
            "country",
            "department",
            "faxnumber",
            "firstname",
            "homephonenumber",
            "initials",
            "lastname",
        ),
        *(
            "manager",
            "mobilenumber",
            "notes",
            "office",
            "otherhomephone",
            "othertelephone",
            "pagernumber",
            "phonenumber",
        ),
        *("pobox", "state", "street", "title", "userlogonname", "zipcode"),
        *(f"customattribute{number}" for number in range(1, 16)),
    )
)
_TOKEN = re.compile(r"%%([A-Za-z][A-Za-z0-9]*)%%")


@dataclass(frozen=True, slots=True)
class Tokened:
    """A shape whose value has a `text` with tokens: those that nothing stands for are a fault."""

    shape: Shape
    tokens: tuple[str, ...]

    @property
    def text(self) -> str:
        """For the reference."""
        return f"{self.shape.text}; in the text " + ", ".join(f"`%%{name}%%`" for name in self.tokens)

    def read(self, value: object) -> Any:
        """What the shape reads. Raises BadValue."""
        made = self.shape.read(value)
        known = ", ".join(f"%%{name}%%" for name in self.tokens)
        for token in _TOKEN.finditer(made.text):
            name = token[1].lower()
            if name in self.tokens:
                continue
            if name in _LATER:
                raise BadValue(shown(token[0]), f"{known}; attributes of a directory come later")
            raise BadValue(shown(token[0]), known)
        return made

    def schema(self) -> dict[str, Any]:
        """The shape's."""
        return self.shape.schema()


def filled(text: str, values: Mapping[str, str], *, html: bool = True) -> str:
    """`text` with `values` (by names in lower case) in place of its tokens; a token without a value stays."""

    def value(token: re.Match[str]) -> str:
        found = values.get(token[1].lower())
        if found is None:
            return token[0]
        return escape(found) if html else found

    return _TOKEN.sub(value, text)
