"""A plain list of recipients: one address a line, `@domain` for everybody there, remarks behind `#`. Pure."""

from __future__ import annotations

from gateway.directory.entry import BadEntry, entry
from gateway.directory.flaw import MOST, Flaw, Unreadable
from gateway.directory.folding import folded
from gateway.directory.model import Roll
from gateway.settings.fault import shown

MAX_ENTRIES = 1_000_000  # Each takes some 150 octets of memory in each worker.


def read_list(text: str) -> Roll:
    """Everybody whom the list names. Raises Unreadable with every flaw.

    A list without an entry is a flaw: it would refuse everybody, and is what a failed export leaves behind.
    """
    known: set[str] = set()
    catch_all: set[str] = set()
    flaws: list[Flaw] = []
    for number, line in enumerate(text.split("\n"), 1):
        word = _without_remark(line)
        if not word:
            continue
        try:
            found = entry(word)
        except BadEntry as error:
            flaws.append(Flaw(number, shown(word), error.right))
            if len(flaws) >= MOST:
                break
            continue
        if isinstance(found, str):
            catch_all.add(found)
        else:
            known.add(folded(found))
        if len(known) > MAX_ENTRIES:
            raise Unreadable(Flaw(number, f"more than {MAX_ENTRIES} addresses", "a shorter list, or LDAP"))
    if flaws:
        raise Unreadable(*flaws)
    if not known and not catch_all:
        raise Unreadable(Flaw(0, "no address", "one address a line; an empty list would refuse everybody"))
    return Roll(known=frozenset(known), catch_all=frozenset(catch_all))


def _without_remark(line: str) -> str:
    """The line without white space around it and without a remark; a `#` inside an address is part of it."""
    word = line.strip()
    if word.startswith("#"):
        return ""
    for mark in (" #", "\t#"):
        word = word.partition(mark)[0]
    return word.rstrip()
