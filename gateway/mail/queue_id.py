"""Queue ids: sortable by time, safe in file names, easy to read out (Crockford's base 32)."""

from __future__ import annotations

from functools import lru_cache

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
CHANCE = 5  # Octets of chance: 40 bits beside the millisecond, so that several workers never meet.


def queue_id(now: float, chance: bytes) -> str:
    """Eighteen letters and digits: `Q`, nine for the millisecond since 1970, eight for 40 bits of chance."""
    value = int.from_bytes(chance[:CHANCE], "big")
    pairs = _PAIRS
    return (
        f"{_moment(int(now * 1000))}{pairs[value >> 30]}{pairs[value >> 20 & 1023]}"
        f"{pairs[value >> 10 & 1023]}{pairs[value & 1023]}"
    )


@lru_cache(maxsize=8)
def _moment(milliseconds: int) -> str:
    digits = [_DIGITS[milliseconds >> shift & 31] for shift in range(40, -1, -5)]
    return "Q" + "".join(digits)
