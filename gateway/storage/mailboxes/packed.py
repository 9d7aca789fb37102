"""Columns of many numbers, each in one value of the answer: a mailbox has a hundred thousand rows, and each would be a
tuple of objects.

SQLite gives such a column as JSON, PostgreSQL as octets. Leaves out: NULL, and anything but integers of 64 bits.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from operator import ge
from typing import Final

import orjson

from gateway.storage.mailboxes.driver import Driver

_FORMS: Final = {True: "json_group_array({0})", False: "string_agg(int8send({0}), ''::bytea)"}


def packing(names: Sequence[str], rest: str) -> dict[bool, str]:
    """A question for columns of these names; `rest` follows the SELECT. By whether the engine is SQLite."""
    plain = ", ".join(names)
    return {
        is_sqlite: f"SELECT {', '.join(map(form.format, names))} FROM (SELECT {plain} {rest}) AS found"  # noqa: S608
        for is_sqlite, form in _FORMS.items()
    }


ENTRIES: Final = packing(("uid", "flags", "modseq"), "FROM mailbox_messages WHERE folder=? ORDER BY uid")
CHANGED: Final = packing(("uid", "flags", "modseq"), "FROM mailbox_messages WHERE folder=? AND modseq>? ORDER BY uid")
MEASURES: Final = packing(
    ("uid", "seconds", "size"),
    "FROM (SELECT uid, date/1000 AS seconds, size FROM mailbox_messages WHERE folder=?) AS m ORDER BY uid",
)


def columns(driver: Driver, question: dict[bool, str], *values: object) -> list[array[int]]:
    """An array for each column, of type q but for the first, which rises and is of type I."""
    [row] = driver.rows(question[driver.is_sqlite], *values)
    found = [_numbers(one) for one in row]
    found[0] = array("I", found[0])
    if any(map(ge, found[0], found[0][1:])):  # No standard says that an aggregate takes rows as a subquery sorts them.
        order = sorted(range(len(found[0])), key=found[0].__getitem__)
        found = [array(one.typecode, [one[place] for place in order]) for one in found]
    return found


def _numbers(value: str | bytes | None) -> array[int]:
    found = array("q")
    if isinstance(value, str):
        found.extend(orjson.loads(value))
    elif value:
        found.frombytes(value)
        if sys.byteorder == "little":
            found.byteswap()
    return found
