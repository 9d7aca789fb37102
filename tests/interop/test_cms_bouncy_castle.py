"""Bouncy Castle judges what Debian's OpenSSL can't: Ed25519 and Ed448; and writes CMS in ways of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.mail.opened import SignatureStatus
from gateway.smime.cms.algorithms import WRITTEN
from gateway.smime.cms.enveloped import open_enveloped, seal_enveloped
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from gateway.smime.cms.signed import read_signed
from gateway.smime.cms.signing import Signer, sign
from gateway.world.chance import SystemChance
from tests.fakes import mail_keys
from tests.fakes.mail_keys import SIGNING, certificate, private_key

CONTENT = b"Content-Type: text/plain\r\n\r\n" + b"the plain words\r\n" * 300
JARS = [Path("/usr/share/java") / f"{name}.jar" for name in ("bcprov", "bcpkix", "bcutil")]
SEALABLE = ("rsa", "p256", "p384", "p521")  # Its CMS knows no X25519.
SEALS = {"rsa": ("pkcs1", "oaep"), "p256": ("sha1", "sha256"), "p384": ("sha384",), "p521": ("sha512",)}
SIGNS = {
    "ed25519": ("Ed25519",),
    "ed448": ("Ed448",),
    "p256": ("SHA256withECDSA", "SHA3-256withECDSA"),
    "rsa": ("SHA256withRSA", "SHA3-256withRSA", "SHA256withRSAandMGF1", "SHA1withRSA"),
}

pytestmark = [
    pytest.mark.skipif(shutil.which("javac") is None, reason="there is no Java compiler here"),
    pytest.mark.skipif(not all(jar.exists() for jar in JARS), reason="there is no Bouncy Castle here"),
]


class Judge:
    """One Java process, which takes jobs as long as the tests last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for kind in {*SEALABLE, *SIGNING}:
            (folder / f"{kind}.cer").write_bytes(mail_keys.der(certificate(kind)))
            octets = private_key(kind).private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            (folder / f"{kind}.key").write_bytes(octets)
        (folder / "content").write_bytes(CONTENT)
        command = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, JARS))]
        source = Path(__file__).with_name("CmsJudge.java")
        self._java = subprocess.Popen(
            [*command, str(source)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def asked(self, *words: str) -> str:
        assert self._java.stdin is not None
        assert self._java.stdout is not None
        self._java.stdin.write("\t".join(words) + "\n")
        self._java.stdin.flush()
        return self._java.stdout.readline().strip()

    def close(self) -> None:
        self._java.communicate(timeout=20)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> object:
    one = Judge(tmp_path_factory.mktemp("bouncy-castle"))
    yield one
    one.close()


@pytest.mark.parametrize("cipher", WRITTEN)
@pytest.mark.parametrize("kind", [*SEALABLE, "oaep"])
def test_it_opens_what_we_seal(judge: Judge, kind: str, cipher: str) -> None:
    oaep = kind == "oaep"
    kind = "rsa" if oaep else kind
    recipients = [recipient(certificate(one), oaep=oaep) for one in (kind, "x25519")]
    (judge.folder / "sealed").write_bytes(seal_enveloped(CONTENT, recipients, WRITTEN[cipher], SystemChance()))
    assert judge.asked("open", f"{kind}.key", f"{kind}.cer", "sealed", "opened") == "ok"
    assert (judge.folder / "opened").read_bytes() == CONTENT


@pytest.mark.parametrize("cipher", ["cbc", "gcm"])
@pytest.mark.parametrize("kind", SEALS)
def test_we_open_what_it_seals(judge: Judge, kind: str, cipher: str) -> None:
    keys = DecryptionKeys([DecryptionKey.of(certificate(kind), private_key(kind))])
    for way in SEALS[kind]:
        assert judge.asked("seal", f"{kind}.cer", "content", "sealed", cipher, way) == "ok"
        found = open_enveloped((judge.folder / "sealed").read_bytes(), keys, SystemChance())
        assert (found.finding, found.content, found.algorithm) == (None, CONTENT, f"aes256-{cipher}")


@pytest.mark.parametrize("detached", [True, False], ids=["clear", "opaque"])
@pytest.mark.parametrize("kind", [*SIGNING, "pss"])
def test_it_verifies_what_we_sign(judge: Judge, kind: str, detached: bool) -> None:
    pss = kind == "pss"
    kind = "rsa" if pss else kind
    one = Signer.of(certificate(kind), private_key(kind), pss=pss)
    octets = sign(CONTENT, [one], now=time.time(), detached=detached)
    (judge.folder / "signed").write_bytes(octets)
    assert judge.asked("verify", "signed", "content" if detached else "-") == "ok"
    (judge.folder / "signed").write_bytes(octets[:-1] + bytes([octets[-1] ^ 1]))
    assert judge.asked("verify", "signed", "content" if detached else "-") != "ok"


@pytest.mark.parametrize("how", ["clear", "opaque"])
@pytest.mark.parametrize("kind", SIGNS)
def test_we_verify_what_it_signs(judge: Judge, kind: str, how: str) -> None:
    for algorithm in SIGNS[kind]:
        words = ("sign", f"{kind}.key", f"{kind}.cer", "content", "signed", algorithm, how)
        assert judge.asked(*words) == "ok"
        found = read_signed((judge.folder / "signed").read_bytes(), CONTENT if how == "clear" else None)
        (one,) = found.signers
        assert one.status is (SignatureStatus.WEAK if algorithm.startswith("SHA1") else SignatureStatus.GOOD)
        assert one.certificate == certificate(kind)
