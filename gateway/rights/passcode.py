"""One-time codes by which a recipient shows that a mailbox is his: made, hashed, judged; and how often one may try.

A code has eight digits, counts for fifteen minutes, once, in the browser that asked for it, and allows five tries. The
reference that mail and page show alike is no secret. Each wrong try and each code asked for counts against the link,
the recipient, the message and the network; above what is free no more codes are sent, for longer each time, up to
`Allowance.longest`. So whoever guesses has some hundred tries a day at eight digits, and as many again where he has the
file, from however many browsers and addresses he comes. A code that was sent is judged whatever others do, and where
none is sent its recipient gets a door by mail instead: a secret of 256 bits with which his browser has codes that count
by themselves. So nobody else's guesses keep him out, and who has his mailbox needs none.

Pure: the time and chance are handed in. Leaves out: keeping (`gateway.storage.portal`) and mailing them.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

from gateway.world.chance import Chance

DIGITS: Final = 8
LIFE: Final = 900.0  # Seconds that a code counts.
TRIES: Final = 5
LONGEST: Final = 900.0  # Seconds that no code is sent at most; it ends by itself.
DOOR_FROM: Final = 60.0  # Seconds of waiting above which a door is mailed; a minute is nobody kept out.
# Seconds that a door counts: longer than until the next one is mailed, so that one that counts always lies in the
# mailbox of whoever has to wait.
DOOR_LIFE: Final = 7200.0
_SALT: Final = 16
_SPACE: Final = 10**DIGITS
# Letters and digits that nobody takes for one another when he compares page and mail.
_LETTERS: Final = "ABCDEFGHJKMNPQRSTVWXYZ"
_ALPHABET: Final = f"{_LETTERS}23456789"
_REFERENCE: Final = 4


@dataclass(frozen=True, slots=True)
class Passcode:
    """A code as it is kept: never the digits. Times in seconds since 1970."""

    reference: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    made: float
    tries_left: int = TRIES

    @property
    def ends(self) -> float:
        """From when on it counts no more."""
        return self.made + LIFE

    def is_live(self, now: float) -> bool:
        """Whether it may still be tried."""
        return self.made <= now < self.ends and self.tries_left > 0

    def tried(self) -> Passcode:
        """The same with one try less: kept before the try is judged, so that many at once gain nothing."""
        return replace(self, tries_left=max(0, self.tries_left - 1))

    def fits(self, code: str, binding: bytes) -> bool:
        """Whether `code`, as somebody typed it, is the one; in a time that tells nothing of the digits."""
        return hmac.compare_digest(_digest(self.salt, digits(code), binding), self.digest)


def make(chance: Chance, binding: bytes, now: float) -> tuple[str, Passcode]:
    """A new code, and what is kept of it. `binding`: the link and the browser for which alone it counts."""
    code = _drawn(chance)
    salt = chance.octets(_SALT)
    return code, Passcode(reference(chance), salt, _digest(salt, code, binding), now)


def reference(chance: Chance) -> str:
    """Four letters and digits by which a reader sees that mail and page belong together.

    A letter comes first: four digits would look like the code that is to be typed.
    """
    found = _LETTERS[_below(chance, len(_LETTERS))]
    return found + "".join(_ALPHABET[_below(chance, len(_ALPHABET))] for _ in range(_REFERENCE - 1))


def digits(typed: str) -> str:
    """The digits of what somebody typed or pasted: spaces and hyphens between them don't count. Digits of other
    scripts, as an Arabic keyboard has them, count as what they are. Anything else gives "", which fits nothing.
    """
    if len(typed) > 64:
        return ""
    kept: list[str] = []
    for letter in typed:
        if letter.isdecimal():
            kept.append(str(int(letter)))
        elif not (letter.isspace() or letter in "-\u2010\u2011\u2012\u2013\u200e\u200f\u061c"):
            return ""
    return "".join(kept) if len(kept) == DIGITS else ""


def _drawn(chance: Chance) -> str:
    return f"{_below(chance, _SPACE):0{DIGITS}d}"


def _below(chance: Chance, limit: int) -> int:
    """A number below `limit`, each equally likely: what would favour some is drawn again."""
    bound = (1 << 32) - (1 << 32) % limit
    while (drawn := int.from_bytes(chance.octets(4), "big")) >= bound:
        pass
    return drawn % limit


def _digest(salt: bytes, code: str, binding: bytes) -> bytes:
    # Eight digits can be tried through against any hash; what protects it is that the row lies sealed.
    return hmac.digest(salt, b"gateway passcode 1\0" + sha256(binding).digest() + code.encode("ascii"), "sha256")


# -- how often ---------------------------------------------------------------------------------------------------------


class Counted(StrEnum):
    """What is counted: codes asked for and wrong tries, by what each."""

    ASK_LINK = "ask link"
    ASK_RECIPIENT = "ask recipient"
    ASK_MESSAGE = "ask message"
    ASK_NETWORK = "ask network"
    TRY_LINK = "try link"
    TRY_RECIPIENT = "try recipient"
    TRY_MESSAGE = "try message"
    TRY_NETWORK = "try network"
    ASK_DOOR = "ask door"  # Codes asked for through one door.
    DOOR_MAIL = "door mail"  # Doors mailed to one recipient.
    UPLOAD_NETWORK = "upload network"


@dataclass(frozen=True, slots=True)
class Allowance:
    """`free` at once; one is forgotten every `leak` seconds; the first above has everybody wait for `first` seconds,
    each further one for twice as long, up to `longest`.
    """

    free: int
    leak: float
    first: float
    longest: float = LONGEST


# A person asks for two or three codes and mistypes some. A hundred recipients of one message come from anywhere; an
# office behind one address reads many messages. A recipient's mailbox must not be filled by whoever holds his links.
# Each time that codes are sent again somebody guesses five times, so that guesses have those wait for the longest.
ALLOWED: Final[dict[Counted, Allowance]] = {
    Counted.ASK_LINK: Allowance(2, 900.0, 30.0),
    Counted.ASK_RECIPIENT: Allowance(10, 900.0, 30.0),
    Counted.ASK_MESSAGE: Allowance(200, 10.0, 10.0),
    Counted.ASK_NETWORK: Allowance(60, 15.0, 10.0),
    Counted.TRY_LINK: Allowance(10, 900.0, 60.0, 3600.0),
    Counted.TRY_RECIPIENT: Allowance(20, 900.0, 60.0, 3600.0),
    Counted.TRY_MESSAGE: Allowance(200, 60.0, 60.0),
    Counted.TRY_NETWORK: Allowance(60, 60.0, 30.0),
    Counted.ASK_DOOR: Allowance(5, 900.0, 30.0),
    Counted.DOOR_MAIL: Allowance(0, 3600.0, 3600.0, 3600.0),
    Counted.UPLOAD_NETWORK: Allowance(20, 30.0, 10.0),
}


@dataclass(frozen=True, slots=True)
class Count:
    """One count: `number` as it was at `at`; everybody waits `until` (seconds since 1970)."""

    number: float = 0.0
    at: float = 0.0
    until: float = 0.0

    def left(self, kind: Counted, now: float) -> float:
        """What of it is not forgotten yet. A clock that was put back forgets nothing."""
        return max(0.0, self.number - max(0.0, now - self.at) / ALLOWED[kind].leak)

    def wait(self, kind: Counted, now: float) -> float:
        """Seconds to wait; a clock that was put back never makes them more."""
        return min(ALLOWED[kind].longest, max(0.0, self.until - now))

    def more(self, kind: Counted, now: float) -> Count:
        """With one more, and a time to wait where that is too many."""
        allowed = ALLOWED[kind]
        number = self.left(kind, now) + 1
        over = number - allowed.free
        if over <= 0:
            return Count(number, now, self.until)
        wait = min(allowed.longest, allowed.first * 2.0 ** min(20, over - 1))
        return Count(number, now, max(self.until, now + wait))
