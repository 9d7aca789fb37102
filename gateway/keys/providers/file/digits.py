"""A recovery key as people write it down: 128 bits as 48 digits, in 8 groups of 6 with a check in each group.

A group is a number of 16 bits times 11, so that a mistyped digit, or two that changed places, make a group that is no
multiple of 11, and its place can be told.
"""

from __future__ import annotations

import re
from typing import Final

GROUPS: Final = 8
DIGITS: Final = 6
LONGEST: Final = 200  # Characters that are looked at; a group, a space and a line end fit many times.

_CHECK: Final = 11
_BEYOND: Final = (1 << 16) * _CHECK


class Mistyped(ValueError):
    """It can't be a recovery key. The text names the group, and shows no digit."""


def written(seed: bytes) -> str:
    """The 48 digits for 16 octets."""
    if len(seed) != 2 * GROUPS:
        raise ValueError("a recovery key has 16 octets")
    numbers = (int.from_bytes(seed[place : place + 2], "big") for place in range(0, len(seed), 2))
    return "-".join(f"{number * _CHECK:0{DIGITS}d}" for number in numbers)


def read(text: str) -> bytes:
    """The 16 octets behind what somebody typed; hyphens and white space count for nothing. Raises Mistyped."""
    if len(text) > LONGEST:
        raise Mistyped(f"it is longer than {LONGEST} characters; right would be {GROUPS * DIGITS} digits")
    bare = re.sub(r"[\s\u2010-\u2015-]", "", text)
    if not bare:
        raise Mistyped(f"nothing was given; right would be the {GROUPS * DIGITS} digits of the recovery key")
    if not (bare.isascii() and bare.isdigit()):
        raise Mistyped("it holds something else than digits, hyphens and spaces")
    if len(bare) != GROUPS * DIGITS:
        raise Mistyped(f"it has {len(bare)} digits; right would be {GROUPS * DIGITS}, in {GROUPS} groups of {DIGITS}")
    seed = b""
    for place in range(GROUPS):
        number = int(bare[place * DIGITS : (place + 1) * DIGITS])
        if number % _CHECK or number >= _BEYOND:
            raise Mistyped(f"group {place + 1} of {GROUPS} is mistyped: its check does not fit")
        seed += (number // _CHECK).to_bytes(2, "big")
    return seed
