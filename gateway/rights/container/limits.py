"""How much a container may have of anything. Each is a limit on hostile input; real messages are far below."""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024
LARGEST_MESSAGE: Final = 50 * MIB  # What `max_message_size` of a listener is unless the settings say otherwise.


def most_octets(largest_message: int) -> int:
    """How long a file may be, and what comes of inflating it, where messages have up to `largest_message` octets.

    Twice as long: a foreign writer, like our full layout, holds attachments beside the original.
    """
    return 2 * largest_message + MIB


MOST_OCTETS: Final = most_octets(LARGEST_MESSAGE)


def most_of(size: int) -> int:
    """What may come of inflating a file of so many octets. One of ours becomes no longer than that, however long the
    messages are that the settings allow, or allowed when it was sealed; how long a file may be, says who takes it.
    """
    return max(MOST_OCTETS, size + size // 16 + 2 * MIB)


def sealed_octets(message: int) -> int:
    """How long a file of ours may get for a message of so many octets: tables of both compound files, heads of blocks,
    licence.
    """
    return message + message // 32 + 2 * MIB


BLOCK: Final = 4096  # [MS-OXORMMS] 2.2.4.5: plain octets of a block.
DEFLATED_BLOCK: Final = 8192  # Real ones reach 4,108: what can't be deflated grows by a few octets.

ENTRIES: Final = 4096  # Of a directory: 1,000 attachments take 3,000.
DEPTH: Final = 8  # Storages in storages; a message in a message in a message has 7.

LICENCE: Final = MIB  # A hundred readers take 470 KB.

ATTACHMENTS: Final = 1000
STRING: Final = 64 * 1024  # Octets of one name.
