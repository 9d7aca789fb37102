"""Queue ids: sortable by time, safe in file names, easy to read out (Crockford's base 32)."""

from __future__ import annotations

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]
CHANCE = 5  # Octets of chance: 40 bits beside the millisecond, so that several workers never meet.


def queue_id(now: float, chance: bytes) -> str:
    """Eighteen letters and digits: nine for the millisecond since 1970, eight for 40 bits of chance, `Q` in front."""
    value = (int(now * 1000) << 40 | int.from_bytes(chance[:CHANCE], "big")) << 5
    pairs = _PAIRS
    return "Q" + "".join([pairs[value >> shift & 1023] for shift in range(80, -1, -10)])[:-1]
