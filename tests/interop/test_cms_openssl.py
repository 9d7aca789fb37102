"""OpenSSL opens and verifies what we write, and we read what it writes, in every way that it has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.mail.opened import SignatureStatus
from gateway.smime.cms.algorithms import AES256_CBC, AES256_GCM, ContentCipher
from gateway.smime.cms.enveloped import OpenedEnvelope, open_enveloped, seal_enveloped
from gateway.smime.cms.findings import Unusable
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from gateway.smime.cms.signed import CertificateIndex, read_signed
from gateway.smime.cms.signing import Signer, sign
from gateway.world.chance import SystemChance
from tests.fakes.mail_keys import authority, certificate, pem, pkcs8, private_key

CONTENT = b"Content-Type: text/plain\r\n\r\n" + b"the plain words\r\n" * 300
CURVES = ("p256", "p384", "p521")
NOW = 1_700_000_000.0

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")


class OpenSsl:
    """`openssl cms` in a folder that has all keys and certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for kind in ("rsa", *CURVES, "p256:other"):
            (folder / f"{kind}.pem").write_bytes(pem(certificate(kind)))
            (folder / f"{kind}.key").write_bytes(pkcs8(kind))
        (folder / "ca.pem").write_bytes(pem(authority()))
        (folder / "content").write_bytes(CONTENT)

    def cms(self, *options: str, given: bytes = b"") -> bytes:
        """What it writes, in DER where it is CMS. Fails where it fails."""
        command = ["openssl", "cms", *options, "-binary"]
        done = subprocess.run(command, cwd=self.folder, input=given, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, (command, done.stderr.decode())
        return done.stdout

    def encrypt(self, *options: str) -> bytes:
        return self.cms("-encrypt", "-outform", "DER", "-in", "content", *options)

    def decrypt(self, octets: bytes, kind: str, *options: str) -> bytes:
        # Without the certificate it would try its key on every recipient, whoever is named.
        files = ("-inkey", f"{kind}.key", "-recip", f"{kind}.pem")
        return self.cms("-decrypt", "-inform", "DER", *files, *options, given=octets)

    def sign(self, kind: str, *options: str) -> bytes:
        files = ("-signer", f"{kind}.pem", "-inkey", f"{kind}.key", "-in", "content")
        return self.cms("-sign", "-outform", "DER", *files, *options)

    def verify(self, octets: bytes, *options: str) -> bytes:
        return self.cms("-verify", "-inform", "DER", "-CAfile", "ca.pem", *options, given=octets)


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> OpenSsl:
    return OpenSsl(tmp_path_factory.mktemp("openssl"))


def opened(octets: bytes, *kinds: str) -> OpenedEnvelope:
    keys = DecryptionKeys([DecryptionKey.of(certificate(kind), private_key(kind)) for kind in kinds])
    return open_enveloped(octets, keys, SystemChance())


def sealed(*kinds: str, cipher: ContentCipher, oaep: bool = False, by_ski: bool = False) -> bytes:
    recipients = [recipient(certificate(kind), oaep=oaep, by_ski=by_ski) for kind in kinds]
    return seal_enveloped(CONTENT, recipients, cipher, SystemChance())


@pytest.mark.parametrize("cipher", [AES256_CBC, AES256_GCM], ids=lambda cipher: cipher.name)
@pytest.mark.parametrize("by_ski", [False, True], ids=["by serial", "by key identifier"])
@pytest.mark.parametrize("kind", ["rsa", "oaep", *CURVES])
def test_it_opens_what_we_seal(openssl: OpenSsl, kind: str, by_ski: bool, cipher: ContentCipher) -> None:
    oaep = kind == "oaep"
    kind = "rsa" if oaep else kind
    assert openssl.decrypt(sealed(kind, cipher=cipher, oaep=oaep, by_ski=by_ski), kind) == CONTENT


def test_each_of_several_recipients_opens_it(openssl: OpenSsl) -> None:
    kinds = ("rsa", "p256", "p384", "p256:other")
    for cipher in (AES256_CBC, AES256_GCM):
        octets = sealed(*kinds, "x25519", cipher=cipher)
        assert [openssl.decrypt(octets, kind) for kind in kinds] == [CONTENT] * len(kinds)


RSA_WAYS = {
    "pkcs1": (),
    "by key identifier": ("-keyid",),
    "oaep": ("-keyopt", "rsa_padding_mode:oaep"),
    "oaep sha-256": ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"),
    "oaep sha-256, mgf1 sha-1": (
        *("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"),
        *("-keyopt", "rsa_mgf1_md:sha1"),
    ),
    "oaep sha-512": ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha512"),
}


@pytest.mark.parametrize("way", RSA_WAYS)
def test_we_open_what_it_encrypts_to_rsa(openssl: OpenSsl, way: str) -> None:
    options = RSA_WAYS[way]
    # Options of a key stand behind its -recip.
    keyid = tuple(option for option in options if option == "-keyid")
    rest = tuple(option for option in options if option != "-keyid")
    octets = openssl.encrypt("-aes256", *keyid, "-recip", "rsa.pem", *rest)
    assert opened(octets, "p256", "rsa").content == CONTENT


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("cofactor", [False, True], ids=["standard", "cofactor"])
@pytest.mark.parametrize("kind", CURVES)
def test_we_open_what_it_encrypts_to_a_curve(openssl: OpenSsl, kind: str, cofactor: bool, digest: str) -> None:
    options = ["-keyopt", f"ecdh_kdf_md:{digest}", "-keyopt", f"ecdh_cofactor_mode:{int(cofactor)}"]
    assert opened(openssl.encrypt("-aes256", "-recip", f"{kind}.pem", *options), kind).content == CONTENT


CIPHERS = {
    "aes128": "aes128-cbc",
    "aes192": "aes192-cbc",
    "aes256": "aes256-cbc",
    "des3": "des-ede3-cbc",
    "aes-128-gcm": "aes128-gcm",
    "aes-192-gcm": "aes192-gcm",
    "aes-256-gcm": "aes256-gcm",
}


@pytest.mark.parametrize("way", [(), ("-stream", "-indef")], ids=["der", "stream"])
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_we_open_each_cipher(openssl: OpenSsl, kind: str, cipher: str, way: tuple[str, ...]) -> None:
    found = opened(openssl.encrypt(f"-{cipher}", *way, "-recip", f"{kind}.pem"), kind)
    assert (found.finding, found.content) == (None, CONTENT)
    assert found.algorithm == CIPHERS[cipher]
    assert found.authenticated is cipher.endswith("gcm")
    assert found.weak is (cipher == "des3")


def test_we_open_rc2_of_128_bits_alone(openssl: OpenSsl) -> None:
    providers = ("-provider", "legacy", "-provider", "default")
    try:
        octets = openssl.encrypt("-rc2-cbc", *providers, "-recip", "rsa.pem")
    except AssertionError:
        pytest.skip("this openssl has no RC2")
    found = opened(octets, "rsa")
    assert (found.content, found.algorithm, found.weak) == (CONTENT, "rc2-cbc", True)


@pytest.mark.parametrize("detached", [True, False], ids=["clear", "opaque"])
@pytest.mark.parametrize("kind", ["rsa", "pss", *CURVES])
def test_it_verifies_what_we_sign(openssl: OpenSsl, kind: str, detached: bool) -> None:
    pss = kind == "pss"
    kind = "rsa" if pss else kind
    for by_ski in (False, True):
        one = Signer.of(certificate(kind), private_key(kind), pss=pss, by_ski=by_ski, encryption=certificate("rsa"))
        octets = sign(CONTENT, [one], now=NOW, detached=detached)
        # -cades checks signingCertificateV2.
        options = ("-cades", *(("-content", "content") if detached else ()))
        assert openssl.verify(octets, "-purpose", "any", *options) == CONTENT


def test_it_verifies_several_signers(openssl: OpenSsl) -> None:
    signers = [Signer.of(certificate(kind), private_key(kind)) for kind in ("rsa", "p256", "p384")]
    octets = sign(CONTENT, signers, now=NOW)
    assert openssl.verify(octets, "-content", "content") == CONTENT


SIGNING_WAYS = {
    "plain": (),
    "opaque": ("-nodetach",),
    "by key identifier": ("-keyid",),
    "without attributes": ("-noattr",),
    "without capabilities": ("-nosmimecap",),
    "with signingCertificateV2": ("-cades",),
    "a stream": ("-nodetach", "-stream", "-indef"),
}


@pytest.mark.parametrize("way", SIGNING_WAYS)
@pytest.mark.parametrize("kind", ["rsa", "p256", "p384"])
def test_we_verify_what_it_signs(openssl: OpenSsl, kind: str, way: str) -> None:
    found = read_signed(openssl.sign(kind, *SIGNING_WAYS[way]), None if "-nodetach" in SIGNING_WAYS[way] else CONTENT)
    (one,) = found.signers
    assert (one.status, one.reason) == (SignatureStatus.GOOD, None)
    assert one.certificate == certificate(kind)
    assert (one.capabilities is None) is (way in ("without attributes", "without capabilities"))
    assert found.content == (CONTENT if "-nodetach" in SIGNING_WAYS[way] else None)


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512", "md5"])
@pytest.mark.parametrize("kind", ["rsa", "pss", "p256"])
def test_we_judge_each_digest(openssl: OpenSsl, kind: str, digest: str) -> None:
    if kind != "rsa" and digest == "md5":
        pytest.skip("there is no such thing")
    options = ("-keyopt", "rsa_padding_mode:pss") if kind == "pss" else ()
    octets = openssl.sign("rsa" if kind == "pss" else kind, *options, "-md", digest)
    (one,) = read_signed(octets, CONTENT).signers
    expected = {"sha1": SignatureStatus.WEAK, "md5": SignatureStatus.BAD}.get(digest, SignatureStatus.GOOD)
    assert one.status is expected
    assert one.reason == (None if expected is SignatureStatus.GOOD else "weak-algorithm")


@pytest.mark.parametrize("salt", ["digest", "max", "auto", "0", "17"])
def test_we_verify_pss_with_salts_of_any_length(openssl: OpenSsl, salt: str) -> None:
    options = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", f"rsa_pss_saltlen:{salt}")
    (one,) = read_signed(openssl.sign("rsa", *options), CONTENT).signers
    assert one.status is SignatureStatus.GOOD


def test_a_key_for_pss_alone_signs_by_pss_and_nothing_is_sealed_to_it(openssl: OpenSsl) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes"]
    command += ["-subj", "/CN=pss", "-keyout", "pss.key", "-out", "pss.pem"]
    subprocess.run(command, cwd=openssl.folder, capture_output=True, timeout=30, check=True)
    one = x509.load_pem_x509_certificate((openssl.folder / "pss.pem").read_bytes())
    key = serialization.load_pem_private_key((openssl.folder / "pss.key").read_bytes(), None)
    octets = sign(CONTENT, [Signer.of(one, key)], now=NOW)
    assert read_signed(octets, CONTENT).signers[0].algorithm == "rsa-pss-sha-256"
    assert openssl.verify(octets, "-noverify", "-content", "content") == CONTENT
    # Without the option it names plain RSA, and does not verify that itself.
    theirs = openssl.sign("pss", "-keyopt", "rsa_padding_mode:pss")
    assert read_signed(theirs, CONTENT).signers[0].status is SignatureStatus.GOOD
    with pytest.raises(Unusable):
        recipient(one)


def test_a_signature_without_certificate_needs_one_that_is_known(openssl: OpenSsl) -> None:
    octets = openssl.sign("rsa", "-nocerts", "-keyid")
    assert read_signed(octets, CONTENT).signers[0].reason == "certificate-missing"
    known = CertificateIndex([certificate("rsa")]).find
    assert read_signed(octets, CONTENT, known=known).signers[0].status is SignatureStatus.GOOD


def test_the_same_content_in_openssls_eyes_is_bad_in_ours_too(openssl: OpenSsl) -> None:
    octets = openssl.sign("p256")
    (openssl.folder / "changed").write_bytes(CONTENT + b"x")
    with pytest.raises(AssertionError):
        openssl.verify(octets, "-content", "changed")
    assert read_signed(octets, CONTENT + b"x").signers[0].reason == "digest-mismatch"
