"""Content under its cipher: CBC (RFC 3565, RFC 3370 5) and GCM (RFC 5084), block by block to seal, in one to open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import AlgorithmIdentifier, ContentCipher, Mode
from gateway.smime.cms.findings import Finding, Unreadable
from gateway.world.chance import Chance

BLOCK: Final = 1024 * 1024  # Octets that are encrypted at once.
TAG: Final = 16
_NONCE: Final = 12  # RFC 5084 3.2
_LEAST_TAG: Final = 12
_RC2_128_BITS: Final = 58  # RFC 2268 6: how an effective key of 128 bits is written


class Encryption:
    """One content under a key of its own. `length`: of what comes in, in octets, known before it comes."""

    __slots__ = ("_cipher", "_length", "_vector", "key")

    def __init__(self, cipher: ContentCipher, length: int, chance: Chance) -> None:
        self._cipher = cipher
        self._length = length
        self.key = chance.octets(cipher.key_octets)
        self._vector = chance.octets(_NONCE if cipher.mode is Mode.GCM else cipher.block)

    @property
    def identifier(self) -> bytes:
        """The ContentEncryptionAlgorithmIdentifier."""
        vector = der.octet_string(self._vector)
        if self._cipher.mode is Mode.GCM:
            return der.algorithm(self._cipher.oid, der.sequence(vector, der.integer(TAG)))
        return der.algorithm(self._cipher.oid, vector)

    @property
    def encrypted_length(self) -> int:
        """Of what comes out of `blocks`, padded where the mode asks for it (RFC 5652 6.3); the tag stands elsewhere."""
        if self._cipher.mode is Mode.GCM:
            return self._length
        return self._length + self._cipher.block - self._length % self._cipher.block

    @property
    def length_behind(self) -> int:
        """Of that which `blocks` gives behind the encrypted content."""
        return len(der.octet_string(bytes(TAG))) if self._cipher.mode is Mode.GCM else 0

    def blocks(self, blocks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
        """The content, encrypted, and behind it the tag of GCM as the OCTET STRING that AuthEnvelopedData ends with.

        Raises ValueError, at the end, where the blocks have another length than was announced.
        """
        algorithm = self._cipher.make(self.key)
        if self._cipher.mode is Mode.GCM:
            authentic: AEADEncryptionContext = Cipher(algorithm, GCM(self._vector)).encryptor()
            yield from self._updated(authentic, blocks)
            yield authentic.finalize() + der.octet_string(authentic.tag)
            return
        encryptor = Cipher(algorithm, CBC(self._vector)).encryptor()
        yield from self._updated(encryptor, blocks)
        padding = self.encrypted_length - self._length
        yield encryptor.update(bytes([padding]) * padding) + encryptor.finalize()

    def whole(self, content: bytes) -> bytes:
        """The same of content at hand, which is not long: in one go. Raises ValueError likewise."""
        if len(content) != self._length:
            raise ValueError(f"{len(content)} octets came where {self._length} were announced")
        algorithm = self._cipher.make(self.key)
        if self._cipher.mode is Mode.GCM:
            authentic: AEADEncryptionContext = Cipher(algorithm, GCM(self._vector)).encryptor()
            return authentic.update(content) + authentic.finalize() + der.octet_string(authentic.tag)
        encryptor = Cipher(algorithm, CBC(self._vector)).encryptor()
        padding = self.encrypted_length - self._length
        return encryptor.update(content + bytes([padding]) * padding) + encryptor.finalize()

    def _updated(self, encryptor: CipherContext, blocks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
        """All whole blocks of the cipher; what is left over comes with the next one."""
        seen = 0
        for block in blocks:
            seen += len(block)
            if len(block) <= BLOCK:
                yield encryptor.update(block)
                continue
            view = memoryview(block)
            for start in range(0, len(block), BLOCK):
                yield encryptor.update(view[start : start + BLOCK])
        if seen != self._length:
            raise ValueError(f"{seen} octets came where {self._length} were announced")


def decrypted(
    cipher: ContentCipher,
    algorithm: AlgorithmIdentifier,
    key: bytes,
    pieces: list[memoryview],
    *,
    tag: bytes = b"",
    attributes: bytes = b"",
) -> bytes:
    """The content. Raises Unreadable: for parameters that are wrong, else CONTENT_DAMAGED, whatever is damaged.

    `tag` and `attributes` (authenticated beside the content, in DER) are those of AuthEnvelopedData.
    """
    length = sum(map(len, pieces))
    decryptor: CipherContext
    try:
        if cipher.mode is Mode.GCM:
            authentic = Cipher(cipher.make(key), _gcm(algorithm, tag)).decryptor()
            authentic.authenticate_additional_data(attributes)
            decryptor = authentic
        else:
            decryptor = Cipher(cipher.make(key), CBC(_vector(algorithm, cipher))).decryptor()
    except UnsupportedAlgorithm:  # RC2 without OpenSSL's legacy provider
        raise Unreadable(Finding.ALGORITHM_UNKNOWN) from None
    if cipher.mode is Mode.CBC and (length == 0 or length % cipher.block):
        raise Unreadable(Finding.CONTENT_DAMAGED)
    plain = bytearray(length + cipher.block)
    with memoryview(plain) as view:
        at = 0
        for piece in pieces:
            at += decryptor.update_into(piece, view[at:])
    try:
        decryptor.finalize()
    except (InvalidTag, ValueError):
        raise Unreadable(Finding.CONTENT_DAMAGED) from None
    if cipher.mode is Mode.CBC:
        padding = plain[length - 1]
        if not 0 < padding <= cipher.block or plain[length - padding : length] != bytes([padding]) * padding:
            raise Unreadable(Finding.CONTENT_DAMAGED)
        length -= padding
    del plain[length:]
    return bytes(plain)


def _vector(algorithm: AlgorithmIdentifier, cipher: ContentCipher) -> bytes:
    """The initial vector; RC2 has its effective key length beside it (RFC 3370 5.2)."""
    if (parameters := algorithm.parameters) is None:
        raise ber.broken()
    if cipher.name == "rc2-cbc" and parameters.tag == der.SEQUENCE:
        members = parameters.members(most=2)
        if len(members) != 2 or members[0].integer() != _RC2_128_BITS:
            raise Unreadable(Finding.ALGORITHM_UNKNOWN)  # Of 40 or 64 bits, or the 32 that are left out.
        parameters = members[1]
    elif cipher.name == "rc2-cbc":
        raise Unreadable(Finding.ALGORITHM_UNKNOWN)
    vector = parameters.expect(der.OCTET_STRING).octets()
    if len(vector) != cipher.block:
        raise ber.broken()
    return vector


def _gcm(algorithm: AlgorithmIdentifier, tag: bytes) -> GCM:
    """GCMParameters (RFC 5084 3.2), whose tag stands behind the content."""
    if algorithm.parameters is None:
        raise ber.broken()
    members = algorithm.parameters.expect(der.SEQUENCE).members(most=2)
    if not members:
        raise ber.broken()
    nonce = members[0].expect(der.OCTET_STRING).octets()
    length = members[1].integer() if len(members) > 1 else _LEAST_TAG
    if not 8 <= len(nonce) <= 128 or length != len(tag) or not _LEAST_TAG <= length <= TAG:
        raise ber.broken()
    return GCM(nonce, tag, min_tag_length=_LEAST_TAG)
