"""GnuPG's gpgsm, which KMail and Claws Mail use, opens and verifies what we write, and we read what it writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from gateway.mail.opened import SignatureStatus
from gateway.smime.cms.algorithms import AES256_CBC
from gateway.smime.cms.enveloped import open_enveloped, seal_enveloped
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from gateway.smime.cms.signed import read_signed
from gateway.smime.cms.signing import Signer, sign
from gateway.world.chance import SystemChance
from tests.fakes.mail_keys import authority, certificate, pem, private_key

CONTENT = b"Content-Type: text/plain\r\n\r\n" + b"the plain words\r\n" * 300
NOW = 1_700_000_000.0

pytestmark = pytest.mark.skipif(shutil.which("gpgsm") is None, reason="there is no gpgsm here")


class Gpgsm:
    """A home folder with the RSA key and with certificates of the others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o700)
        (folder / "gpgsm.conf").write_text("disable-crl-checks\ndisable-dirmngr\nno-secmem-warning\n")
        (folder / "gpg-agent.conf").write_text("allow-loopback-pinentry\ns2k-count 65536\n")
        fingerprint = authority().fingerprint(hashes.SHA1()).hex().upper()
        pairs = ":".join(fingerprint[at : at + 2] for at in range(0, 40, 2))
        (folder / "trustlist.txt").write_text(f"{pairs} S relax\n")
        (folder / "content").write_bytes(CONTENT)
        self.run("--import", given=pem(authority()))
        # It reads no newer form of PKCS #12.
        form = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
        form = form.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1())
        octets = pkcs12.serialize_key_and_certificates(
            b"rsa", private_key("rsa"), certificate("rsa"), None, form.build(b"test")
        )
        (folder / "rsa.p12").write_bytes(octets)
        self.with_password("--import", "rsa.p12")

    def run(self, *options: str, given: bytes = b"") -> bytes:
        command = ["gpgsm", "--batch", *options]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | {"GNUPGHOME": str(self.folder)},
            input=given,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr.decode())
        return done.stdout

    def with_password(self, *options: str) -> bytes:
        return self.run("--pinentry-mode", "loopback", "--passphrase-fd", "0", *options, given=b"test\n")

    def close(self) -> None:
        environment = os.environ | {"GNUPGHOME": str(self.folder)}
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, timeout=30, check=False)


@pytest.fixture(scope="module")
def gpgsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpgsm]:
    one = Gpgsm(tmp_path_factory.mktemp("gpg"))
    yield one
    one.close()


def test_it_opens_what_we_seal(gpgsm: Gpgsm) -> None:
    # Version 2.2 has neither private keys on curves nor AuthEnvelopedData.
    octets = seal_enveloped(CONTENT, [recipient(certificate("rsa"))], AES256_CBC, SystemChance())
    (gpgsm.folder / "message").write_bytes(octets)
    assert gpgsm.with_password("--decrypt", "message") == CONTENT


def test_we_open_what_it_seals(gpgsm: Gpgsm) -> None:
    octets = gpgsm.run("--encrypt", "-r", "rsa@corp.example", "content")
    keys = DecryptionKeys([DecryptionKey.of(certificate("rsa"), private_key("rsa"))])
    found = open_enveloped(octets, keys, SystemChance())
    assert (found.finding, found.content) == (None, CONTENT)


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384"])  # Of P-521 it says that 521 is no multiple of 8.
def test_it_verifies_what_we_sign(gpgsm: Gpgsm, kind: str) -> None:
    octets = sign(CONTENT, [Signer.of(certificate(kind), private_key(kind))], now=NOW)
    (gpgsm.folder / "signature").write_bytes(octets)
    assert b"[GNUPG:] GOODSIG" in gpgsm.run("--status-fd", "1", "--verify", "signature", "content")


@pytest.mark.parametrize("digest", ["SHA1", "SHA256", "SHA512"])
def test_we_verify_what_it_signs(gpgsm: Gpgsm, digest: str) -> None:
    for detached in ((), ("--detach-sign",)):
        options = ("--sign", *detached, "--digest-algo", digest, "-u", "rsa@corp.example", "content")
        found = read_signed(gpgsm.with_password(*options), CONTENT if detached else None)
        (one,) = found.signers
        assert one.status is (SignatureStatus.WEAK if digest == "SHA1" else SignatureStatus.GOOD)
        assert one.certificate == certificate("rsa")
