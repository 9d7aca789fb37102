"""Every message of others, sealed and opened, is the same: whatever stands in it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.rights.job import Job
from gateway.rights.opening import open_rpmsg
from gateway.rights.pem_tenant import PemTenant
from gateway.rights.sealing import Forms, seal
from gateway.rights.template import DO_NOT_FORWARD
from gateway.world.chance import SystemChance
from tests.fakes import mail_keys

NOW = 1_780_000_000.0
FORMS = Forms()
READERS = ("otto@partner.example", "anna@else.example")


@pytest.fixture(scope="module")
def tenant() -> PemTenant:
    key = mail_keys.private_key("rsa")
    return PemTenant([key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())])


def sealed(octets: bytes, tenant: PemTenant) -> bytes:
    job = Job(
        owner="ida@corp.example",
        readers=READERS,
        template=DO_NOT_FORWARD,
        issued=NOW,
        expires=None,
        url="https://portal.corp.example",
        body=("a text", "<p>a text</p>"),
    )
    return seal(octets, job, tenant, SystemChance(), FORMS).rpmsg


def nobody(work: UUID, address: str) -> bool:
    return False


@pytest.mark.parametrize("folder", ["mime", "smime"])
def test_what_others_wrote_comes_out_octet_for_octet(corpus: Path, tenant: PemTenant, folder: str) -> None:
    files = [one for one in sorted((corpus / folder).rglob("*")) if one.is_file()]
    if not files:
        pytest.skip(f"there are no messages in {corpus / folder}")
    changed = []
    for file in files:
        octets = file.read_bytes()
        found = open_rpmsg(sealed(octets, tenant), tenant, principal=READERS[1], now=NOW + 60, is_revoked=nobody)
        if found.original != octets or found.is_built or found.rights != DO_NOT_FORWARD.rights:
            changed.append(file.name)
    assert changed == []


@pytest.mark.parametrize("octets", [b"", b"\n", b"a\0b\nno end", b"\r\n.\r\n", bytes(range(256)) * 20, b"x" * 4096 * 3])
def test_so_does_what_nobody_would_write(octets: bytes, tenant: PemTenant) -> None:
    found = open_rpmsg(sealed(octets, tenant), tenant, principal=READERS[0], now=NOW + 60, is_revoked=nobody)
    assert found.original == octets
