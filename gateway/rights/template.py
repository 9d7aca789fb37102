"""Templates: a name for a set of rights that every reader of a message gets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from gateway.rights.right import ALL, Right
from gateway.rights.xrml.element import is_writable

MAX_NAME: Final = 64  # Characters.
MAX_TITLE: Final = 64
MAX_DESCRIPTION: Final = 1024

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# A licence holds both as `NAME title:DESCRIPTION description;` ([MS-RMPR] 2.2.9.1.7), without any way to quote.
_SEPARATORS = re.compile(r"[;\r\n\t]|:DESCRIPTION ")


@dataclass(frozen=True, slots=True)
class Template:
    """`name` is what rules and settings say; `title` and `description` are read by people. `guid` names it in licences.

    Raises ValueError, in words for the administrator, for one that nobody could use or that gives the message away.
    """

    name: str
    guid: UUID
    rights: frozenset[Right]
    title: str
    description: str

    def __post_init__(self) -> None:
        if len(self.name) > MAX_NAME or not _NAME.fullmatch(self.name):
            raise ValueError(f"the name of a template has at most {MAX_NAME} letters a to z, digits and hyphens inside")
        if Right.VIEW not in self.rights:
            raise ValueError(f"the template {self.name} lacks VIEW, so nobody could read the message")
        if Right.OWNER in self.rights:
            raise ValueError(f"the template {self.name} grants OWNER, which is the sender's alone")
        for what, text, most in (("title", self.title, MAX_TITLE), ("description", self.description, MAX_DESCRIPTION)):
            if not text.strip() or len(text) > most:
                raise ValueError(f"the {what} of the template {self.name} has from 1 to {most} characters")
            if _SEPARATORS.search(text) or not is_writable(text):
                raise ValueError(f"the {what} of the template {self.name} is one line without semicolons")

    def __hash__(self) -> int:
        return hash(self.name)  # It is looked up for each message, and no two have the same name.

    @property
    def label(self) -> str:
        """The NAME of the licence's DESCRIPTOR ([MS-RMPR] 2.2.9.1.7): English (United States) is all we write."""
        return f"LCID 1033:NAME {self.title}:DESCRIPTION {self.description};"


def template(name: str, rights: Iterable[Right], title: str, description: str) -> Template:
    """A template whose GUID follows from its name, so that all processes and all restarts write the same one."""
    guid = UUID(bytes=sha256(b"rights template " + name.encode()).digest()[:16])
    return Template(name, guid, frozenset(rights), title, description)


ENCRYPT_ONLY: Final = template(
    "encrypt-only",
    ALL - {Right.OWNER, Right.EXPORT, Right.EDITRIGHTSDATA},
    "Encrypt-Only",
    "The message is encrypted. Who receives it may read, answer, forward, print and save it.",
)
DO_NOT_FORWARD: Final = template(
    "do-not-forward",
    {Right.VIEW, Right.EDIT, Right.DOCEDIT, Right.OBJMODEL, Right.REPLY, Right.REPLYALL},
    "Do Not Forward",
    "Who receives the message may read and answer it, but not forward, print or copy it.",
)
BUILT_IN: Final = (ENCRYPT_ONLY, DO_NOT_FORWARD)


class Templates:
    """Those that are built in and `own` ones of the settings, by name. Raises ValueError where two have one name."""

    def __init__(self, own: Iterable[Template] = ()) -> None:
        self._by_name: dict[str, Template] = {}
        for one in (*BUILT_IN, *own):
            if one.name in self._by_name:
                raise ValueError(f"there are two templates of the name {one.name}")
            self._by_name[one.name] = one

    def __iter__(self) -> Iterator[Template]:
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def find(self, name: str) -> Template | None:
        """The template of that name."""
        return self._by_name.get(name)

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the settings, built-in ones first."""
        return tuple(self._by_name)
