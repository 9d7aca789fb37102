"""Check digits by which a number can be told from any other digits. Pure.

Each takes letters and digits (A-Z, 0-9) without blanks; what it can't be made for is false, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")  # A doubled digit, its own digits added.
# The dihedral group of ten, and the permutation, of Verhoeff's scheme.
_TURN: Final = tuple(
    tuple((a + b) % 5 if b < 5 else (a + b) % 5 + 5 for b in range(10))
    if a < 5
    else tuple((a - b) % 5 + 5 if b < 5 else (a - b) % 5 for b in range(10))
    for a in range(10)
)
_STEP: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def luhn(text: str) -> bool:
    """Modulus 10 with every second digit doubled (ISO/IEC 7812-1, annex B)."""
    if not text.isdecimal() or not text.isascii():
        return False
    digits = text.encode()
    return (sum(digits[-1::-2]) + sum(digits[-2::-2].translate(_DOUBLED)) - 0x30 * len(digits)) % 10 == 0


def mod97(text: str) -> bool:
    """ISO 7064 MOD 97-10 with the check digits in third and fourth place, as an IBAN has them (ISO 13616)."""
    return len(text) > 4 and _mod97(text[4:] + text[:4])


def mod97_end(text: str) -> bool:
    """ISO 7064 MOD 97-10 with the check digits in the end."""
    return _mod97(text)


def mod11(text: str) -> bool:
    """Modulus 11 with weights that grow from the right, the last sign its check digit, X for ten (ISBN-10, many
    national numbers).
    """
    total = 0
    for place, sign in enumerate(reversed(text.upper()), 1):
        if sign == "X" and place == 1:
            total += 10
        elif sign in "0123456789":
            total += place * int(sign)
        else:
            return False
    return bool(text) and total % 11 == 0


def verhoeff(text: str) -> bool:
    """Verhoeff's scheme, the last digit its check digit."""
    if not text.isdecimal() or not text.isascii():
        return False
    check = 0
    for place, digit in enumerate(reversed(text)):
        value = int(digit)
        for _ in range(place % 8):
            value = _STEP[value]
        check = _TURN[check][value]
    return check == 0


def _mod97(text: str) -> bool:
    rest = 0
    for sign in text.upper():
        if "0" <= sign <= "9":
            rest = (rest * 10 + int(sign)) % 97
        elif "A" <= sign <= "Z":
            rest = (rest * 100 + ord(sign) - 55) % 97
        else:
            return False
    return bool(text) and rest == 1


CHECKSUMS: Final[Mapping[str, Callable[[str], bool]]] = {
    "luhn": luhn,
    "mod97": mod97,
    "mod97_end": mod97_end,
    "mod11": mod11,
    "verhoeff": verhoeff,
}
