"""Passwords as they are kept and judged: Argon2id (RFC 9106), or PBKDF2 (RFC 8018) where FIPS 140 is asked for.

A hash is a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`, which names what it was made with, so that the terms
can grow: whoever logs in with an older one gets a new one. Both come from `cryptography`, which lets go of the
interpreter's lock meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cryptography.hazmat.primitives import constant_time
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from gateway.world.chance import Chance

# What OWASP recommends for Argon2id; some 50 ms. RFC 9106 4 would have 64 MiB: the hashes here lie sealed under a key
# of the vault, so they have to withstand guessing only where vault and database are both lost, and a program that logs
# in for every message waits for each hash. One lane: more would not make guessing dearer, and one log-in never takes
# more than one core.
MEMORY: Final = 19 * 1024  # KiB
PASSES: Final = 2
LANES: Final = 1
ROUNDS: Final = 210_000  # Of PBKDF2-HMAC-SHA512; OWASP's number for it. Some 150 ms.
SALT: Final = 16  # Octets (RFC 9106 3.1; SP 800-132 5.1 asks for 16 at least).
DIGEST: Final = 32

AT_ONCE: Final = 2  # Hashes under way in one process: 38 MiB, and two cores.
MOST_WAITING: Final = 32  # Behind them. Whoever comes then is told to come later: a flood of guesses costs no more.

# Bounds on what a stored hash may ask of us.
_MOST_MEMORY: Final = 1 << 20
_MOST_PASSES: Final = 64
_MOST_ROUNDS: Final = 10_000_000

_PHC: Final = re.compile(
    r"\$(?:(argon2id)\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})|pbkdf2-(sha256|sha512)\$i=(\d{1,8}))"
    r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})"
)
_DIGESTS: Final[dict[str, type[HashAlgorithm]]] = {"sha256": SHA256, "sha512": SHA512}


class Busy(Exception):
    """Too many passwords wait to be judged: passing."""


class WrongPassword(Exception):
    """It is not this one. Says nothing else."""


class Passwords:
    """Makes and judges hashes, a few at a time, in threads of its own."""

    def __init__(self, *, fips: bool, chance: Chance) -> None:
        self._fips = fips
        self._chance = chance
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        self._start = f"$pbkdf2-sha512$i={ROUNDS}$" if fips else f"$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}$"
        # What an unknown name is judged by: it takes as long as a real one, and nothing is its password.
        self._nobody = f"{self._start}{_text(chance.octets(SALT))}${_text(chance.octets(DIGEST))}"

    def __repr__(self) -> str:
        return f"Passwords(fips={self._fips})"

    async def hashed(self, password: bytes) -> str:
        """A new hash on today's terms. Raises Busy."""
        salt = self._chance.octets(SALT)
        digest = await self._in_thread(f"{self._start}{_text(salt)}${_text(bytes(DIGEST))}", password)
        return f"{self._start}{_text(salt)}${_text(digest)}"

    async def judge(self, known: str | None, password: bytes) -> None:
        """Raises WrongPassword unless `known` is a hash of `password`; Busy.

        None, and a hash that FIPS does not allow, are nobody's, and take their time all the same.
        """
        usable = known is not None and self.usable(known)
        phc = known if usable and known is not None else self._nobody
        digest = await self._in_thread(phc, password)
        if not constant_time.bytes_eq(digest, _octets(phc.rpartition("$")[2])) or not usable:
            raise WrongPassword

    def usable(self, known: str) -> bool:
        """Whether a password can be judged by this hash here."""
        return bool(_PHC.fullmatch(known)) and not (self._fips and known.startswith("$argon2id$"))

    def is_outdated(self, known: str) -> bool:
        """Whether the hash was made on other terms than today's."""
        return not known.startswith(self._start)

    def close(self) -> None:
        """End the threads; what waits is given up. Blocks for the hashes under way."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _in_thread(self, phc: str, password: bytes) -> bytes:
        if self._waiting >= AT_ONCE + MOST_WAITING:
            raise Busy
        self._waiting += 1
        future = self._threads.submit(_derive, phc, password)
        # Counted until the thread is done with it, also where nobody waits for it any more.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _soon(loop, self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._waiting -= 1


def _soon(loop: asyncio.AbstractEventLoop, call: object) -> None:
    try:
        loop.call_soon_threadsafe(call)  # type: ignore[arg-type]
    except RuntimeError:  # The loop has ended, and the counting with it.
        pass


def _derive(phc: str, password: bytes) -> bytes:
    """What `password` comes to on the terms of `phc`. Raises ValueError, which shows nothing of either."""
    match = _PHC.fullmatch(phc)
    if match is None:
        raise ValueError("a stored password hash is of no known form")
    kind, memory, passes, lanes, digest, rounds, salt, known = match.groups()
    length = len(_octets(known))
    if kind is not None:
        if int(memory) > _MOST_MEMORY or int(passes) > _MOST_PASSES:
            raise ValueError("a stored password hash asks for more than is allowed")
        return Argon2id(
            salt=_octets(salt), length=length, iterations=int(passes), lanes=int(lanes), memory_cost=int(memory)
        ).derive(password)
    if int(rounds) > _MOST_ROUNDS:
        raise ValueError("a stored password hash asks for more than is allowed")
    return PBKDF2HMAC(_DIGESTS[digest](), length, _octets(salt), int(rounds)).derive(password)


def _text(octets: bytes) -> str:
    """Base64 without its padding, as PHC strings have it."""
    return base64.b64encode(octets).decode("ascii").rstrip("=")


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError("a stored password hash is of no known form") from None
