"""Fulfils storage's `Sealer`: AES-256-GCM (NIST SP 800-38D).

    a record:           version mark (1 octet) | domain key version (4) | salt (16) | number (8) | ciphertext | tag (16)
    content in pieces:  version mark (1) | domain key version (4) | salt (16), then each piece: ciphertext | tag (16)

Content keys come from the domain key by the counter-mode KDF of NIST SP 800-108 4.1 with HMAC-SHA256, over a label
(what kind of sealing), the purpose and a random salt. Records share a content key for an epoch, so that not each of
them pays for its own; the number counts them and is the nonce (SP 800-38D 8.2.1), so no nonce is used twice with a
key. A content in pieces has a key of its own. Purpose, record and key version are associated data.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from itertools import count
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.keys.domain import TOKEN, DomainKeys
from gateway.keys.vault import Denied, KeyFault, Unavailable
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.world.chance import Chance

OVERHEAD: Final = 16  # The tag behind each piece.
REMEMBERED: Final = 4096  # Tokens.
START: Final = 21  # Octets in front of pieces: version mark, key version, salt.
START_RECORD: Final = START + 8  # Of a record: the number too.
EPOCH: Final = 1 << 20  # Records under one content key; at most 128 GiB, far below any limit of GCM.
EPOCHS_REMEMBERED: Final = 256  # Content keys of earlier epochs that are kept unwrapped for reading.

MISSED: Final = 1000  # Versions that records name and nobody knows, before a look is taken for them.

_MARK: Final = b"\x01"
_SALT: Final = 16
_FIXED: Final = bytes(4)  # The nonce's fixed field (SP 800-38D 8.2.1); its invocation field is the record's number.
# SP 800-108: the counter [1] in front; behind it 0x00, the context (purpose NUL salt) and the length [256 bits].
_WHOLE: Final = b"\x00\x00\x00\x01gateway seal whole\x00"
_PIECES: Final = b"\x00\x00\x00\x01gateway seal pieces\x00"
_BITS: Final = b"\x00\x00\x01\x00"


class Away(Unavailable, KeysClosed):
    """A purpose's keys are not at hand, and nobody has forbidden them."""


class Forbidden(Denied, KeysClosed):
    """A purpose's keys are not at hand, since their owner does not want it."""


class KeySealer:
    """A purpose is a domain key's name. Seals with one version of that key, opens with whichever a record names.

    `take` gives it other keys, or takes them away: then every call for that purpose raises Away or Forbidden, which are
    KeysClosed for storage. What was begun before (KeySegments) ends with the content key that it has. Safe in any
    thread; `take` is called by one at a time.
    """

    def __init__(self, domain_keys: DomainKeys, chance: Chance, *, wanted: Callable[[], None] | None = None) -> None:
        """`wanted` is told, in any thread, that a record names a version that is newer than all that are known here:
        another process may have learnt of it first. None: nobody looks for it, so such a record is broken.
        """
        self._octets = chance.octets
        self._wanted = wanted
        self._missed: set[tuple[str, int]] = set()
        self._absent: set[tuple[str, int]] = set()
        self._closed: Mapping[str, KeyFault] = {}
        self._otherwise: KeyFault | None = None
        # An HMAC that has taken in its key is copied for each record: half the price of starting one.
        self._macs: dict[tuple[str, int], HMAC] = {}
        self._heads: dict[str, tuple[bytes, HMAC]] = {}
        self._epochs: dict[str, _Epoch] = {}
        self._forget_derived()
        self.take(domain_keys, sealing={purpose: domain_keys.sealing(purpose) for purpose, _ in domain_keys.places()})

    def __reduce__(self) -> str:
        raise TypeError("a sealer is not pickled: its keys must not leave the process")

    def take(
        self,
        fresh: DomainKeys,
        *,
        kept: Collection[tuple[str, int]] = (),
        sealing: Mapping[str, int] | None = None,
        closed: Mapping[str, KeyFault] | None = None,
        otherwise: KeyFault | None = None,
        looked_for: Collection[tuple[str, int]] = (),
    ) -> None:
        """From now on there are the `fresh` keys and those that are `kept` from before, by purpose and version.

        `sealing` are versions to seal with, as in DomainKeys. `closed` says why a purpose has no key, `otherwise` why
        any other. `looked_for`: what was in `missed` before the keys were looked for; what has no key now never has.
        """
        macs = {place: self._macs[place] for place in kept if place in self._macs}
        for place in fresh.places():
            if place not in macs:
                macs[place] = HMAC(fresh.secret(*place), SHA256())
        newest: dict[str, int] = {}
        for purpose, version in macs:
            newest[purpose] = max(version, newest.get(purpose, 0))
        heads = {}
        for purpose, version in newest.items():
            wanted = (sealing or {}).get(purpose, version)
            used = wanted if (purpose, wanted) in macs else version
            heads[purpose] = (_MARK + used.to_bytes(4, "big"), macs[purpose, used])
        self._absent.update(place for place in looked_for if place not in macs)
        self._missed.difference_update(looked_for)
        dropped = not macs.keys() >= self._macs.keys()
        same = {purpose for purpose, head in heads.items() if self._heads.get(purpose) == head}
        # First why, then the keys, and last what was derived from them: whoever is in the middle of a call finds
        # either the old key or the reason, and puts what he derives from the old one where nobody looks any more.
        self._closed, self._otherwise = closed or {}, otherwise
        self._macs, self._heads = macs, heads
        self._epochs = {purpose: epoch for purpose, epoch in self._epochs.items() if purpose in same}
        if dropped:
            self._forget_derived()

    @property
    def missed(self) -> frozenset[tuple[str, int]]:
        """Purpose and version of keys that records named and that nobody has looked for since."""
        return frozenset(self._missed)

    def _forget_derived(self) -> None:
        self._cipher_of = lru_cache(maxsize=EPOCHS_REMEMBERED)(self._derived)
        # The same partners, day after day: most tokens of a message were just made for another.
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._make_token)

    def __repr__(self) -> str:
        return f"KeySealer({', '.join(sorted(self._heads))})"

    def check(self, purpose: str) -> None:
        """Return where there is a key for what has that purpose. Raises as `seal`, and takes a tenth of its time."""
        self._head(purpose)

    def seal(self, purpose: str, record: str, plain: bytes) -> bytes:
        """Octets that only `open` with the same purpose and record can read. Raises Denied for an unknown purpose."""
        epoch = self._epochs.get(purpose) or self._new_epoch(purpose)
        number = next(epoch.numbers)  # One step of the interpreter: two threads never get the same.
        if number >= EPOCH:
            epoch = self._new_epoch(purpose)
            number = next(epoch.numbers)
        place = number.to_bytes(8, "big")
        return epoch.start + place + epoch.encrypt(_FIXED + place, plain, _bound(epoch.start[:5], purpose, record))

    def open(self, purpose: str, record: str, sealed: bytes) -> bytes:
        """The plain octets. Raises SealBroken."""
        if len(sealed) < START_RECORD:
            raise _broken(purpose, record, "it is cut off")
        cipher = self._cipher(_WHOLE, purpose, record, sealed)
        nonce = _FIXED + sealed[START:START_RECORD]
        try:
            return cipher.decrypt(nonce, sealed[START_RECORD:], _bound(sealed[:5], purpose, record))
        except InvalidTag as error:
            raise _broken(purpose, record, "it is damaged or belongs to another record") from error

    def segments(self, purpose: str, record: str, start: bytes | None = None) -> KeySegments:
        """For writing (`start` None), or for reading what begins with `start`. Raises SealBroken."""
        if start is not None:
            if len(start) != START:
                raise _broken(purpose, record, "its beginning is cut off")
            return KeySegments(self._cipher(_PIECES, purpose, record, start), start, purpose, record)
        head, mac = self._head(purpose)
        salt = self._octets(_SALT)
        return KeySegments(AESGCM(_derive(mac, _PIECES, purpose, salt)), head + salt, purpose, record)

    def token(self, purpose: str, value: str) -> int:
        """A signed 64-bit number that stands for `value` in an index and tells nothing without the key."""
        return self._remembered(purpose, value)

    def _make_token(self, purpose: str, value: str) -> int:
        # A newer version of this key means new tokens: whoever makes one writes the indexes anew.
        mac = self._head(TOKEN)[1].copy()
        mac.update(f"{purpose}\0{value}".encode("utf-8", "surrogatepass"))
        return int.from_bytes(mac.finalize()[:8], "big", signed=True)

    def _head(self, purpose: str) -> tuple[bytes, HMAC]:
        try:
            return self._heads[purpose]
        except KeyError:
            if (fault := self._fault(purpose)) is not None:
                raise fault from None
            raise Denied(f"there is no domain key {purpose!r}") from None

    def _fault(self, purpose: str) -> KeyFault | None:
        """Why there is no key for `purpose`: a new exception, since one that is raised again keeps what raised it."""
        reason = self._closed.get(purpose) or self._otherwise
        if reason is None:
            return None
        text = f"the domain key {purpose!r} is not at hand: {reason}"
        return Forbidden(text) if isinstance(reason, Denied) else Away(text)

    def _cipher(self, label: bytes, purpose: str, record: str, sealed: bytes) -> AESGCM:
        if len(sealed) < START:
            raise _broken(purpose, record, "it is cut off")
        if sealed[:1] != _MARK:
            raise _broken(purpose, record, f"its version mark {sealed[0]} is unknown")
        version = int.from_bytes(sealed[1:5], "big")
        if (purpose, version) not in self._macs:
            raise self._unknown(purpose, version, record)
        make = self._cipher_of if label is _WHOLE else self._derived
        return make(label, purpose, version, sealed[5:START])

    def _unknown(self, purpose: str, version: int, record: str) -> Exception:
        head = self._heads.get(purpose)
        if head is None and (fault := self._fault(purpose)) is not None:
            return fault
        place = (purpose, version)
        newest = max((known for one, known in self._macs if one == purpose), default=0)
        if self._wanted is None or version <= newest or place in self._absent or len(self._missed) >= MISSED:
            return _broken(purpose, record, f"there is no version {version} of its domain key")
        # Another process has learnt of it before us. Held for broken, its mail would wait for a person.
        self._missed.add(place)
        self._wanted()
        return Away(f"version {version} of the domain key {purpose!r} is not known to this process yet")

    def _derived(self, label: bytes, purpose: str, version: int, salt: bytes) -> AESGCM:
        return AESGCM(_derive(self._macs[purpose, version], label, purpose, salt))

    def _new_epoch(self, purpose: str) -> _Epoch:
        epochs = self._epochs  # Before the key: see `take`.
        head, mac = self._head(purpose)
        salt = self._octets(_SALT)
        epoch = epochs[purpose] = _Epoch(AESGCM(_derive(mac, _WHOLE, purpose, salt)), head + salt)
        return epoch


class _Epoch:
    """The content key that records of one purpose share for a while."""

    __slots__ = ("encrypt", "numbers", "start")

    def __init__(self, cipher: AESGCM, start: bytes) -> None:
        self.encrypt: Callable[[bytes, bytes, bytes], bytes] = cipher.encrypt
        self.numbers = count()
        self.start = start


class KeySegments:
    """One content in pieces: fulfils storage's `Segments`. Whoever writes seals each place once.

    The nonce is a piece's place and whether it is the last, so a piece that was moved, repeated or left out does not
    open, nor does one that stands at the end and is not the last.
    """

    __slots__ = ("_bound", "_decrypt", "_encrypt", "_purpose", "_record", "_start")

    def __init__(self, cipher: AESGCM, start: bytes, purpose: str, record: str) -> None:
        self._encrypt: Callable[[bytes, bytes | memoryview, bytes], bytes] = cipher.encrypt
        self._decrypt: Callable[[bytes, bytes | memoryview, bytes], bytes] = cipher.decrypt
        self._start = start
        self._purpose = purpose
        self._record = record
        self._bound = _bound(start[:5], purpose, record)

    def __repr__(self) -> str:
        return f"KeySegments({self._purpose!r}, {self._record!r})"

    @property
    def start(self) -> bytes:
        """What stands in front of the first piece."""
        return self._start

    def seal(self, place: int, last: bool, plain: bytes | memoryview) -> bytes:
        """The sealed piece, `OVERHEAD` octets longer. `place` counts from 0."""
        nonce = _piece(place, last)
        return self._encrypt(nonce, plain, nonce + self._bound)

    def open(self, place: int, last: bool, sealed: bytes | memoryview) -> bytes:
        """The plain piece. Raises SealBroken."""
        nonce = _piece(place, last)
        try:
            return self._decrypt(nonce, sealed, nonce + self._bound)
        except InvalidTag as error:
            raise _broken(self._purpose, self._record, f"piece {place} is damaged or out of its place") from error


def _derive(mac: HMAC, label: bytes, purpose: str, salt: bytes) -> bytes:
    own = mac.copy()
    own.update(label + purpose.encode() + b"\0" + salt + _BITS)
    return own.finalize()


def _bound(head: bytes, purpose: str, record: str) -> bytes:
    # A purpose is one of ours and holds no NUL, so no purpose and record read as another pair.
    return head + f"{purpose}\0{record}".encode()


def _piece(place: int, last: bool) -> bytes:
    return place.to_bytes(8, "big") + (b"\x01\0\0\0" if last else b"\0\0\0\0")


def _broken(purpose: str, record: str, why: str) -> SealBroken:
    return SealBroken(f"the {purpose} record {record} does not open: {why}")
