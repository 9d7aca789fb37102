"""`gateway smime open|seal` on the command line: no settings, no running gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.smime.certificate_file import MAX_FILE
from tests.fakes import mail_keys
from tests.fakes.smime_messages import HEAD, MESSAGE, TEXT, encrypted, signed

PASSWORD = "a secret word"


class Desk:
    """A folder with a message, keys, and what the commands say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        for kind in ("rsa", "p256", "ed25519"):
            one = mail_keys.certificate(kind)
            (self.folder / f"{kind}.pem").write_bytes(mail_keys.pem(one))
            (self.folder / f"{kind}.key").write_bytes(mail_keys.pkcs8(kind))
            self.write_p12(kind, PASSWORD)
        (self.folder / "ca.pem").write_bytes(mail_keys.pem(mail_keys.authority()))
        self.put(MESSAGE)

    def write_p12(self, kind: str, password: str | None, name: str | None = None) -> None:
        protection = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        key, one = mail_keys.private_key(kind), mail_keys.certificate(kind)
        octets = serialize_key_and_certificates(kind.encode(), key, one, [mail_keys.authority()], protection)
        (self.folder / (name or f"{kind}.p12")).write_bytes(octets)

    def put(self, message: bytes) -> None:
        (self.folder / "message.eml").write_bytes(message)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def run(self, verb: str, *arguments: str, typed: bytes | None = None) -> tuple[int, bytes, str]:
        """`message.eml` is the file; names of this folder's files are found there."""
        named = [str(self.folder / one) if (self.folder / one).is_file() else one for one in arguments]
        ended = CliRunner().invoke(app, ["smime", verb, *named], input=typed)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return ended.exit_code, ended.stdout_bytes, ended.stderr

    def open(self, *arguments: str, typed: bytes | None = None) -> tuple[int, Any, str]:
        """With --json: the layers."""
        code, out, err = self.run("open", "message.eml", *arguments, "--json", typed=typed)
        return code, json.loads(out)["layers"] if out else None, err

    def seal(self, *arguments: str, typed: bytes | None = None) -> bytes:
        code, out, err = self.run("seal", "message.eml", *arguments, typed=typed)
        assert (code, err) == (0, "")
        return out


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    Desk(folder).fill()
    return folder


@pytest.fixture
def desk(filled: Path, tmp_path: Path) -> Desk:
    return Desk(Path(shutil.copytree(filled, tmp_path / "desk")))


KEY = ("--p12", "rsa.p12", "--password", PASSWORD)
ENVELOPED = {"layer": "enveloped", "ok": True, "recipient": "rsa@corp.example", "algorithm": "aes256-cbc"}
SIGNED = {"layer": "signed", "status": "good", "signer": "rsa@corp.example", "reason": None}


# -- open -------------------------------------------------------------------------------------------------------------


def test_layers_are_told_outermost_first(desk: Desk) -> None:
    desk.put(signed(encrypted(signed())))
    code, layers, err = desk.open(*KEY, "--trust", "ca.pem")
    assert (code, layers, err) == (0, [SIGNED, ENVELOPED, SIGNED], "")


def test_the_message_as_its_reader_sees_it_is_written(desk: Desk) -> None:
    desk.put(encrypted())
    out = desk.folder / "out.eml"
    code, _, _ = desk.open(*KEY, "--out", str(out))
    assert (code, out.read_bytes()) == (0, MESSAGE)
    assert out.stat().st_mode & 0o777 == 0o600
    assert desk.run("open", "message.eml", *KEY, "--out", "-")[1] == MESSAGE


def test_a_signature_without_trust_is_bad(desk: Desk) -> None:
    desk.put(signed())
    code, layers, _ = desk.open()
    assert (code, layers) == (1, [SIGNED | {"status": "bad", "reason": "certificate-not-trusted"}])


def test_a_closed_layer_carries_its_reason(desk: Desk) -> None:
    desk.put(encrypted(MESSAGE, "p256"))
    code, layers, err = desk.open(*KEY, "--out", str(desk.folder / "out.eml"))
    assert code == 1
    assert layers == [ENVELOPED | {"ok": False, "recipient": None, "reason": "no-recipient-of-ours"}]
    assert "not written" in err
    assert not (desk.folder / "out.eml").exists()


def test_several_keys_have_a_password_each(desk: Desk) -> None:
    desk.put(encrypted(MESSAGE, "p256"))
    desk.write_p12("p256", "another", "other.p12")
    both = ("--p12", "rsa.p12", "--password", PASSWORD, "--p12", "other.p12", "--password", "another")
    assert desk.open(*both)[0] == 0
    assert desk.open(*KEY, "--p12", "p256.p12")[0] == 0  # One password for both.


def test_people_read_a_table(desk: Desk) -> None:
    desk.put(encrypted(signed()).replace(b"rsa@corp.example", b"boss@corp.example"))
    code, out, err = desk.run("open", "message.eml", *KEY, "--trust", "ca.pem")
    lines = [line.split() for line in out.decode().splitlines()]
    assert code == 1
    assert lines[2][:4] == ["encrypted", "opened", "rsa@corp.example", "aes256-cbc"]
    assert lines[3][:4] == ["signed", "bad", "rsa@corp.example", "-"]
    assert "the signer is not who the message is from" in out.decode()
    assert err == ""


def test_a_message_without_layers_is_a_no(desk: Desk) -> None:
    code, layers, err = desk.open("--out", str(desk.folder / "out.eml"))
    assert (code, layers) == (1, [])
    assert err.endswith("message.eml: is neither signed nor encrypted\n")
    assert not (desk.folder / "out.eml").exists()


def test_a_file_with_lone_line_feeds_is_read(desk: Desk) -> None:
    desk.put(signed().replace(b"\r\n", b"\n"))
    assert desk.open("--trust", "ca.pem")[0] == 0


def test_a_bare_cms_object_is_opened(desk: Desk) -> None:
    desk.put(encrypted())
    subprocess.run(
        ["openssl", "cms", "-cmsout", "-in", "message.eml", "-outform", "DER", "-out", "message.p7m"],
        cwd=desk.folder,
        check=True,
    )
    code, out, _ = desk.run("open", "message.p7m", *KEY, "--json")
    assert (code, json.loads(out)) == (0, {"layers": [ENVELOPED]})


def test_standard_input_is_a_file_too(desk: Desk) -> None:
    code, out, _ = desk.run("open", "-", *KEY, "--json", typed=encrypted())
    assert (code, json.loads(out)) == (0, {"layers": [ENVELOPED]})


# -- keys and passwords -----------------------------------------------------------------------------------------------


def test_a_password_comes_on_standard_input(desk: Desk) -> None:
    desk.put(encrypted())
    assert desk.open("--p12", "rsa.p12", "--password-stdin", typed=PASSWORD.encode() + b"\n")[0] == 0


def test_an_empty_password_is_a_password(desk: Desk) -> None:
    desk.put(encrypted())
    for name, arguments in (("empty", ["-passout", "pass:"]), ("none", ["-passout", "pass:", "-nomac"])):
        command = ["openssl", "pkcs12", "-export", "-inkey", "rsa.key", "-in", "rsa.pem", "-out", f"{name}.p12"]
        subprocess.run([*command, *arguments], cwd=desk.folder, check=True, capture_output=True)
        assert desk.open("--p12", f"{name}.p12", "--password", "")[0] == 0
        assert desk.open("--p12", f"{name}.p12", "--password-stdin", typed=b"\n")[0] == 0
        assert desk.open("--p12", f"{name}.p12")[0] == 0


@pytest.mark.parametrize("cipher", ["PBE-SHA1-RC2-40", "PBE-SHA1-3DES", "AES-256-CBC"])
def test_old_files_are_read(desk: Desk, cipher: str) -> None:
    desk.put(encrypted())
    command = ["openssl", "pkcs12", "-export", "-legacy", "-inkey", "rsa.key", "-in", "rsa.pem", "-out", "old.p12"]
    how = ["-certpbe", cipher, "-keypbe", cipher if "RC2" not in cipher else "PBE-SHA1-3DES", "-passout", "pass:x"]
    subprocess.run([*command, *how, "-macalg", "sha1"], cwd=desk.folder, check=True, capture_output=True)
    assert desk.open("--p12", "old.p12", "--password", "x")[0] == 0


@pytest.mark.parametrize("password", [None, "wrong", ""])
def test_a_password_that_does_not_fit_is_told(desk: Desk, password: str | None) -> None:
    desk.put(encrypted())
    given = () if password is None else ("--password", password)
    code, layers, err = desk.open("--p12", "rsa.p12", *given)
    assert (code, layers) == (1, None)
    assert "rsa.p12: found a PKCS#12 file" in err
    assert "password" in err
    assert PASSWORD not in err


def test_a_key_and_its_certificate_may_lie_in_two_files(desk: Desk) -> None:
    desk.put(encrypted())
    assert desk.open("--p12", "rsa.key", "--p12", "rsa.pem")[0] == 0
    code, _, err = desk.open("--p12", "rsa.key")
    assert code == 1
    assert "rsa.key: found a private key without its certificate" in err
    code, _, err = desk.open("--p12", "rsa.pem")
    assert code == 1
    assert "rsa.pem: found no private key" in err


def test_files_that_hold_nothing_are_named(desk: Desk) -> None:
    (desk.folder / "odd.bin").write_bytes(b"nothing of the kind")
    desk.put(encrypted())
    for option in ("--p12", "--trust"):
        code, _, err = desk.open(option, "odd.bin")
        assert code == 1
        assert "odd.bin: found" in err
        assert "right would be" in err
    code, _, err = desk.open("--trust", "nowhere.pem")
    assert (code, err) == (1, "gateway: nowhere.pem: No such file or directory\n")


def test_line_feeds_of_binary_content_are_content(desk: Desk) -> None:
    head, _, body = encrypted(MESSAGE + b"amber\r\n" * 2000).partition(b"\r\n\r\n")
    der = b64decode(body)
    assert b"\n" in der.replace(b"\r\n", b"")
    desk.put(head.replace(b"Encoding: base64", b"Encoding: binary") + b"\r\n\r\n" + der)
    assert desk.open(*KEY)[0] == 0


def test_a_file_without_end_is_not_read_to_its_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "large.pem").write_bytes(b" " * (MAX_FILE + 1))
    code, _, err = desk.open("--trust", "large.pem")
    assert code == 1
    assert f"right would be a file of at most {MAX_FILE}" in err
    monkeypatch.setattr("gateway.cli.smime.MAX_MESSAGE", 100)
    code, _, err = desk.open()
    assert code == 1
    assert "right would be one of at most 100 octets" in err


@pytest.mark.parametrize(("typed", "words"), [(b"\xff\n", "not UTF-8"), (b"x" * 5000, "more than a password")])
def test_a_password_is_a_line_of_text(desk: Desk, typed: bytes, words: str) -> None:
    code, _, err = desk.open("--p12", "rsa.p12", "--password-stdin", typed=typed)
    assert code == 2
    assert words in " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("open", "message.eml", "--json", "--out", "-"),
        ("open", "message.eml", "--password", "x"),
        ("open", "message.eml", "--p12", "rsa.p12", "--password", "x", "--password-stdin"),
        ("open", "-", "--p12", "rsa.p12", "--password-stdin"),
        ("seal", "message.eml"),
        ("seal", "message.eml", "rsa.pem"),
        ("seal", "message.eml", "--to", "rsa.pem", "--opaque"),
        ("seal", "message.eml", "--to", "rsa.pem", "--cipher", "des"),
        ("seal", "message.eml", "--sign", "rsa.p12", "--cipher", "aes256-gcm"),
        ("seal", "message.eml", "--to", "rsa.pem", "--password", "x"),
    ],
)
def test_wrong_use_is_told(desk: Desk, arguments: tuple[str, ...]) -> None:
    code, out, err = desk.run(*arguments)
    assert (code, out) == (2, b"")
    assert "Error" in err


# -- seal -------------------------------------------------------------------------------------------------------------


def test_what_was_sealed_is_opened(desk: Desk) -> None:
    sealed = desk.seal("--to", "rsa.pem", "--sign", "p256.p12", "--password", PASSWORD)
    desk.put(sealed)
    code, layers, _ = desk.open(*KEY, "--trust", "ca.pem")
    assert code == 1  # The message says to be from RSA, and P-256 signed.
    assert layers == [ENVELOPED, SIGNED | {"status": "bad", "signer": "p256@corp.example", "reason": "signer-mismatch"}]


def test_openssl_opens_what_was_sealed_for_several(desk: Desk) -> None:
    for people in (("--to", "rsa.pem", "--to", "p256.pem"), ("--to", "rsa.pem", "p256.pem")):
        desk.put(MESSAGE)
        desk.put(desk.seal(*people, "--cipher", "aes256-gcm"))
        for kind in ("rsa", "p256"):
            command = ["openssl", "cms", "-decrypt", "-in", "message.eml", "-recip", f"{kind}.pem", "-inkey"]
            done = subprocess.run([*command, f"{kind}.key"], cwd=desk.folder, check=True, capture_output=True)
            assert done.stdout == TEXT.partition(b"\r\n")[2]


def test_a_clear_and_an_opaque_signature(desk: Desk) -> None:
    clear = desk.seal("--sign", "rsa.p12", "--password", PASSWORD)
    opaque = desk.seal("--sign", "rsa.key", "--sign", "rsa.pem", "--opaque")
    assert (b"the amber lantern" in clear, b"the amber lantern" in opaque) == (True, False)
    for sealed in (clear, opaque):
        desk.put(sealed)
        assert desk.open("--trust", "ca.pem")[:2] == (0, [SIGNED])


def test_a_file_is_written_for_oneself_alone(desk: Desk) -> None:
    out = desk.folder / "sealed.eml"
    assert desk.run("seal", "message.eml", "--to", "rsa.pem", "--out", str(out)) == (0, b"", "")
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.read_bytes().startswith(HEAD)


def test_nothing_is_sealed_for_a_key_that_signs_alone(desk: Desk) -> None:
    code, out, err = desk.run("seal", "message.eml", "--to", "ed25519.pem")
    assert (code, out) == (1, b"")
    assert "ed25519.pem: found CN=ed25519, certificate-not-for-encryption" in err


def test_nobody_signs_with_a_key_that_only_opens(desk: Desk) -> None:
    pem = mail_keys.pem(mail_keys.certificate("x25519")) + mail_keys.pkcs8("x25519")
    (desk.folder / "x25519.pem").write_bytes(pem)
    code, out, err = desk.run("seal", "message.eml", "--sign", "x25519.pem")
    assert (code, out) == (1, b"")
    assert "CN=x25519: found certificate-not-for-signing" in err


def test_nothing_is_sealed_where_one_of_several_can_t_have_it(desk: Desk) -> None:
    code, out, _ = desk.run("seal", "message.eml", "--to", "rsa.pem", "--to", "ed25519.pem")
    assert (code, out) == (1, b"")
