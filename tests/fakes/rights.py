"""Rights-managed messages for tests: a tenant key with switches, jobs, and files as others or older software write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha1, sha256
from struct import pack
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.mail.digest import Hashed
from gateway.rights.cipher import Cipher, encrypt
from gateway.rights.container.container import read_rpmsg, write_rpmsg
from gateway.rights.container.inner import Inner, write_inner
from gateway.rights.enabling import ContentKey, seal_key
from gateway.rights.job import Job
from gateway.rights.pem_tenant import PemTenant
from gateway.rights.template import ENCRYPT_ONLY
from gateway.rights.tenant import Mode, TenantAway, TenantDenied, TenantVersion, tenant_version
from gateway.rights.xrml.binary import write_base64
from gateway.rights.xrml.element import tag
from gateway.rights.xrml.publishing import BodyForm
from gateway.rights.xrml.rights_data import RightsForm
from gateway.rights.xrml.root import PROLOGUE, written
from gateway.rights.xrml.signature import signed_octets
from tests.fakes.chance import FakeChance

NOW = 1_793_693_520.0  # 2026-11-03T08:12, a whole minute.
URL = "https://portal.corp.example/"
OWNER = "ida@corp.example"
READER = "ben@partner.example"


def private_key(bits: int = 2048, number: int = 1) -> RSAPrivateKey:
    """The same key for all tests of a process; `number` tells several of one length apart."""
    return _made(bits, number)


@cache
def _made(bits: int, number: int) -> RSAPrivateKey:
    return generate_private_key(65537, bits)


def pem(bits: int = 2048, number: int = 1) -> bytes:
    return private_key(bits, number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def damaged(file: bytes) -> bytes:
    """The same message.rpmsg with one octet of its ciphertext changed: the licence in front is whole."""
    parts = read_rpmsg(file)
    content = bytearray(parts.drm_content)
    content[-1] ^= 1
    return write_rpmsg(parts.licence, bytes(content))


class FakeTenant(PemTenant):
    """A tenant key that counts its uses; `keys` are its versions, the newest first. Ways to fail: `away` for passing,
    `denied` for good.
    """

    def __init__(self, *keys: RSAPrivateKey) -> None:
        super().__init__(())
        for key in keys or (private_key(),):  # Read from PEM each would be checked, which takes longer than all else.
            self._add(key)
        self.away = False
        self.denied = False
        self.signed = 0
        self.unsealed = 0

    def sign(self, version: TenantVersion, data: bytes | Hashed) -> bytes:
        self._fail()
        self.signed += 1
        return super().sign(version, data)

    def unseal(self, version: TenantVersion, octets: bytes) -> bytes:
        self._fail()
        self.unsealed += 1
        return super().unseal(version, octets)

    def _fail(self) -> None:
        if self.away:
            raise TenantAway("the vault main does not answer")
        if self.denied:
            raise TenantDenied("the key main/tenant is disabled")


def job(*readers: str, **changed: Any) -> Job:
    """A message of Ida's for Ben; other readers and fields where named."""
    usual = Job(
        owner=OWNER,
        readers=readers or (READER,),
        template=ENCRYPT_ONLY,
        issued=NOW,
        expires=None,
        url=URL,
        body=("Open it on the portal.", None),
    )
    return replace(usual, **changed)


def nobody(work: UUID, principal: str) -> bool:
    """Nothing is revoked."""
    return False


def foreign(
    inner: Inner,
    *,
    key: RSAPrivateKey | None = None,
    cipher: Cipher = Cipher.CBC4K,
    key_octets: int = 32,
    digest: str | None = None,
    name: str | None = None,
    rights: Callable[[str], str] = lambda text: text,
    body: Callable[[str], str] = lambda text: text,
    content: Callable[[bytes], bytes] = lambda octets: octets,
    licence: Callable[[str], str] = lambda text: text,
    original_sha256: str | None = None,
    a_job: Job | None = None,
) -> bytes:
    """A file that is put together by hand, in all its parts right but for what is changed.

    `key`: of the tenant, one of 1,024 bits makes it Mode 1. `digest`: the hash that is signed; `name`: what it
    is called. `rights`, `body`, `licence` change the texts, the body before it is signed; `content` the ciphertext
    before its digest is written. Without `original_sha256` the rights data hold none.
    """
    a_job = a_job or job()
    key = key or private_key()
    version = tenant_version(key.public_key(), 1)
    digest = digest or ("sha1" if version.mode is Mode.MODE_1 else "sha256")
    chance = FakeChance("foreign")
    content_key = ContentKey(cipher, chance.octets(key_octets))
    work = UUID(bytes=chance.octets(16), version=4)
    plain = write_inner(inner)
    drm_content = content(pack("<Q", len(plain)) + encrypt(cipher, content_key.octets, plain))
    text = RightsForm(a_job.template).text(
        work=work,
        owner=a_job.owner,
        readers=a_job.readers,
        issued=a_job.issued,
        expires=a_job.expires,
        original_sha256=original_sha256 or "0" * 64,
    )
    if original_sha256 is None:
        text = text.replace(tag("AUTHENTICATEDDATA", "0" * 64, id_="APPSPECIFIC", name="original.sha256"), "")
    form = BodyForm(version, a_job.url, a_job.template)
    said = body(
        form.body(
            issued=a_job.issued,
            owner=a_job.owner,
            work=work,
            bits=seal_key(content_key, version.public_key, version.mode, form.principal, chance),
            rights_data=encrypt(cipher, content_key.octets, rights(text).encode("utf-16-le")),
            content_sha256=sha256(drm_content).hexdigest(),
        )
    )
    whole = licence(PROLOGUE + written(said, signature(said, key, digest, name)))
    return write_rpmsg(whole.encode(), drm_content)


def signature(body: str, key: RSAPrivateKey, digest: str = "sha256", name: str | None = None) -> str:
    """SIGNATURE over a body, with either hash."""
    octets = signed_octets(body)
    value = key.sign(octets, PKCS1v15(), SHA256() if digest == "sha256" else SHA1())
    hashed = (sha256 if digest == "sha256" else sha1)(octets).digest()
    return tag(
        "SIGNATURE",
        tag("ALGORITHM", "RSA PKCS#1-V1.5")
        + tag("DIGEST", tag("ALGORITHM", name or digest.upper()) + tag("VALUE", write_base64(hashed)))
        + tag("VALUE", write_base64(value)),
    )
