"""A message sealed into a message.rpmsg: its original inside octet for octet, a licence in front. Pure, on a thread.

The container has no integrity of its own. So the licence, which the tenant key signs, holds the digest of the
ciphertext in the clear and, encrypted, the digest of the original: that of a plain message in the clear would let
anybody try what short ones say.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from struct import pack
from typing import Final
from uuid import UUID

from gateway.mail.digest import Hashed, sha256
from gateway.rights.cipher import Cipher, encrypt_all
from gateway.rights.container.container import write_rpmsg
from gateway.rights.container.inner import Inner, write_inner
from gateway.rights.enabling import ContentKey, seal_key
from gateway.rights.job import MAX_READERS, Job, SealedMessage
from gateway.rights.template import Template
from gateway.rights.tenant import Mode, TenantKeys, TenantVersion
from gateway.rights.xrml.publishing import BodyForm, write_certificate_body
from gateway.rights.xrml.rights_data import RightsForm
from gateway.rights.xrml.root import PROLOGUE, written
from gateway.rights.xrml.signature import signed_octets, write_signature
from gateway.world.batch import finished
from gateway.world.chance import Chance

_FRONT, _END = f"{PROLOGUE}{written('_')}".split("_")  # Around BODY and SIGNATURE of the first root.
KEY_OCTETS: Final = 32  # AES-256.
# What a licence takes, in octets, of the 1 MiB that readers take: for all else, and for each reader and right besides
# the address, which stands in UTF-16 and then in base64.
_BUDGET: Final = 1_000_000 - 32_000
_GRANT: Final = 400
_LETTER: Final = 6


class Forms:
    """What licences have in common: the certificates that the tenant signs for itself, and most of their text.

    They are the same for every message, so each is made once and kept: it would be most of the time that sealing
    takes. May be shared by threads.
    """

    MOST: Final = 16  # Versions and URLs, and templates with them; more than that is no use of ours.

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], str] = {}  # By modulus and URL.
        self._written: dict[tuple[int, str, Template], tuple[BodyForm, RightsForm]] = {}

    def texts(self, version: TenantVersion, url: str, template: Template) -> tuple[BodyForm, RightsForm]:
        """The forms of the BODY and of the rights data. Raises ValueError for a URL that no licence can hold."""
        kept = self._written.get((version.modulus, url, template))
        if kept is None:
            kept = BodyForm(version, url, template), RightsForm(template)
            if len(self._written) >= self.MOST:
                self._written = {}
            self._written[version.modulus, url, template] = kept
        return kept

    def certificate(self, tenant: TenantKeys, version: TenantVersion, url: str, issued: float) -> str:
        """The second root of a licence."""
        kept = self._kept.get((version.modulus, url))
        if kept is None:
            body = write_certificate_body(version, url, issued)
            kept = _signed(body, tenant, version)
            if len(self._kept) >= self.MOST:
                self._kept = {}
            self._kept[version.modulus, url] = kept
        return kept


def seal(original: bytes, job: Job, tenant: TenantKeys, chance: Chance, forms: Forms | None = None) -> SealedMessage:
    """The file for all readers of `job`, each of whom can list the others; whoever has blind recipients seals once for
    each of them.

    Takes 0.5 ms and 110 ms for each 10 MiB, in memory three times the message; blocks while the tenant key signs.
    Raises TenantAway and TenantDenied; ValueError for addresses or a URL that no licence can hold (see `shares`).
    """
    return finished(sealing(original, job, tenant, chance, forms or Forms()))


def sealing(
    original: bytes, job: Job, tenant: TenantKeys, chance: Chance, forms: Forms
) -> Generator[None, None, SealedMessage]:
    """The same in steps. A signature empties the processor's nearest caches, so that it is one by itself; and each kind
    of work is, since its second message finds warm what the first has fetched (a twentieth of a wrapped message's CPU).
    """
    version = tenant.current
    if version.mode is not Mode.MODE_2:
        raise ValueError("nothing is sealed with a key of Mode 1")
    work = _work(job.issued, chance)
    # One content key for one message, always: the IVs depend on it and on nothing else that would change.
    key = ContentKey(Cipher.CBC4K, chance.octets(KEY_OCTETS))
    original_sha256 = sha256(original).hex()
    form, rights_form = forms.texts(version, job.url, job.template)
    rights_data = rights_form.text(
        work=work,
        owner=job.owner,
        readers=job.readers,
        issued=job.issued,
        expires=job.expires,
        original_sha256=original_sha256,
    )
    yield
    content, encrypted_rights = _encrypted(original, job, key, rights_data)
    content_sha256 = sha256(content).hex()
    yield
    bits = seal_key(key, version.public_key, version.mode, form.principal, chance)
    yield
    body = form.body(
        issued=job.issued,
        owner=job.owner,
        work=work,
        bits=bits,
        rights_data=encrypted_rights,
        content_sha256=content_sha256,
    )
    signed = Hashed.of(signed_octets(body))
    yield
    signature = tenant.sign(version, signed)
    yield
    second = forms.certificate(tenant, version, job.url, job.issued)
    licence = f"{_FRONT}{body}{write_signature(signed, signature)}{_END}{second}".encode()
    alike = len(_FRONT) + form.alike, len(second)
    yield
    return SealedMessage(write_rpmsg(licence, content, alike=alike), work, content_sha256, original_sha256)


def _work(issued: float, chance: Chance) -> UUID:
    """A name for the message: 74 bits of chance behind its time (RFC 9562 5.7), so that what is stored by it lies
    beside what was stored before, and not all over an index.
    """
    drawn = int.from_bytes(chance.octets(10), "big")
    upper = (int(issued * 1000) & 0xFFFFFFFFFFFF) << 16 | 7 << 12 | drawn >> 68
    return UUID(int=upper << 64 | 2 << 62 | drawn >> 6 & (1 << 62) - 1)


def _signed(body: str, tenant: TenantKeys, version: TenantVersion) -> str:
    signed = Hashed.of(signed_octets(body))
    return written(body, write_signature(signed, tenant.sign(version, signed)))


def shares(readers: Sequence[str], template: Template) -> Iterator[tuple[str, ...]]:
    """The readers in as few groups as there must be, in order: each has a hundred at most, and a licence that is short
    enough to be read. Only very long addresses make them smaller.
    """
    group: list[str] = []
    size = 0
    for reader in readers:
        takes = len(template.rights) * (_GRANT + _LETTER * len(reader.encode("utf-16-le")) // 2)
        if group and (len(group) >= MAX_READERS or size + takes > _BUDGET):
            yield tuple(group)
            group, size = [], 0
        group.append(reader)
        size += takes
    if group:
        yield tuple(group)


def _encrypted(original: bytes, job: Job, key: ContentKey, rights_data: str) -> tuple[bytes, bytes]:
    """The stream \\x09DRMContent ([MS-OFFCRYPTO] 2.2.10): the length of the inner file, and its ciphertext. And the
    rights data.
    """
    text, html = job.body
    inner = write_inner(Inner(text, html, (), original))
    content, rights = encrypt_all(key.cipher, key.octets, inner, rights_data.encode("utf-16-le"))
    return pack("<Q", len(inner)) + content, rights
