"""NSS, which is in Thunderbird, opens and verifies what we write, and we read what it writes."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from gateway.mail.opened import SignatureStatus
from gateway.smime.cms.algorithms import AES256_CBC
from gateway.smime.cms.enveloped import open_enveloped, seal_enveloped
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from gateway.smime.cms.signed import read_signed
from gateway.smime.cms.signing import Signer, sign
from gateway.world.chance import SystemChance
from tests.fakes.mail_keys import authority, certificate, pem, private_key

CONTENT = b"Content-Type: text/plain\r\n\r\n" + b"the plain words\r\n" * 300
KINDS = ("rsa", "p256", "p384", "p521")
TOOLS = ("certutil", "pk12util", "cmsutil")

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason="the tools of NSS are not here"
)


class Nss:
    """A database with all keys and certificates. Its keys are named as they are here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "ca.pem").write_bytes(pem(authority()))
        (folder / "content").write_bytes(CONTENT)
        self.run("certutil", "-N", "--empty-password")
        self.run("certutil", "-A", "-n", "ca", "-t", "CT,C,C", "-i", "ca.pem")
        for kind in KINDS:
            octets = pkcs12.serialize_key_and_certificates(
                kind.encode(), private_key(kind), certificate(kind), None, BestAvailableEncryption(b"test")
            )
            (folder / f"{kind}.p12").write_bytes(octets)
            self.run("pk12util", "-i", f"{kind}.p12", "-W", "test", "-K", "")

    def run(self, tool: str, *options: str) -> bytes:
        command = [tool, "-d", "sql:.", *options]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=30, check=False)
        assert done.returncode == 0, (command, done.stderr.decode())
        return done.stdout

    def decode(self, octets: bytes, *options: str) -> bytes:
        (self.folder / "message").write_bytes(octets)
        return self.run("cmsutil", "-D", "-i", "message", *options)


@pytest.fixture(scope="module")
def nss(tmp_path_factory: pytest.TempPathFactory) -> Nss:
    return Nss(tmp_path_factory.mktemp("nss"))


def test_it_opens_what_we_seal(nss: Nss) -> None:
    # Debian's NSS 3.87 knows neither OAEP, nor AuthEnvelopedData, nor ECDH: it opens OpenSSL's no more than ours.
    octets = seal_enveloped(CONTENT, [recipient(certificate("rsa"))], AES256_CBC, SystemChance())
    assert nss.decode(octets) == CONTENT


def test_we_open_what_it_seals(nss: Nss) -> None:
    octets = nss.run("cmsutil", "-E", "-r", "rsa@corp.example", "-i", "content")
    keys = DecryptionKeys([DecryptionKey.of(certificate("rsa"), private_key("rsa"))])
    found = open_enveloped(octets, keys, SystemChance())
    assert (found.finding, found.content) == (None, CONTENT)


@pytest.mark.parametrize("kind", KINDS)
def test_it_verifies_what_we_sign(nss: Nss, kind: str) -> None:
    one = Signer.of(certificate(kind), private_key(kind), encryption=certificate("rsa"))
    assert nss.decode(sign(CONTENT, [one], now=time.time(), detached=False)) == CONTENT
    assert nss.decode(sign(CONTENT, [one], now=time.time()), "-c", "content") == CONTENT


@pytest.mark.parametrize("digest", ["SHA1", "SHA256", "SHA512"])
@pytest.mark.parametrize("kind", KINDS)
def test_we_verify_what_it_signs(nss: Nss, kind: str, digest: str) -> None:
    # -G: signing time, -P: capabilities, -Y: the preference for answers.
    options = ("-N", kind, "-H", digest, "-G", "-P", "-Y", kind)
    for detached in ((), ("-T",)):
        octets = nss.run("cmsutil", "-S", *options, *detached, "-i", "content")
        found = read_signed(octets, CONTENT if detached else None)
        (one,) = found.signers
        assert one.status is (SignatureStatus.WEAK if digest == "SHA1" else SignatureStatus.GOOD)
        assert one.certificate == certificate(kind)
        assert one.time is not None
        assert one.capabilities is not None
        assert one.preference is not None
