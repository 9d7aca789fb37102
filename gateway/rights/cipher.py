"""How content and rights data are encrypted ([MS-OFFCRYPTO] 2.2.10, [MS-RMPR] 2.2.9.1.13.1): AES, and no integrity.

The format has none of its own; the licence's signature and its digests are what protects. Pure.
"""

from __future__ import annotations

from enum import IntEnum
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher as AesCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB

BLOCK: Final = 16
SEGMENT: Final = 4096
_ZEROS: Final = bytes(BLOCK)
_FROM_ZEROS: Final = CBC(_ZEROS)
_SEGMENT_WORDS: Final = SEGMENT // 8
_AT_ONCE: Final = 256 * SEGMENT  # Octets in a copy while they are decrypted.
KEY_SIZES: Final = frozenset({16, 24, 32})


class BadCipher(ValueError):
    """A ciphertext that is none of this mode, or a mode that is refused."""


class Cipher(IntEnum):
    """By the second word of a KeyHeader. CBC4K chains within segments of 4,096 octets, each with an IV of its own."""

    ECB = 0xFFFF  # Equal blocks show. For what is old.
    CBC4K = 0xFFFE  # Zeros up to a whole block, as ECB has them; what we write.
    CBC4K_PADDED = 0xFFFD  # PKCS #7 in the last segment, always 1 to 16 octets.
    CBC512 = 0xFFFC  # Known by name, to be refused.


def encrypt(cipher: Cipher, key: bytes, plain: bytes) -> bytes:
    """The ciphertext, a multiple of 16. Takes 5 ms for each MiB, in memory twice what it returns."""
    (made,) = encrypt_all(cipher, key, plain)
    return made


def encrypt_all(cipher: Cipher, key: bytes, *plains: bytes) -> list[bytes]:
    """The ciphertext of each, as `encrypt` has it. To begin is what takes longest where they are short."""
    if cipher is Cipher.ECB:
        return [_encrypted_ecb(key, _filled(cipher, plain)) for plain in plains]
    # One run over all segments. Its block in front of each is made so that it comes out as that segment's IV, and the
    # segment is chained to it; a run for each segment, and one for the IVs, would take longer than the cipher itself.
    run = AesCipher(AES(key), _FROM_ZEROS).encryptor()
    before = _ZEROS
    made = []
    for plain in plains:
        filled = _filled(cipher, plain)
        ends = _ends(cipher, len(plain), len(filled))
        if len(ends) == 1:
            both = run.update(before + filled)
            made.append(both[BLOCK:])
            before = both[-BLOCK:]
            continue
        out = bytearray(len(filled) + 2 * BLOCK)
        view, into = memoryview(filled), memoryview(out)
        at = 0
        for number, end in enumerate(ends):
            run.update(_xor(number.to_bytes(BLOCK, "little"), before) if number else before)
            run.update_into(view[at:end], into[at:])
            at, before = end, bytes(into[end - BLOCK : end])
        made.append(bytes(into[: len(filled)]))
    return made


def _filled(cipher: Cipher, plain: bytes) -> bytes:
    if cipher is Cipher.CBC4K_PADDED:
        fill = BLOCK - len(plain) % BLOCK
        return plain + bytes([fill]) * fill
    return plain + bytes(-len(plain) % BLOCK) if len(plain) % BLOCK else plain


def _encrypted_ecb(key: bytes, filled: bytes) -> bytes:
    run = AesCipher(AES(key), ECB()).encryptor()  # noqa: S305 - old readers know no other
    return run.update(filled) + run.finalize()


def decrypt(cipher: Cipher, key: bytes, octets: bytes | memoryview, length: int) -> bytes:
    """The first `length` octets of what was encrypted. `octets` may be up to 16 longer than that (what fills up).

    Raises BadCipher; the same, and in the same time, whatever the padding is.
    """
    out = bytearray(octets)
    decrypt_within(cipher, key, memoryview(out), length)
    return bytes(memoryview(out)[:length])


def decrypt_within(cipher: Cipher, key: bytes, octets: memoryview, length: int) -> None:
    """The same in its place: the first `length` octets are plain then. Raises BadCipher, and then they are nothing."""
    if len(octets) % BLOCK or not length <= len(octets) <= length + BLOCK:
        raise BadCipher("a ciphertext of the wrong length")
    _decrypt_within(cipher, key, octets, _ends(cipher, length, len(octets)))
    if cipher is Cipher.CBC4K_PADDED:
        fill = len(octets) - length
        if not compare_digest(octets[length:], bytes([fill]) * fill) or not fill:
            raise BadCipher("a padding that is none")


def decrypt_text(cipher: Cipher, key: bytes, octets: bytes) -> bytes:
    """A text in UTF-16LE whose length nobody wrote down: what fills up is taken off. Raises BadCipher."""
    if not octets or len(octets) % BLOCK:
        raise BadCipher("a ciphertext of the wrong length")
    if cipher is not Cipher.CBC4K_PADDED:
        plain = _decrypted(cipher, key, octets, _ends(cipher, len(octets), len(octets))).rstrip(b"\0")
        return plain + bytes(len(plain) % 2)  # The upper half of the last character is mostly zero too.
    # A last segment that was full has its padding in a block more, chained to it; then there are two ways to read it.
    for length in (len(octets) - BLOCK, len(octets) - 1):
        plain = _decrypted(cipher, key, octets, _ends(cipher, length, len(octets)))
        fill = plain[-1]
        if 1 <= fill <= BLOCK and plain.endswith(bytes([fill]) * fill):
            return plain[:-fill]
    raise BadCipher("a padding that is none")


def _decrypted(cipher: Cipher, key: bytes, octets: bytes, ends: list[int]) -> bytes:
    out = bytearray(octets)
    _decrypt_within(cipher, key, memoryview(out), ends)
    return bytes(out)


def _decrypt_within(cipher: Cipher, key: bytes, octets: memoryview, ends: list[int]) -> None:
    if cipher is not Cipher.ECB and not ends:
        return
    ivs = b"" if cipher is Cipher.ECB else _ivs(key, len(ends))
    mode = ECB() if cipher is Cipher.ECB else CBC(ivs[:BLOCK])  # noqa: S305 - as old files have it
    words = octets.cast("Q")
    # Of each segment but the last the last block, as it was encrypted, in two numbers of 64 bits.
    lasts = [words[_SEGMENT_WORDS - 2 + half :: _SEGMENT_WORDS][: len(ends) - 1].tobytes() for half in (0, 1) if ends]
    run = AesCipher(AES(key), mode).decryptor()
    for at in range(0, len(octets), _AT_ONCE):
        octets[at : at + _AT_ONCE] = run.update(octets[at : at + _AT_ONCE])
    # As in `encrypt`, for all segments at once: what is chained to their first blocks, taken out and put in.
    starts = memoryview(ivs).cast("Q")
    for half, last in enumerate(lasts):
        first = words[_SEGMENT_WORDS + half :: _SEGMENT_WORDS]
        first[: len(ends) - 1] = memoryview(_xor(first[: len(ends) - 1], last, starts[2 + half :: 2])).cast("Q")


def _xor(*blocks: bytes | memoryview) -> bytes:
    """All of them are of one length."""
    made = 0
    for block in blocks:
        made ^= int.from_bytes(block.tobytes() if isinstance(block, memoryview) else block, "little")
    return made.to_bytes(memoryview(blocks[0]).nbytes, "little")


def _ends(cipher: Cipher, length: int, filled: int) -> list[int]:
    """Where the segments of a ciphertext end. What fills up the last one never makes a segment of its own."""
    if cipher is Cipher.ECB:
        return []
    if cipher is Cipher.CBC512:
        raise BadCipher("segments of 512 octets, which are not supported")
    ends = list(range(SEGMENT, length, SEGMENT))
    return [*ends, filled] if filled else ends


def _ivs(key: bytes, number: int) -> bytes:
    """The IVs of all segments: each is its number, counted from 0, in 16 octets, encrypted with the content key."""
    run = AesCipher(AES(key), ECB()).encryptor()  # noqa: S305 - one block each
    return run.update(b"".join(n.to_bytes(BLOCK, "little") for n in range(number))) + run.finalize()
