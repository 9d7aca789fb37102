"""Development certificates, judged by OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from gateway.app.devcerts import authority, server
from tests.fakes.chance import FakeChance

NOW = 1_793_700_000.0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("name", "holds"),
    [
        (("-verify_hostname", "localhost"), True),
        (("-verify_hostname", "mail.corp.example"), True),
        (("-verify_hostname", "else.example"), False),
        (("-verify_ip", "::1"), True),
        (("-verify_ip", "127.0.0.1"), True),
        (("-verify_ip", "127.0.0.2"), False),
    ],
)
def test_openssl_takes_chain_and_names(tmp_path: Path, name: tuple[str, str], holds: bool) -> None:
    issuer = authority(NOW, FakeChance())
    pair = server(issuer, ["localhost", "mail.corp.example", "127.0.0.1", "::1"], NOW, FakeChance("other"))
    (tmp_path / "ca.pem").write_bytes(issuer.certificate_pem)
    (tmp_path / "server.pem").write_bytes(pair.certificate_pem)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", f"{NOW:.0f}", *name]
    ended = subprocess.run(
        [*command, "-CAfile", tmp_path / "ca.pem", tmp_path / "server.pem"], capture_output=True, check=False
    )
    assert (ended.returncode == 0) is holds, ended.stderr


def test_two_authorities_have_two_names() -> None:
    chance = FakeChance()
    assert authority(NOW, chance).certificate.subject != authority(NOW, chance).certificate.subject


def test_the_server_certificate_may_sign_nothing() -> None:
    pair = server(authority(NOW, FakeChance()), ["localhost"], NOW, FakeChance())
    constraints = pair.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = pair.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not constraints.ca
    assert not usage.key_cert_sign


def test_no_key_stands_in_its_repr() -> None:
    pair = authority(NOW, FakeChance())
    assert repr(pair).startswith("Pair(CN=Gateway development CA ")
