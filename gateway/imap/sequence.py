"""Sets of messages (RFC 3501 9, sequence-set) as ranges of places in an open folder.

A set may name a message many times over (`1:*,1:*,...`): ranges are joined first, so that work is bounded by the
folder, not by what somebody typed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from pymap.parsing.specials.sequenceset import MaxValue, SequenceSet

Span = tuple[int, int]  # Places from the first to before the second, counted from 0.


class BadSequence(Exception):
    """A message number that the folder does not have (RFC 3501 9: BAD)."""


def spans(wanted: SequenceSet, uids: array[int]) -> list[Span]:
    """Places in `uids` (ascending) that the set means, joined and ascending. Raises BadSequence.

    UIDs that are not there are passed over (RFC 3501 6.4.8); `*` is the last message.
    """
    if not uids:
        return []
    last = uids[-1] if wanted.uid else len(uids)
    found: list[Span] = []
    for element in wanted.value:
        low, high = element if isinstance(element, tuple) else (element, element)
        first, second = _number(low, last), _number(high, last)
        if first > second:
            first, second = second, first  # RFC 3501 9: 2:4 and 4:2 are equal.
        if wanted.uid:
            span = bisect_left(uids, first), bisect_right(uids, second)
        elif second > last:
            raise BadSequence
        else:
            span = first - 1, second
        if span[0] < span[1]:
            found.append(span)
    return joined(found)


def joined(found: list[Span]) -> list[Span]:
    """The same places, ascending, none twice."""
    if len(found) < 2:
        return found
    found.sort()
    result = [found[0]]
    for low, high in found[1:]:
        if low <= result[-1][1]:
            if high > result[-1][1]:
                result[-1] = result[-1][0], high
        else:
            result.append((low, high))
    return result


def places(found: Iterable[Span]) -> Iterator[int]:
    """Each place."""
    for low, high in found:
        yield from range(low, high)


def written(numbers: Sequence[int]) -> bytes:
    """Ascending numbers as a set, such as `3:5,9`."""
    parts: list[bytes] = []
    at = 0
    while at < len(numbers):
        end = at
        while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
            end += 1
        parts.append(b"%d" % numbers[at] if end == at else b"%d:%d" % (numbers[at], numbers[end]))
        at = end + 1
    return b",".join(parts)


def _number(value: MaxValue | int, last: int) -> int:
    return last if isinstance(value, MaxValue) else value
