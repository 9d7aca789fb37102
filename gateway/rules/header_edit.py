"""What rules do to the header section, as edits of single fields; every other octet stays (DESIGN 1). Pure.

A field that is new stands below the trace fields of whoever handed the message on, above the first field of its author,
so that a line gone wrong further down can't hide it. Leaves out: the fields of parts inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.mail.address import BadAddress
from gateway.mail.edit import Edit
from gateway.mail.field import WIDTH, field, safe, written
from gateway.mail.header_address import mailboxes
from gateway.rules.work import HeaderEdit, PrependSubject, RemoveField, SetField, ShowAddresses

_FIELD = re.compile(
    rb"(?:\A|(?<=\r\n))([\x21-\x39\x3b-\x7e]+)([ \t]*:)([^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*)(?:\r\n|\Z)"
)
_TRACE: Final = re.compile(
    r"received|return-path|delivered-to|authentication-results|received-spf|(?:dkim|domainkey)-signature|arc-.*"
)


@dataclass(slots=True)
class _Field:
    """A field of the message, or one that is put in (`start` and `end` are alike then)."""

    name: str
    start: int
    end: int
    octets: bytes
    changed: bool = False


def header_edits(section: bytes, edits: Iterable[HeaderEdit]) -> tuple[Edit, ...]:
    """The edits of the octets that carry out `edits`, one after the other, on a header section.

    `section` is the message's beginning up to its empty line, without it. The edits come in the order of their octets.
    """
    fields = [_Field(match[1].decode("ascii").lower(), *match.span(), match[0]) for match in _FIELD.finditer(section)]
    behind = next((one.start for one in fields if not _TRACE.fullmatch(one.name)), None)
    if behind is None:  # Behind the last one, or in front of it where nothing ends its line.
        behind = 0 if not fields else fields[-1].end if section.endswith(b"\r\n") else fields[-1].start
    for edit in edits:
        match edit:
            case SetField(name, value):
                _set(fields, name, value, behind)
            case RemoveField(name):
                for one in fields:
                    if one.name == name.lower():
                        _write(one, b"")
            case PrependSubject(text):
                _prepend(fields, text, behind)
            case ShowAddresses(name, addresses):
                _show(fields, name, [address.text for address in addresses], behind)
    made = [
        Edit(one.start, one.end, one.octets) for one in fields if one.changed and (one.octets or one.start < one.end)
    ]
    # Python's sort is stable: what is put in at one place stays in its order, and in front of what changes there.
    return tuple(sorted(made, key=lambda edit: (edit.start, edit.end)))


def _present(fields: list[_Field], name: str) -> list[_Field]:
    return [one for one in fields if one.name == name.lower() and one.octets]


def _write(one: _Field, octets: bytes) -> None:
    one.octets = octets
    one.changed = True


def _insert(fields: list[_Field], name: str, octets: bytes, behind: int) -> None:
    fields.append(_Field(name.lower(), behind, behind, octets, changed=True))


def _set(fields: list[_Field], name: str, value: str, behind: int) -> None:
    octets = field(name, written(value.strip()))
    present = _present(fields, name)
    if not present:
        _insert(fields, name, octets, behind)
        return
    for place, one in enumerate(present):
        _write(one, b"" if place else octets)


def _prepend(fields: list[_Field], text: str, behind: int) -> None:
    """In front of every Subject, since where there are several each reader has its own."""
    subjects = _present(fields, "subject")
    if not subjects:
        _insert(fields, "subject", field("Subject", written(text.rstrip())), behind)
    for one in subjects:
        name, colon, value = one.octets.partition(b":")
        value = value.removesuffix(b"\r\n")
        rest = value.lstrip(b" \t")
        mark = written(text)
        if mark.startswith("=?"):  # Between an encoded word and what follows the space is shown or not by its kind.
            mark = written(text if rest.startswith(b"=?") else text.rstrip()) + " "
        elif rest.startswith(b"=?") and not mark.endswith(" "):
            mark += " "  # Else it would be no encoded word any more.
        front = f" {mark}".encode()
        first = rest.partition(b"\r\n")[0]
        if len(name) + 1 + len(front) + len(first) > WIDTH and rest.strip() and mark.strip():
            front = front.rstrip(b" ") + b"\r\n "
        ends = b"\r\n" if one.octets.endswith(b"\r\n") else b""
        _write(one, name + colon + front + rest + ends)


def _show(fields: list[_Field], name: str, addresses: list[str], behind: int) -> None:
    """At the end of the last field of that name, where it can be read; in a field of its own else."""
    shown = [f"<{safe(address)}>".encode("utf-8", "replace") for address in addresses]
    present = _present(fields, name)
    if not present or not _is_readable(present[-1].octets):
        _insert(fields, name, _listed(name.capitalize().encode() + b": ", shown) + b"\r\n", behind)
        return
    one = present[-1]
    ends = b"\r\n" if one.octets.endswith(b"\r\n") else b""
    line = one.octets.removesuffix(b"\r\n")
    if line.partition(b":")[2].strip():
        _write(one, _listed(line.rstrip(b" \t") + b", ", shown) + ends)
    else:
        _write(one, _listed(line.partition(b":")[0] + b": ", shown) + ends)


def _listed(front: bytes, shown: list[bytes]) -> bytes:
    """Addresses behind `front`, which ends with the blank in front of the first; a comma behind each but the last."""
    out = [front]
    length = len(front) - (front.rfind(b"\r\n") + 2 if b"\r\n" in front else 0)
    for place, address in enumerate(shown):
        last = place == len(shown) - 1
        if length + len(address) + (not last) > WIDTH and length > 1 and (place or front.endswith(b", ")):
            out[-1] = out[-1].rstrip(b" ") + b"\r\n "
            length = 1
        out.append(address if last else address + b", ")
        length += len(out[-1])
    return b"".join(out)


def _is_readable(octets: bytes) -> bool:
    """Whether something may be written behind: a quotation or a comment that is not closed would swallow it."""
    try:
        mailboxes(octets.partition(b":")[2].removesuffix(b"\r\n"))
    except BadAddress:
        return not octets.partition(b":")[2].strip()
    return True
