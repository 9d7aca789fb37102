"""A message.rpmsg opened, on a thread: who asks is a reader, it is not too late, what is shown is what was sealed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from struct import unpack_from
from typing import Final
from uuid import UUID

from gateway.rights.cipher import BLOCK, BadCipher, Cipher, decrypt_within
from gateway.rights.container.envelope import Envelope
from gateway.rights.container.inner import original_place, read_inner
from gateway.rights.rebuilding import rebuild
from gateway.rights.right import Right
from gateway.rights.tenant import Mode, TenantKeys
from gateway.rights.unlocking import Unlocked, reasons, unlock, unwrap
from gateway.rights.xrml.element import BadLicence
from gateway.rights.xrml.publishing import PublishingLicence, read_body
from gateway.rights.xrml.signature import uses_sha1

_LENGTH: Final = 8  # Octets in front of the ciphertext, which say how long the plain file is.


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What a file says of itself to everybody, none of it proved. `issued`: seconds since 1970. `title`: of the
    template. `modulus`: of the key that it says it is sealed to; `key_bits`: how long that is. `is_whole`: the content
    has the digest that the licence says. `weak`: what is too old to protect, in a word each.
    """

    work: UUID
    owner: str
    title: str | None
    issued: float
    urls: tuple[str, ...]
    modulus: int
    key_bits: int
    mode: Mode
    roots: int
    content_size: int
    content_sha256: str
    is_whole: bool
    weak: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMessage:
    """`original`: the message octet for octet, or where `is_built` one that was put together from a foreign file's body
    and attachments. `rights`: of who asked. `principal`: None for a super user. `template`: its name, where one of ours
    is known. `issued`, `expires`: seconds since 1970. `readers`: as the licence has them, which is not as they ask.
    `weak`: what is too old to protect, in a word each.
    """

    original: bytes = field(repr=False)
    rights: frozenset[Right]
    owner: str = field(repr=False)
    principal: str | None = field(repr=False)
    template: str | None
    issued: float
    expires: float | None
    work: UUID
    is_built: bool
    readers: tuple[str, ...] = field(repr=False)
    title: str | None = None
    weak: tuple[str, ...] = ()


def inspect(octets: bytes, most: int | None = None) -> Inspected:
    """What can be seen without a key. `most`: octets of a file, by default `limits.most_of` its own. Raises NotOpened,
    always as damaged.
    """
    with reasons():
        wrapper = unwrap(octets, most)
        licence = read_body(wrapper.root.body)
        sha1 = wrapper.root.signature is not None and uses_sha1(wrapper.root.signature)
        digest = sha256(wrapper.content.view()).hexdigest()
        return Inspected(
            work=licence.work,
            owner=licence.owner,
            title=licence.title,
            issued=licence.issued,
            urls=licence.urls,
            modulus=licence.modulus,
            key_bits=licence.modulus.bit_length(),
            mode=licence.mode,
            roots=wrapper.roots,
            content_size=wrapper.content.size,
            content_sha256=digest,
            is_whole=digest == licence.content_sha256,
            weak=tuple(_weak_licence(licence, sha1)),
        )


def open_rpmsg(
    octets: bytes | Envelope,
    tenant: TenantKeys,
    *,
    principal: str | None,
    now: float,
    is_revoked: Callable[[UUID, str], bool],
    most: int | None = None,
) -> OpenedMessage:
    """The message for `principal`, an authenticated address; None: for a super user. `octets`: the file, or an envelope
    that was fed with all of it and is of no use afterwards. `now`: seconds since 1970.
    `is_revoked` is asked with the address in the form in which addresses are compared, never for the owner, who opens
    at any time. `most`: octets of a file, by default `limits.most_of` its own.

    Raises NotOpened, whose reason is all there is to say. Takes 3 ms and 110 ms for each 10 MiB, in memory the file
    once more; blocks while the tenant key unseals.
    """
    unlocked = unlock(octets, tenant, principal=principal, now=now, is_revoked=is_revoked, most=most)
    with reasons():
        original, is_built = _original(unlocked)
    licence, rights = unlocked.licence, unlocked.rights
    return OpenedMessage(
        original=original,
        rights=unlocked.granted,
        owner=licence.owner,
        principal=principal,
        template=rights.template,
        issued=licence.issued,
        expires=rights.ends,
        work=licence.work,
        is_built=is_built,
        readers=rights.readers,
        title=licence.title,
        weak=weak(unlocked),
    )


def weak(unlocked: Unlocked) -> tuple[str, ...]:
    """What of a file is too old to protect."""
    found = _weak_licence(unlocked.licence, unlocked.version.mode is Mode.MODE_1)
    if unlocked.key.cipher is Cipher.ECB:
        found.append("ecb")  # Equal blocks of the message show.
    return tuple(found)


def _weak_licence(licence: PublishingLicence, is_sha1: bool) -> list[str]:
    found = ["mode-1"] if licence.mode is Mode.MODE_1 else []
    return [*found, "sha-1"] if is_sha1 else found


def _original(unlocked: Unlocked) -> tuple[bytes, bool]:
    """Decrypt the inner file and take the original out; its digest in the licence says whether it is one."""
    found = _found(unlocked)
    # Here no view on the content is left, so that what is large can be taken out without a copy.
    return unlocked.content.cut(*found) if isinstance(found, tuple) else found, unlocked.rights.original_sha256 is None


def _found(unlocked: Unlocked) -> bytes | tuple[int, int]:
    """The same, or where it begins in the content, and its size."""
    rights, content = unlocked.rights, unlocked.content.view()
    if len(content) < _LENGTH:
        raise BadCipher("no content")
    (length,) = unpack_from("<Q", content)  # [MS-OFFCRYPTO] 2.2.10
    if not length <= len(content) - _LENGTH <= length + BLOCK:
        raise BadCipher("a content of another length than it says")
    decrypt_within(unlocked.key.cipher, unlocked.key.octets, content[_LENGTH:], length)
    file = content[_LENGTH : _LENGTH + length]
    if rights.original_sha256 is None:
        return rebuild(read_inner(file), unlocked.licence, rights)
    place = original_place(file)
    if place is None:
        original = read_inner(file).original
        octets = memoryview(b"" if original is None else original)
    else:
        original, octets = b"", file[place[0] : place[0] + place[1]]
    if original is None or not compare_digest(sha256(octets).hexdigest(), rights.original_sha256):
        raise BadLicence("an original that is not the licence's")
    return original if place is None else (_LENGTH + place[0], place[1])
