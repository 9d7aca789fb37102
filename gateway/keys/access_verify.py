"""Judges the key-access log: what was changed, removed, inserted, swapped or cut off, and where. Pure.

Batches are fed in the order of their first lines. A batch that does not fit is told, and the next one is judged by what
it says of itself, so that one change is told once. What batches can't tell, since whoever can change a line can reckon
the chain anew, the signed heads tell: those of the database, and those that are known from elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gateway.keys.access_head import KEY, BadHead, Head, Kind, check, head_of
from gateway.keys.access_log import (
    ACCEPTED,
    GENESIS,
    MAX_LINES,
    BadLine,
    Line,
    hint_of,
    milliseconds,
    next_hash,
    opened,
    parsed,
)
from gateway.storage.key_log_rows import Batch, HeadRow

MAX_FINDINGS: Final = 100  # What is broken everywhere need not be told line by line.

PublicKey = Callable[[str, str, int], bytes | None]


class What(StrEnum):
    """What was done to the log."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    SWAPPED = "swapped"
    CUT_OFF = "cut_off"
    FORGED = "forged"  # A head or a start that nobody signed whom we know.
    UNPROVEN = "unproven"  # What nothing vouches for: its key or its head is not to be had, or no line is there.


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit: the lines it concerns (0: all of the log), and a sentence."""

    what: What
    first: int
    last: int
    text: str

    @property
    def sentence(self) -> str:
        """For people."""
        where = f"line {self.first}" if self.first == self.last else f"lines {self.first} to {self.last}"
        where = where if self.last else "the log"
        return f"{where}: {self.what.replace('_', ' ')}; {self.text}"

    def told(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"what": self.what.value, "first": self.first, "last": self.last, "text": self.text}


@dataclass(slots=True)
class Report:
    """What was found. `first` and `last` are the lines that are there (0: none); a head covers them up to `signed`.

    `heads` are those of the database.
    """

    first: int = 0
    last: int = 0
    hash: bytes = GENESIS
    heads: int = 0
    signed: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Verifier:
    """One judging. `heads` are the rows of the database; `public_key` gives a public key, or None: not to be had."""

    def __init__(self, heads: Iterable[HeadRow], public_key: PublicKey) -> None:
        self._public_key = public_key
        self._report = Report()
        self._heads: list[Head] = []
        self._start: Head | None = None
        for row in heads:
            self._take(row)
        start = self._begin()
        self._number = 0 if start is None else start.line
        self._hash = GENESIS if start is None else start.hash
        self._wanted: dict[int, bytes | None] = {head.line: None for head in self._heads}
        self._accepted: list[Line] = []
        self._told: set[int] = set()

    def _begin(self) -> Head | None:
        """The start, where lines were removed."""
        start = self._start
        if start is not None:
            self._report.notes.append(
                f"lines up to {start.line} were removed at {start.time}, since they were older than "
                f"[keys] log_days; {start.signer} signed that"
            )
        return start

    def watch(self, heads: Iterable[Head]) -> None:
        """Heads known from elsewhere; said before batches are fed. `known` then judges them."""
        self._wanted |= {head.line: None for head in heads}

    # -- batches ------------------------------------------------------------------------------------------------------

    def feed(self, batch: Batch) -> list[Line]:
        """Judge the next batch; its lines, as far as they can be read."""
        if self._report.first == 0:
            self._report.first = batch.first
        self._place(batch)
        lines = self._lines(batch)
        self._number = max(self._number, batch.last)
        self._hash = batch.after
        if batch.last in self._wanted and self._wanted[batch.last] is None:
            self._wanted[batch.last] = batch.after
        for line in lines:
            if line.kind == ACCEPTED:
                self._accepted.append(line)
        return lines

    def _place(self, batch: Batch) -> None:
        """Whether it comes where the one before it ended."""
        wanted = self._number + 1
        if batch.first > wanted:
            why = "" if self._number else "; no signed statement says that they were too old"
            self._find(What.REMOVED, wanted, batch.first - 1, f"they are missing{why}")
        elif batch.first < wanted:
            last = min(batch.last, self._number)
            self._find(What.INSERTED, batch.first, last, "a second batch holds lines of these numbers")
        elif batch.before != self._hash:
            self._find(
                What.CHANGED,
                batch.first,
                batch.first,
                "it does not continue the line before: that one, or what is kept of its hash, was exchanged",
            )

    def _lines(self, batch: Batch) -> list[Line]:
        try:
            octets, hints = opened(batch.lines)
        except BadLine as error:
            self._find(What.CHANGED, batch.first, batch.last, f"they can't be read: {error}")
            return []
        lines: list[Line] = []
        for place, one in enumerate(octets):
            try:
                lines.append(parsed(one))
            except BadLine as error:
                number = batch.first + place
                self._find(What.CHANGED, number, number, f"it can't be read: {error}")
        if len(lines) == len(octets) and self._numbered(batch, [line.number for line in lines]):
            self._chained(batch, octets, hints)
            if milliseconds(lines[-1].time) != batch.time:
                self._find(What.CHANGED, batch.last, batch.last, "the time kept beside it is not its own")
        return lines

    def _numbered(self, batch: Batch, found: Sequence[int]) -> bool:
        """Whether the lines have the numbers that they must have."""
        if not 0 < batch.first <= batch.last < batch.first + MAX_LINES:
            self._find(What.CHANGED, batch.first, batch.last, "the numbers kept beside them are impossible")
            return False
        wanted = range(batch.first, batch.last + 1)
        if list(found) == list(wanted):
            return True
        if sorted(found) == list(wanted):
            places = [place for place, number in enumerate(found) if number != batch.first + place]
            first, last = batch.first + places[0], batch.first + places[-1]
            self._find(What.SWAPPED, first, last, f"where line {first} should stand, line {found[places[0]]} stands")
            return False
        there, seen = set(wanted), set(found)
        for first, last in _ranges(sorted(there - seen)):
            self._find(What.REMOVED, first, last, "they are missing from their batch" if last > first else "is missing")
        counted = Counter(found)
        strangers = sorted(number for number in seen if number not in there or counted[number] > 1)
        for first, last in _ranges(strangers):
            text = f"more lines than belong between {batch.first} and {batch.last} are there"
            self._find(What.INSERTED, first, last, text)
        return False

    def _chained(self, batch: Batch, octets: Sequence[bytes], hints: Sequence[bytes]) -> None:
        hash_ = batch.before
        for number, (one, hint) in enumerate(zip(octets, hints, strict=True), start=batch.first):
            hash_ = next_hash(hash_, one)
            if hint_of(hash_) != hint:
                self._find(What.CHANGED, number, number, "it is not the line whose hash is kept")
                return
            if number in self._wanted:
                self._wanted[number] = hash_
        if hash_ != batch.after:
            self._find(What.CHANGED, batch.last, batch.last, "what is kept of its hash was exchanged")

    @property
    def findings(self) -> Sequence[Finding]:
        """What was found until now."""
        return self._report.findings

    # -- heads --------------------------------------------------------------------------------------------------------

    def _take(self, row: HeadRow) -> None:
        try:
            head = head_of(row.statement, row.vault, row.key, row.version, row.signature)
            if head.kind != row.kind or head.line != row.line:
                raise BadHead("it stands where another one belongs")
        except BadHead as error:
            self._find(What.FORGED, row.line, row.line, f"what should be signed about it can't be read: {error}")
            return
        if not self._is_signed(head, "in the database"):
            return
        if head.kind is Kind.HEAD:
            self._heads.append(head)
        elif self._start is None or head.line > self._start.line:
            self._start = head

    def _is_signed(self, head: Head, where: str) -> bool:
        name = f"the {head.kind} {where}"
        public = self._public_key(head.vault, head.key, head.version) if head.key == KEY else None
        if public is None:
            text = f"{name} is by {head.signer}, whose public key is not to be had"
            self._find(What.UNPROVEN, head.line, head.line, text)
            return False
        try:
            check(head, public)
        except BadHead as error:
            self._find(What.FORGED, head.line, head.line, f"{name} is forged or damaged: {error}")
            return False
        return True

    def known(self, where: str, head: Head) -> None:
        """Judge a head that is known from `where`, after all batches were fed and `watch` was told of it."""
        if head.kind is not Kind.HEAD or not self._is_signed(head, f"in {where}"):
            return
        accepted = self._accepted_by(head)
        if accepted is None or self._leads_to(head):
            if self._fit(head, f"in {where}"):
                self._report.signed = max(self._report.signed, head.line)
        elif accepted.number not in self._told:
            self._told.add(accepted.number)
            facts = accepted.facts
            self._report.notes.append(
                f"heads up to line {facts['line']} in {where} do not fit; {facts['who']} answers for that in line "
                f"{accepted.number}, {accepted.time}: {facts['reason']}"
            )

    def _accepted_by(self, head: Head) -> Line | None:
        """The line by which somebody answers for the chain that led to `head`, and was given up."""
        for line in self._accepted:
            if head.line <= line.facts["line"] and head.time <= line.time:
                return line
        return None

    def _leads_to(self, head: Head) -> bool:
        # Of lines that were removed, which was signed, there is nothing to compare but the last one's hash.
        if self._start is not None and head.line <= self._start.line:
            return head.line < self._start.line or head.hash == self._start.hash
        return self._wanted.get(head.line) == head.hash

    def finish(self) -> Report:
        """Judge the heads of the database. Called once, after all batches."""
        report = self._report
        report.last, report.hash = self._number, self._hash
        if report.first == 0:
            report.last = 0
        report.heads = len(self._heads)
        good = 0
        for head in sorted(self._heads, key=lambda head: head.line):
            if self._fit(head, "in the database", since=good):
                good = head.line
            elif head.line > self._number or not self._is_older(head):
                break  # Those behind it do not fit either.
        report.signed = max(report.signed, good)  # A head that is known from elsewhere may cover more.
        return report

    def _is_older(self, head: Head) -> bool:
        return self._start is not None and head.line <= self._start.line

    def _fit(self, head: Head, where: str, *, since: int = 0) -> bool:
        """Whether the chain leads to `head`. `since`: the line of the head before that fits."""
        if self._leads_to(head):
            return True
        found = self._wanted.get(head.line)
        at = f"the head {where}, signed at {head.time},"
        if head.line > self._number:
            text = f"{at} says that the log had come to line {head.line}; it ends with line {self._number}"
            self._find(What.CUT_OFF, self._number + 1, head.line, text)
        elif found is not None:
            text = f"{at} has another hash for line {head.line}: lines were exchanged, and the chain was reckoned anew"
            self._find(What.CHANGED, since + 1, head.line, text)
        else:
            text = f"{at} can't be compared: line {head.line} is not there as it was"
            self._find(What.CHANGED, head.line, head.line, text)
        return False

    def _find(self, what: What, first: int, last: int, text: str) -> None:
        if len(self._report.findings) < MAX_FINDINGS:
            self._report.findings.append(Finding(what, first, last, text))


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of neighbours."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found
