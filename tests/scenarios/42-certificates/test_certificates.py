"""Certificates of a partner and of ours, from file to process and back."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.app.console import ConsoleFault
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.search import needles, search
from tests.scenarios.peers.smime import PASSWORD, People, Person

IDA, OTTO, ANNA = "ida.vertraulich@corp.example", "otto.geheimnis@partner.example", "anna.verschwiegen@partner.example"


def p12_of(folder: Path, octets: bytes, password: str) -> str:
    """What `openssl pkcs12` says of a file."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    file = folder / "given.p12"
    file.write_bytes(octets)
    command = [program, "pkcs12", "-in", str(file), "-passin", f"pass:{password}", "-nodes"]
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=30).stdout


def codes(gateway: Gateway) -> list[str]:
    return [one["code"] for one in gateway.ask("status")["warnings"]]


def known(gateway: Gateway) -> list[str]:
    """Whose certificates there are, as `list` has them."""
    return sorted(address for one in gateway.ask("certificate.list") for address in one["addresses"])


def brings(gateway: Gateway, file: Path, password: str | None = None) -> dict[str, Any]:
    """What the command line asks for `import`."""
    octets = b64encode(file.read_bytes()).decode()
    answer: dict[str, Any] = gateway.ask("certificate.import", octets=octets, file=file.name, password=password)
    return answer


def refused(gateway: Gateway, command: str, **arguments: Any) -> str:
    with pytest.raises(ConsoleFault) as caught:
        gateway.ask(command, **arguments)
    return str(caught.value)


def test_certificates_from_file_to_process_and_back(make_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    people = People(tmp_path / "people")
    ida, otto, anna = people.person(IDA, days=300), people.person(OTTO, days=300), people.person(ANNA, days=20)
    gateway = make_gateway(ANCHORS="")
    assert known(gateway) == []
    before_it_serves(gateway, otto, tmp_path)
    gateway.start()
    assert known(gateway) == [OTTO]
    while_it_serves(gateway, ida, anna)
    nothing_is_readable(gateway, ida)
    the_key_comes_back(gateway, tmp_path)
    anchors_are_judged(gateway, people.ca)
    what_is_removed_is_gone(gateway)
    assert gateway.stop() == 0


def before_it_serves(gateway: Gateway, otto: Person, folder: Path) -> None:
    letter = folder / "letter.txt"
    letter.write_text("Dear Ida")
    with pytest.raises(ConsoleFault, match=r"letter\.txt: found neither PEM nor DER"):
        brings(gateway, letter)
    done = gateway.run("certificate", "import", str(otto.certificate))
    assert (done.returncode, OTTO in done.stdout) == (0, True), done.stderr


def while_it_serves(gateway: Gateway, ida: Person, anna: Person) -> None:
    assert "smime_certificate_expires" not in codes(gateway)
    brings(gateway, anna.certificate)
    assert "smime_certificate_expires" in codes(gateway)
    with pytest.raises(ConsoleFault, match="no password"):
        brings(gateway, ida.p12)
    with pytest.raises(ConsoleFault, match="this password does not open"):
        brings(gateway, ida.p12, "falsch")
    done = gateway.run("certificate", "import", str(ida.p12), "--password-stdin", stdin=f"{PASSWORD}\n")
    assert (done.returncode, "encrypting, opening, signing" in done.stdout) == (0, True), done.stderr
    assert known(gateway) == sorted([ANNA, IDA, OTTO])
    assert [one["private_key"] for one in gateway.ask("certificate.show", name=IDA)] == [True]


def nothing_is_readable(gateway: Gateway, ida: Person) -> None:
    key = load_pem_private_key(ida.key.read_bytes(), None)
    secret = key.private_numbers().d.to_bytes(256)  # type: ignore[union-attr]
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    words = ["ida.vertraulich", "otto.geheimnis", "anna.verschwiegen", "People CA"]
    wanted = needles(words, {"private exponent": secret, "private key": pkcs8})
    assert search(gateway.folder / "data", wanted) == []
    assert not any(word in gateway.log for word in words)


def the_key_comes_back(gateway: Gateway, folder: Path) -> None:
    out = folder / "ida.p12"
    words = ("certificate", "export", IDA, "--private", "--password-stdin", "--out", str(out))
    assert gateway.run(*words, stdin="another\n").returncode == 0
    assert out.stat().st_mode & 0o777 == 0o600
    text = p12_of(folder, out.read_bytes(), "another")
    assert "BEGIN PRIVATE KEY" in text
    assert f"subject=CN = {IDA}" in text
    gateway.ask("key.disable", key="main/default")
    assert "is disabled" in refused(gateway, "certificate.export", name=IDA)
    gateway.ask("key.enable", key="main/default")
    until(lambda: known(gateway), "the certificates to be back")


def anchors_are_judged(gateway: Gateway, ca: Path) -> None:
    gateway.configure(ANCHORS='"certs/none.pem"')
    assert "smime.trust_anchors[0]: found no file" in refused(gateway, "reload")
    shutil.copy(ca, gateway.folder / "certs" / "people.pem")
    gateway.configure(ANCHORS='"certs/people.pem"')
    gateway.ask("reload")


def what_is_removed_is_gone(gateway: Gateway) -> None:
    assert "--yes" in refused(gateway, "certificate.remove", name=IDA)
    assert gateway.run("certificate", "remove", IDA, "--yes").returncode == 0
    gateway.ask("certificate.remove", name=ANNA)
    assert known(gateway) == [OTTO]
    assert "no certificate is known" in refused(gateway, "certificate.show", name=IDA)
    assert "smime_certificate_expires" not in codes(gateway)
