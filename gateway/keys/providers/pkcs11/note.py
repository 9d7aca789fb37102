"""The note beside a key: a private data object (CKO_DATA) with the label of the key, whose value is

    version mark 0x01 | {"serial": 3, "state": "deleted", "ends": 1780000000.0, "created": {"1": 1770000000.0}}

PKCS#11 has no state of a key, and what it has instead (labels, CKA_SIGN and its like) lies on each half of each
version, so that a command which is interrupted leaves some halves changed. One object beside the key changes in one
step, every process that uses the token sees it at its next use, and it goes where the token goes. A token does not
change the value of a data object in place, so a new note is written and then the old one removed: of two, the higher
serial counts.

A key without a note was made by other means than ours, in the ceremony of an HSM say: it is enabled. Whoever can remove
a note holds the token's PIN, and could use the key as well.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.keys.vault import KeyState

MARK: Final = b"\x01"
MAX_OCTETS: Final = 64 << 10  # A thousand versions take half of it.

_LARGEST: Final = 10**12  # Of any number in a note: a time in seconds, or a serial.


class BadNote(ValueError):
    """What lies there is no note of ours."""


@dataclass(frozen=True, slots=True)
class Note:
    """`ends` and the times in `created` (by version) are seconds since 1970."""

    serial: int = 0
    state: KeyState = KeyState.ENABLED
    ends: float | None = None
    created: dict[int, float] = field(default_factory=dict)

    def next(self, state: KeyState, ends: float | None = None) -> Note:
        """The note that follows this one."""
        return replace(self, serial=self.serial + 1, state=state, ends=ends)

    def with_version(self, number: int, created: float) -> Note:
        """The note that follows this one, with the time of a new version."""
        return replace(self, serial=self.serial + 1, created={**self.created, number: created})

    def octets(self) -> bytes:
        """As it lies in the token."""
        said = {
            "serial": self.serial,
            "state": self.state.value,
            "ends": self.ends,
            "created": {str(number): time for number, time in sorted(self.created.items())},
        }
        return MARK + json.dumps(said, separators=(",", ":")).encode("ascii")


def read(octets: bytes) -> Note:
    """The note in `octets`. Raises BadNote, for anything that `Note.octets` does not make."""
    if len(octets) > MAX_OCTETS:
        raise BadNote(f"it is longer than {MAX_OCTETS} octets")
    if octets[:1] != MARK:
        raise BadNote("it has an unknown version mark")
    try:
        said = json.loads(octets[1:].decode("ascii"))
    except (ValueError, RecursionError):
        raise BadNote("it is damaged") from None
    if not isinstance(said, dict) or set(said) != {"serial", "state", "ends", "created"}:
        raise BadNote("its parts are not those of a note")
    state = said["state"]
    if not isinstance(state, str) or state not in set(KeyState):
        raise BadNote("it names an unknown state")
    ends = None if said["ends"] is None else _number(said["ends"])
    if (ends is not None) != (state == KeyState.DELETED):
        raise BadNote("its state and its end contradict each other")
    if not isinstance(said["serial"], int):
        raise BadNote("its serial is no number")
    return Note(int(_number(said["serial"])), KeyState(state), ends, _created(said["created"]))


def _created(said: Any) -> dict[int, float]:
    if not isinstance(said, dict):
        raise BadNote("its versions are no table")
    created: dict[int, float] = {}
    for number, time in said.items():
        if not (number.isascii() and number.isdigit() and len(number) <= 9 and int(number) >= 1):
            raise BadNote("it names a version that is no number")
        created[int(number)] = _number(time)
    return created


def _number(said: Any) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        raise BadNote("it has something else where a number belongs")
    if not 0 <= said <= _LARGEST:
        raise BadNote("it has a number that is out of range")
    return float(said)
