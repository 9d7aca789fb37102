"""Header fields of a message as a notice or a disclaimer quotes them: decoded, on one line. Pure.

Leaves out: what conditions read, which has the whole of `gateway.mail.reading`.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mail.address import Address, BadAddress
from gateway.mail.field import safe
from gateway.mail.header_address import mailboxes
from gateway.mail.message import Message
from gateway.mail.reading.header import ReadField

MOST: Final = 100  # Fields of one name that are looked at.
LONGEST: Final = 16 * 1024  # Octets of a field that is decoded; who writes more does not want it read.

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
# Up to the first angle bracket that is none of a quoted string: names may hold any.
_FRONT = re.compile(rb'((?:[^"<]|"(?:[^"\\]|\\.)*")*)<', re.DOTALL)


class Letterhead:
    """The header section of `message`; fields are decoded when they are asked for."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._fields: dict[str, list[bytes]] | None = None

    def values(self, name: str) -> tuple[str, ...]:
        """The values of the fields of that name (lower case)."""
        if self._fields is None:
            self._fields = {}
            for key, value in self._message.fields():
                same = self._fields.setdefault(key.decode("ascii").lower(), [])
                if len(same) < MOST:
                    same.append(value)
        return tuple([safe(ReadField(name, raw[:LONGEST]).text).strip() for raw in self._fields.get(name, ())])

    def tokens(self, sender: Address | None) -> dict[str, str]:
        """What the sender's %%tokens%% stand for: those of From, where it can be read, else of the reverse path."""
        raw = self._message.first(b"From") or b""
        address = "" if sender is None else sender.text
        try:
            address = next((one.text for one in mailboxes(raw)), address)
        except BadAddress:
            pass
        return {"displayname": _display_name(raw[:LONGEST]) or address, "email": address}


def _display_name(raw: bytes) -> str:
    """What stands in front of the first address in angle brackets, decoded, without its quotes."""
    front = _FRONT.match(raw)
    if front is None:
        return ""
    return _ESCAPED.sub(r"\1", _QUOTED.sub(r"\1", safe(ReadField("from", front[1]).text))).strip()
