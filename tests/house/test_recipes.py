"""Every block of settings on the pages for people passes the checks, and every warning has a section."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app import devcerts
from gateway.app.check import check
from gateway.settings.load import read
from gateway.world import ldap
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock
from tests.fakes import file_vault
from tests.house.guide import ADMINISTRATOR, README, Block, blocks, recipe
from tests.house.tree import ROOT, sources

SETTINGS = [one for page in (README, ADMINISTRATOR) for one in blocks(page) if one.language == "toml"]
# What a fragment lacks to be whole. Keys at the top come before any header, so they are put in front.
TOP = 'accepted_domains = ["corp.example"]\n'
REST = {
    "listeners": '[[listeners]]\nlisten = "127.0.0.1:2525"\ntls = "none"\n',
    "inbound": '[[connectors.inbound]]\nname = "completed"\ntype = "on_premises"\nsender_ip_addresses = ["10.9.9.9"]\n',
    "outbound": '[[connectors.outbound]]\nname = "completed"\nrecipient_domains = ["else.example"]\nuse_mx = true\n',
}
CERTIFICATES = ("certificate", "client_certificate", "trusted_ca")
KEYS = ("key", "client_key")
TEXTS = {"recipients.txt": "ida@corp.example\n"}
CODE = re.compile(r'(?:(?<!\.)\bwarning\(\s*|"code": )"([a-z_]+)"(?: if [^\n]* else "([a-z_]+)")?')


class Place:
    """A folder in which the settings of a page find the files that they name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        now, chance = SystemClock().now(), SystemChance()
        self.ca = devcerts.authority(now, chance)
        self.server = devcerts.server(self.ca, ["mx.corp.example", "portal.corp.example"], now, chance)
        for vault in ("vault", "gateway-vault"):
            file_vault.make(folder / vault)
        (folder / "credentials").mkdir()
        for secret in ("service-secret", "credentials/gateway-vault"):
            (folder / secret).touch(mode=0o600)
            (folder / secret).write_bytes(file_vault.SECRET)

    def write(self, text: str) -> Path:
        """The settings, completed, with every file that they name."""
        text = text.replace('path = "/var/lib/', 'path = "')  # Where a vault lies in earnest.
        whole = self.completed(text.replace('"sqlite:/', '"sqlite:').replace('blobs = "/', 'blobs = "'))
        for key, value in values(tomllib.loads(whole)):
            self.make(key, value)
        path = self.folder / "gateway.toml"
        path.write_text(whole)
        return path

    def completed(self, text: str) -> str:
        said = tomllib.loads(text)
        connectors = said.get("connectors", {})
        lacking = [rest for name, rest in REST.items() if name not in said and name not in connectors]
        return "\n".join([*([] if "accepted_domains" in said else [TOP]), text, *lacking])

    def make(self, key: str, value: str) -> None:
        file = self.folder / value.replace("$CREDENTIALS_DIRECTORY", "credentials")
        octets = {
            **dict.fromkeys(CERTIFICATES, self.server.certificate_pem),
            **dict.fromkeys(KEYS, self.server.key_pem),
            "trusted_ca": self.ca.certificate_pem,
            "trust_anchors": self.ca.certificate_pem,
            "file": TEXTS.get(value, "").encode(),
            "secret_file": file_vault.SECRET,
        }.get(key)
        if octets is None and key.endswith("_file"):
            octets = b"a secret\n"
        if octets:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(octets)
            file.chmod(0o600)


def values(told: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each text in the settings with its key."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from values(value, name)
    elif isinstance(told, list):
        for value in told:
            yield from values(value, key)
    elif isinstance(told, str):
        yield key, told


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    return Place(tmp_path)


def faults(path: Path) -> list[str]:
    """All that the checks say but of libraries that may not be here. Nobody is asked: the servers are made up."""
    said = [str(fault) for fault in check(path, SystemClock(), ask=False)]
    said = [one for one in said if ".module: found no file /usr/lib/" not in one]
    return said if ldap.is_there() else [one for one in said if "python-ldap" not in one]


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: block.name)
def test_settings_on_a_page_are_right(block: Block, place: Place) -> None:
    """No fault and no warning: what people copy must not make them wonder."""
    assert faults(place.write(block.text)) == []


def test_a_fault_on_a_page_would_be_seen(place: Place) -> None:
    text = recipe("Partner with forced TLS")
    for good, bad in (
        ('"domain_validation"', '"domain_validated"'),
        ('trusted_ca = "certs/partner-ca.pem"\nclient', "trusted_ca = 1\nclient"),
        ('type = "partner"', 'type = "on_premises"\nsender_ip_addresses = ["0.0.0.0/0"]'),
    ):
        assert good in text
        assert faults(place.write(text.replace(good, bad)))


def test_every_page_of_settings_was_found() -> None:
    headings = {block.heading for block in SETTINGS}
    assert {"Before Postfix", "Before Exchange", "Before Microsoft 365", "Behind a load balancer"} <= headings
    assert {"Partner with forced TLS", "People and devices", "Large content in S3", "Before a mail server"} <= headings
    assert len(SETTINGS) >= 14


def test_the_service_of_the_guide_fits_the_unit(place: Place) -> None:
    """What gateway.toml names below $CREDENTIALS_DIRECTORY is what the unit hands over."""
    unit = (ROOT / "docs/systemd/gateway.service").read_text("utf-8")
    loaded = read(place.write(recipe("As a service: systemd"))).loaded
    assert loaded is not None
    assert "LoadCredential=tls.key:" in unit
    assert loaded.resolve(loaded.settings.listeners[0].key or "").name == "tls.key"
    assert f"LoadCredential={loaded.settings.vaults[0].secret_credential}:" in unit
    folder = Path(loaded.settings.vaults[0].path).name
    assert f'path = "/var/lib/{folder}"' in recipe("As a service: systemd")
    assert re.search(rf"^StateDirectory=.*\b{folder}$", unit, re.MULTILINE)
    assert 'url = "sqlite:/var/lib/gateway"' in recipe("As a service: systemd")


def warning_codes() -> set[str]:
    """The codes that `gateway status` can say, as the code has them."""
    text = [path.read_text("utf-8") for path in sources() if path.parent.name == "app"]
    return {code for one in text for match in CODE.finditer(one) for code in match.groups() if code}


def test_every_warning_of_status_has_a_section() -> None:
    page = ADMINISTRATOR.read_text("utf-8")
    _, _, chapter = page.partition("\n## What each warning asks you to do\n")
    chapter = chapter.partition("\n## ")[0]
    sections = re.findall(r"^### `([a-z_]+)`$\n\n(.+)", chapter, re.MULTILINE)
    assert {"not_running", "settings", "disk", "certificate_expires", "certificate_not_valid"} <= warning_codes()
    assert {code for code, _ in sections} == warning_codes()
    assert all(len(text) > 40 for _, text in sections)


def test_links_inside_of_the_guide_lead_somewhere() -> None:
    page = ADMINISTRATOR.read_text("utf-8")
    anchors = {
        re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    linked = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert linked
    assert linked - anchors == set()
