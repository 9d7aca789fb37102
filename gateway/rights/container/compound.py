"""What reader and writer of compound files share ([MS-CFB] 2.1, 2.2, 2.6): numbers, and how names compare."""

from __future__ import annotations

from typing import Final

SIGNATURE: Final = bytes.fromhex("D0CF11E0A1B11AE1")
VERSION: Final = 3
BYTE_ORDER: Final = 0xFFFE
SECTOR_SHIFT: Final = 9
MINI_SECTOR_SHIFT: Final = 6
SECTOR: Final = 1 << SECTOR_SHIFT
MINI_SECTOR: Final = 1 << MINI_SECTOR_SHIFT
CUTOFF: Final = 4096  # Shorter streams lie in the mini stream.

DIFAT_SECTOR: Final = 0xFFFFFFFC
FAT_SECTOR: Final = 0xFFFFFFFD
END_OF_CHAIN: Final = 0xFFFFFFFE
FREE: Final = 0xFFFFFFFF
NO_STREAM: Final = 0xFFFFFFFF

HEADER_FATS: Final = 109  # Places of FAT sectors that the header itself names.
NUMBERS: Final = SECTOR // 4  # In a sector of the FAT; a sector of the DIFAT has one less, and the next one's place.

ENTRY: Final = 128
ENTRY_SIZE_AT: Final = 120  # Where in it the size of its stream stands.
ENTRY_SIZE: Final = 4  # Its octets: version 3 counts no further.
UNALLOCATED: Final = 0
STORAGE: Final = 1
STREAM: Final = 2
ROOT: Final = 5
RED: Final = 0
BLACK: Final = 1

HEADER_FORM: Final = "<8s16s5H6s9I"  # And then the 109 places.
ENTRY_FORM: Final = "<64sHBBIII16sI8s8sIII"


def folded(name: str) -> str:
    """`name` as the directory compares it (2.6.4): upper case by single letters, so that its length stays.

    Two names in one storage that are alike so are one and the same name.
    """
    return name.upper() if name.isascii() else "".join(_upper(letter) for letter in name)


def _upper(letter: str) -> str:
    upper = letter.upper()
    return upper if len(upper) == 1 and max(letter, upper) <= "\uffff" else letter


def order(name: str) -> tuple[int, bytes]:
    """By this siblings are sorted: the shorter name first, then unit by unit (2.6.4)."""
    units = folded(name).encode("utf-16-be")  # Big-endian octets compare as the units do.
    return len(units), units
