"""A recovery key in N shares, of which any M give it back: SLIP-39 (shamir-mnemonic), each share 20 English words.

Fewer than M shares tell nothing of it. Not a mechanism that FIPS 140 knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST: Final = 16  # SLIP-39's own limit.
LONGEST: Final = 400  # Characters of one share; 20 words have at most 180.


class BadShares(ValueError):
    """They do not give a recovery key back. The text shows no word of them."""


def split(seed: bytes, needed: int, count: int) -> tuple[str, ...]:
    """`count` shares of the 16 octets, any `needed` of which give them back. Raises ValueError for odd numbers."""
    if not 2 <= needed <= count <= MOST:
        raise ValueError(f"right would be from 2/2 to {MOST}/{MOST}, the first number not above the second")
    from shamir_mnemonic import generate_mnemonics  # type: ignore[import-untyped]

    (group,) = generate_mnemonics(1, [(needed, count)], seed)
    return tuple(group)


def joined(shares: Sequence[str]) -> bytes:
    """The 16 octets out of enough shares, in any order. Raises BadShares."""
    from shamir_mnemonic import MnemonicError, combine_mnemonics

    tidy: list[str] = []
    for place, share in enumerate(shares, start=1):
        if len(share) > LONGEST:
            raise BadShares(f"share {place} is longer than {LONGEST} characters")
        tidy.append(" ".join(share.lower().split()))
    needed = _judged(tidy)
    try:
        seed: bytes = combine_mnemonics(needed)
        return seed
    except (MnemonicError, ValueError, IndexError, KeyError):
        # What the library says may hold words of a share.
        raise BadShares("these shares do not belong together") from None


def _judged(shares: Sequence[str]) -> list[str]:
    """As many different shares as are needed. Raises BadShares with the place of one that can't be read."""
    from shamir_mnemonic import MnemonicError
    from shamir_mnemonic.share import Share  # type: ignore[import-untyped]

    found: list[Share] = []
    for place, share in enumerate(shares, start=1):
        try:
            found.append(Share.from_mnemonic(share))
        except (MnemonicError, ValueError, IndexError, KeyError):
            raise BadShares(f"share {place} is mistyped: its check does not fit") from None
    if not found:
        raise BadShares("there is no share")
    if len({(one.identifier, one.member_threshold) for one in found}) > 1:
        raise BadShares("these shares are of different recovery keys")
    needed, different = found[0].member_threshold, {one.index: text for one, text in zip(found, shares, strict=True)}
    if len(different) < needed:
        there = "1 is" if len(different) == 1 else f"{len(different)} are"
        raise BadShares(f"{needed} different shares are needed, and {there} there")
    return list(different.values())[:needed]
