"""Thunderbird's messages, made with NSS and OpenSSL: both columns of truth that come with them, and where we differ."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gateway.mail.opened import LayerKind, Opened, SignatureStatus
from gateway.smime.certificate_file import read
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys
from gateway.smime.entity import canonical
from gateway.smime.opening import open_message
from gateway.smime.trust import Trust
from tests.fakes.chance import FakeChance

WITHIN = 1_796_000_000.0  # November 2026: the certificates are valid from January 2026 to 2031.
OWNERS = ("Bob", "Fran", "Fran-ec")

# What Thunderbird says of the signature, where we say something else, and why. All others must be alike.
NESTED = "it shows a signature around another one as bad where either is clear; RFC 8551 3.7 allows any nesting"
INSIDE = "it shows no signature around encryption; we do (RFC 8551 3.7), and say by whom"
BELOW = "the signature inside is bad, which is told of that one; the outer one holds"
LATE = "the Date field is six hours from the signing time; what holds a message up is no forgery"
DIFFERENT = {
    "alice.future.dsig.SHA256.multipart.eml": LATE,
    **{
        f"alice.env.{inner}.SHA{bits}.{form}.eml": INSIDE
        for bits in (1, 256, 512)
        for inner, form in (("sig", "opaque"), ("dsig", "multipart"))
    },
    "outer-smime-bad-sig-inner-smime-enc.eml": INSIDE,
    "alice.dsig.SHA256.multipart.env.dsig.eml": "it tells the innermost signature alone; the outermost is bad",
    **{f"alice.env.dsig.SHA{bits}.multipart.dave.sig.SHA{bits}.opaque.eml": BELOW for bits in (256, 512)},
    **{
        f"alice.plain.{inner}.SHA{bits}.{inner_form}.dave.{outer}.SHA{bits}.{outer_form}.eml": NESTED
        for bits in (256, 512)
        for inner, inner_form in (("sig", "opaque"), ("dsig", "multipart"))
        for outer, outer_form in (("sig", "opaque"), ("dsig", "multipart"))
        if "dsig" in (inner, outer)
    },
}


@pytest.fixture(scope="module")
def folder(corpus: Path) -> Path:
    found = corpus / "smime/thunderbird"
    if not found.is_dir():
        pytest.skip(f"{found} is not there")
    return found


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Opened]:
    """What we say of each message."""
    keys = []
    for owner in OWNERS:
        (identity,) = read((folder / f"{owner}.p12").read_bytes(), "nss").identities
        keys.append(DecryptionKey.of(identity.certificate.x509, identity.key))
    trust = Trust(read((folder / "TestCA.pem").read_bytes()).all)
    return {
        row["file"]: open_message(
            canonical((folder / row["file"]).read_bytes()), DecryptionKeys(keys), trust, WITHIN, FakeChance()
        )
        for row in rows(folder)
    }


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "expected.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_each_layer_is_what_openssl_says(folder: Path, found: dict[str, Opened]) -> None:
    """Its `ok` is good or weak here: SHA-1 holds, and proves nothing."""
    wanted = {row["file"]: row["openssl_layers"].lower() for row in rows(folder)}
    assert {name: " > ".join(_layers(opened)) for name, opened in found.items()} == wanted


def _layers(opened: Opened) -> list[str]:
    names = []
    for layer in opened.layers:
        if layer.kind is LayerKind.ENVELOPED:
            owner = (layer.recipient or "").partition("@")[0]
            names.append(f"enc:{owner}" if layer.ok else f"closed:{layer.reason}")
        else:
            names.append("sig:bad" if layer.status is SignatureStatus.BAD else "sig:ok")
    return names


def test_sha_1_is_weak(found: dict[str, Opened]) -> None:
    for name, opened in found.items():
        if "SHA1" in name:
            signed = [layer.status for layer in opened.layers if layer.kind is LayerKind.SIGNED]
            assert SignatureStatus.GOOD not in signed, name


def test_the_text_inside_is_found_wherever_thunderbird_finds_it(folder: Path, found: dict[str, Opened]) -> None:
    for row in rows(folder):
        octets = found[row["file"]].octets
        assert row["text_inside"].encode() in (octets or b""), row["file"]


def test_signatures_are_good_where_thunderbird_says_so_but_for_these(folder: Path, found: dict[str, Opened]) -> None:
    differing = set()
    for row in rows(folder):
        signed = [layer for layer in found[row["file"]].layers if layer.kind is LayerKind.SIGNED]
        ours = "none" if not signed else "good" if signed[0].status is SignatureStatus.GOOD else "bad"
        if ours != row["thunderbird_signature"]:
            differing.add(row["file"])
        elif row["signer"] and signed[0].signer is not None:
            assert signed[0].signer.partition("@")[0] == row["signer"].lower()
    assert differing == set(DIFFERENT)


def test_what_a_list_wrapped_is_no_signed_message(folder: Path) -> None:
    for name in ("alice.dsig.SHA256.multipart.in.mixed.eml", "alice.dsig.SHA256.multipart.in.mixed.with.header.eml"):
        message = canonical((folder / name).read_bytes())
        assert open_message(message, DecryptionKeys(), Trust(), WITHIN, FakeChance()).layers == ()


@pytest.mark.parametrize("place", range(-900, -40, 60))
def test_no_changed_octet_of_an_encrypted_message_is_shown(folder: Path, place: int) -> None:
    message = bytearray(canonical((folder / "alice.env.eml").read_bytes()))
    place += len(message)
    message[place] = ord("A") if message[place] != ord("A") else ord("B")
    (identity,) = read((folder / "Bob.p12").read_bytes(), "nss").identities
    keys = DecryptionKeys([DecryptionKey.of(identity.certificate.x509, identity.key)])
    opened = open_message(bytes(message), keys, Trust(), WITHIN, FakeChance())
    assert [layer.ok for layer in opened.layers] == [False]
    assert opened.octets is None
