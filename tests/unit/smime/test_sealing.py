"""Messages under S/MIME, as others read them: `openssl cms` opens and verifies what we write."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from gateway.smime.entity import clear_signed, entity_of, split
from tests.fakes import mail_keys
from tests.fakes.smime_messages import AES256_CBC, AES256_GCM, HEAD, MESSAGE, TEXT, encrypted, opened, signed, told

EIGHT_BIT = HEAD + (
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Gr\xc3\xbc\xc3\x9fe aus einem Haus, in dem die Laterne brennt\r\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("rsa", "p256"):
        (folder / f"{kind}.pem").write_bytes(mail_keys.pem(mail_keys.certificate(kind)) + mail_keys.pkcs8(kind))
    (folder / "ca.pem").write_bytes(mail_keys.pem(mail_keys.authority()))
    return folder


def openssl(folder: Path, message: bytes, *arguments: str) -> bytes:
    """What `openssl cms` makes of a message; its complaint where it says no."""
    done = subprocess.run(
        ["openssl", "cms", *arguments, "-inform", "SMIME"], input=message, capture_output=True, cwd=folder, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def decrypted(folder: Path, message: bytes, kind: str = "rsa") -> bytes:
    return openssl(folder, message, "-decrypt", "-recip", f"{kind}.pem")


def verified(folder: Path, message: bytes) -> bytes:
    return openssl(folder, message, "-verify", "-CAfile", "ca.pem", "-purpose", "any")


def entity(message: bytes) -> bytes:
    """The MIME entity of a message: the fields that describe it, and its body."""
    parts = split(message)
    return parts.inner + b"\r\n" + message[parts.body :]


def header(message: bytes) -> bytes:
    return split(message).outer


def longest_line(message: bytes) -> int:
    return max(map(len, message.split(b"\r\n")))


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_openssl_decrypts_to_the_octets_that_were_encrypted(folder: Path, kind: str) -> None:
    message = encrypted(MESSAGE, "rsa", "p256")
    assert decrypted(folder, message, kind) == entity(MESSAGE)


def test_openssl_verifies_a_clear_signature(folder: Path) -> None:
    assert verified(folder, signed()) == entity(MESSAGE)


def test_openssl_verifies_an_opaque_signature(folder: Path) -> None:
    assert verified(folder, signed(opaque=True)) == entity(MESSAGE)


def test_signed_and_then_encrypted_opens_in_that_order(folder: Path) -> None:
    message = encrypted(signed())
    assert verified(folder, decrypted(folder, message)) == entity(MESSAGE)
    assert told(opened(message)) == ["enveloped", "good rsa@corp.example"]


def test_the_header_stays_as_it_was_but_for_the_fields_of_the_entity() -> None:
    fields = (
        b"Received: from a\r\n\tby b\r\nfrom: x@corp.example\r\nX-Odd : one\r\nContent-Type:\r\n text/plain\r\n"
        b"MIME-Version: 1.0 (as it came)\r\nSUBJECT:folded\r\n twice\r\nContent-Language: de\r\n"
    )
    for sealed in (encrypted(fields + b"\r\nx\r\n"), signed(fields + b"\r\nx\r\n")):
        assert header(sealed) == header(fields + b"\r\n")
        assert b"Content-Language" not in sealed.partition(b"\r\n\r\n")[0]
    assert header(fields) == (
        b"Received: from a\r\n\tby b\r\nfrom: x@corp.example\r\nX-Odd : one\r\nMIME-Version: 1.0 (as it came)\r\n"
        b"SUBJECT:folded\r\n twice\r\n"
    )


@pytest.mark.parametrize(
    "message", [HEAD + b"the amber lantern\r\nX: y\r\n", HEAD + b"\nthe amber lantern\n", b"the amber lantern", b"\r"]
)
def test_text_behind_no_empty_line_does_not_stay_outside(message: bytes) -> None:
    """Found by the fuzz target: what a reader takes for text left in clear, as if it were a part of the header."""
    sealed = encrypted(message)
    assert b"amber" not in sealed
    assert told(opened(sealed)) == ["enveloped" if b"\r" != message else "closed content-broken"]
    assert told(opened(signed(message))) == ["good rsa@corp.example"]


def test_nothing_of_the_body_stays_outside() -> None:
    message = MESSAGE.replace(b"MIME-Version", b"Content-Description: amber plans\r\nMIME-Version")
    sealed = encrypted(message)
    assert b"amber" not in sealed
    assert b"amber plans" in (opened(sealed).octets or b"")


def test_a_message_without_mime_becomes_one_of_text(folder: Path) -> None:
    sealed = encrypted(HEAD + b"\r\nplain\r\n")
    assert header(sealed) == HEAD + b"MIME-Version: 1.0\r\n"
    assert b"\r\nMIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data;\r\n" in sealed
    assert decrypted(folder, sealed) == b"Content-Type: text/plain\r\n\r\nplain\r\n"


@pytest.mark.parametrize("message", [HEAD, HEAD[:-2], HEAD + b"\r\n", b"\r\nbody", b"", b"no header"])
def test_odd_messages_are_sealed_whole(folder: Path, message: bytes) -> None:
    for sealed in (encrypted(message), signed(message)):
        assert told(opened(sealed))[0] in (
            "enveloped",
            "good rsa@corp.example",
            "good rsa@corp.example signer-mismatch",
        )
    assert decrypted(folder, encrypted(message)).endswith(message[split(message).body :])


@pytest.mark.parametrize(
    ("cipher", "kind"), [(AES256_CBC, b"smime-type=enveloped-data"), (AES256_GCM, b"smime-type=authEnveloped-data")]
)
def test_the_type_says_what_is_inside(folder: Path, cipher: object, kind: bytes) -> None:
    sealed = encrypted(MESSAGE, cipher=cipher)  # type: ignore[arg-type]
    assert b"application/pkcs7-mime; " + kind in sealed
    assert b'\r\n name="smime.p7m"\r\n' in sealed
    assert decrypted(folder, sealed) == entity(MESSAGE)


def test_no_line_is_longer_than_76(folder: Path) -> None:
    """smime-04: readers refuse a signature in one line of base64."""
    message = HEAD + TEXT + b"amber\r\n" * 3000
    assert longest_line(encrypted(message)) == longest_line(signed(message, opaque=True)) == 76
    assert longest_line(signed(message)) == 76


def test_signatures_are_clear_unless_asked_otherwise() -> None:
    """smime-01: Outlook does not open an opaque signature."""
    sealed = signed(MESSAGE, "p384")
    kind = b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n micalg=sha-384; boundary="'
    assert kind in sealed
    assert b"the amber lantern\r\n" in sealed
    assert b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n' in sealed
    assert b"smime-type=signed-data" in signed(opaque=True)


def test_several_signers_name_all_their_digests(folder: Path) -> None:
    sealed = signed(MESSAGE, "rsa", "p384", "p256")
    assert b'micalg="sha-256,sha-384";' in sealed  # A comma is no letter of a word (RFC 2045 5.1).
    names = ("p256", "p384", "rsa")
    assert sorted(told(opened(sealed))) == [f"good {name}@corp.example" for name in names]
    assert verified(folder, sealed) == entity(MESSAGE)


def test_eight_bits_are_encoded_before_they_are_signed(folder: Path) -> None:
    """smime-03: what is signed is what is sent, and nobody on the way has a reason to encode it."""
    sealed = signed(EIGHT_BIT)
    assert sealed.isascii()
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" in verified(folder, sealed)
    assert b"Gr=C3=BC=C3=9Fe aus" in sealed


def test_a_foreign_signature_inside_is_not_converted(folder: Path) -> None:
    inner = signed(MESSAGE).replace(b"the amber lantern", b"the \xe4mber lantern")
    assert b"\xe4mber" in verified(folder, signed(inner))


def test_encrypted_eight_bits_stay_as_they_are(folder: Path) -> None:
    assert decrypted(folder, encrypted(EIGHT_BIT)) == entity(EIGHT_BIT)


def test_the_signature_covers_each_octet_that_is_sent() -> None:
    """The last line end in front of the delimiter is the delimiter's; a body may end without one, or with several."""
    for end in (b"", b"\r\n", b"\r\n\r\n", b"  \r\n"):
        message = MESSAGE.rstrip(b"\r\n") + end
        sealed = signed(message)
        parts = clear_signed(entity_of(sealed))
        assert parts is not None
        assert parts.signed == entity(message)
        assert told(opened(sealed)) == ["good rsa@corp.example"]


def test_lone_line_feeds_are_signed_as_they_will_arrive() -> None:
    sealed = signed(HEAD + TEXT + b"one\ntwo\r\n")
    assert b"\r\none\r\ntwo\r\n" in sealed
    assert told(opened(sealed)) == ["good rsa@corp.example"]


def test_the_boundary_is_not_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = re.search(rb'boundary="([^"]+)"', signed())
    assert seen is not None
    assert len(seen[1]) <= 70
    # Each number in front gives another one; the first that is asked for stands in the message here.
    from gateway.smime import sealing

    first = sealing._boundary(b"", b"a signature")
    assert sealing._boundary(b"x" + first + b"y", b"a signature") not in (b"", first)


def test_nobody_to_encrypt_for_is_refused() -> None:
    from gateway.smime.sealing import encrypt
    from tests.fakes.chance import FakeChance

    with pytest.raises(ValueError, match="recipient"):
        encrypt(MESSAGE, [], AES256_CBC, FakeChance())
