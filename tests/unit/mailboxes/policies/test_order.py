"""The custodian's order: signed by one key, for one policy, and nothing in it can be changed."""

from __future__ import annotations

import subprocess
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.mailboxes.faults import PolicyRefused
from gateway.mailboxes.policies.order import (
    MAX_OCTETS,
    PURGE,
    Locked,
    Order,
    fingerprint,
    make_order,
    public_pem,
    read_order,
)
from tests.fakes.chance import FakeChance

NOW = 1_793_700_000.0
KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
}


def private(key: Any, passphrase: bytes | None = None) -> bytes:
    sealed = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    octets: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed)
    return octets


def public(key: Any) -> bytes:
    octets: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return octets


def order(kind: str = "ed25519", policy: str = "house") -> bytes:
    return make_order(PURGE, policy, private(KEYS[kind]), now=NOW, chance=FakeChance("order"))


@pytest.mark.parametrize("kind", KEYS)
def test_an_order_is_read_with_the_public_half_of_the_key_that_signed_it(kind: str) -> None:
    said = read_order(order(kind), public(KEYS[kind]))
    assert said == Order(action=PURGE, policy="house", made=NOW, nonce=said.nonce)
    assert len(said.nonce) == 32
    other = next(name for name in KEYS if name != kind)
    with pytest.raises(PolicyRefused, match=fingerprint(public(KEYS[other]))):
        read_order(order(kind), public(KEYS[other]))


def test_an_order_may_name_the_policy_s_id_and_no_other_kind_of_it() -> None:
    octets = make_order(PURGE, "house", private(KEYS["p256"]), policy_id=77, now=NOW, chance=FakeChance("order"))
    assert read_order(octets, public(KEYS["p256"])).policy_id == 77
    key = KEYS["ed25519"]
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    for wrong in ("x", "", "7.5"):
        file = orjson.loads(octets)
        file["order"]["policy_id"] = wrong
        signature = key.sign(orjson.dumps(file["order"], option=orjson.OPT_SORT_KEYS))
        file["signature"] = b64encode(signature).decode()
        with pytest.raises(PolicyRefused, match="lacks what it has to say"):
            read_order(orjson.dumps(file), public(key))


@pytest.mark.parametrize("member", ["version", "action", "policy", "policy_id", "made", "nonce"])
def test_nothing_in_an_order_can_be_changed_or_left_out(member: str) -> None:
    for change in (lambda said: said | {member: "9"}, lambda said: {k: v for k, v in said.items() if k != member}):
        bound = make_order(PURGE, "house", private(KEYS["ed25519"]), policy_id=7, now=NOW, chance=FakeChance("order"))
        file = orjson.loads(bound)
        file["order"] = change(file["order"])
        with pytest.raises(PolicyRefused, match="changed since"):
            read_order(orjson.dumps(file), public(KEYS["ed25519"]))


def test_nothing_can_be_added_to_an_order() -> None:
    file = orjson.loads(order())
    file["order"]["custodian"] = "0" * 64
    with pytest.raises(PolicyRefused):
        read_order(orjson.dumps(file), public(KEYS["ed25519"]))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"null",
        b'"order"',
        b'{"order": {}}',
        b'{"order": {}, "signature": 1}',
        b'{"order": {}, "signature": "?"}',
        b'{"order": [], "signature": ""}',
        b'{"order": {"a": {}}, "signature": ""}',
        b"[" * 5000,
        b"\xff\xfe",
        b"{" + b" " * MAX_OCTETS,
    ],
)
def test_what_is_no_order_is_refused(octets: bytes) -> None:
    with pytest.raises(PolicyRefused):
        read_order(octets, public(KEYS["ed25519"]))


def test_openssl_verifies_an_order(tmp_path: Path) -> None:
    """Nobody is his own judge: the octets that are signed are those that the file's form says."""
    file = orjson.loads(order("rsa"))
    (tmp_path / "said").write_bytes(orjson.dumps(file["order"], option=orjson.OPT_SORT_KEYS))
    (tmp_path / "signature").write_bytes(b64decode(file["signature"]))
    (tmp_path / "public.pem").write_bytes(public(KEYS["rsa"]))
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "said"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=20).returncode == 0


def test_a_private_key_under_a_passphrase_needs_it() -> None:
    pem = private(KEYS["p256"], b"a good long phrase")
    for passphrase in (None, b"another"):
        with pytest.raises(Locked):
            make_order(PURGE, "house", pem, passphrase=passphrase, now=NOW, chance=FakeChance())
    made = make_order(PURGE, "house", pem, passphrase=b"a good long phrase", now=NOW, chance=FakeChance())
    assert read_order(made, public(KEYS["p256"])).policy == "house"


def test_keys_that_are_too_weak_or_of_another_kind_are_refused() -> None:
    for key in (
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP256K1()),
        dsa.generate_private_key(1024),
    ):
        with pytest.raises(PolicyRefused, match="right would be"):
            make_order(PURGE, "house", private(key), now=NOW, chance=FakeChance())
        with pytest.raises(PolicyRefused, match="right would be"):
            public_pem(public(key))


def test_a_private_key_is_never_kept_in_the_place_of_a_public_one() -> None:
    with pytest.raises(PolicyRefused, match="belongs to the custodian alone"):
        public_pem(private(KEYS["ed25519"]))
    for text in (b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"x" * (MAX_OCTETS + 1)):
        with pytest.raises(PolicyRefused):
            public_pem(text)


def test_an_order_of_a_newer_gateway_is_refused_by_its_version() -> None:
    file = orjson.loads(order())
    file["order"]["version"] = 2
    key = KEYS["ed25519"]
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    signature = key.sign(orjson.dumps(file["order"], option=orjson.OPT_SORT_KEYS))
    file["signature"] = b64encode(signature).decode()
    with pytest.raises(PolicyRefused, match="newer gateway"):
        read_order(orjson.dumps(file), public(KEYS["ed25519"]))
