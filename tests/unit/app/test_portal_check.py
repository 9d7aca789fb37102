"""What `gateway check` says of [portal]."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app import init as maker
from gateway.app.check import check
from gateway.app.face import PORTAL
from gateway.app.face_certificate import face_context, face_files
from gateway.app.portal_terms import portal_address, portal_terms
from gateway.app.status import Status
from gateway.observe.metrics import Metrics
from gateway.settings.load import loaded
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.forks import FakeForks

NOW = FakeClock()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gw") / "gw"
    maker.init(folder, portal="127.0.0.1:8443", hostname="mail", clock=NOW, chance=FakeChance())
    return folder / "gateway.toml"


def told(settings: Path, *changes: tuple[str, str], more: str = "") -> list[str]:
    """The faults about the portal after `changes`, each with its key."""
    text = settings.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file = settings.with_name("changed.toml")
    file.write_text(text + more)
    return [f"{one.key}: {one.found}" for one in check(file, NOW, ask=False) if "portal" in one.key]


URL = 'url = "https://127.0.0.1:8443"'


def test_a_machine_that_can_draw_no_pdf_is_told_of(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    (found,) = told(settings)
    assert found.startswith("portal: no way to draw PDF: no process can be confined here (no list of system calls for")
    (fault,) = [one for one in check(settings, NOW, ask=False) if one.key == "portal"]
    assert fault.severity == "warning" and "aarch64" in fault.right, "the gateway serves all the same"
    monkeypatch.setattr("gateway.portal.pdf_pages.find_spec", lambda name: None)
    (found,) = told(settings)
    assert "pypdfium2 is not installed" in found
    status = Status(NOW, Metrics(), FakeForks())
    status.settings(loaded(settings), check(settings, NOW, ask=False))
    assert [one for one in status.told([])["warnings"] if "draw PDF" in one["text"]]


def test_without_a_portal_nobody_need_draw(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    file = settings.with_name("changed.toml")
    file.write_text(settings.read_text().partition("[portal]")[0])
    assert [one for one in check(file, NOW, ask=False) if "PDF" in one.found] == []


def test_what_init_writes_is_right(settings: Path) -> None:
    assert told(settings) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([('127.0.0.1:8443"\nurl', '127.0.0.1:2525"\nurl')], 'portal.listen: "127.0.0.1:2525", which'),
        ([('127.0.0.1:8443"\nurl', 'portal.example:8443"\nurl')], "portal.listen: "),
        ([(URL, 'url = "http://127.0.0.1:8443"')], 'portal.url: "http://127.0.0.1:8443", which does not begin'),
        ([(URL, 'url = "https://127.0.0.1:8443/path"')], 'portal.url: "https://127.0.0.1:8443/path", which goes on'),
        ([(URL, 'url = "https://127.0.0.1:99999"')], 'portal.url: "https://127.0.0.1:99999", whose host or port'),
        (
            [(URL, 'url = "https://ida@portal.corp.example"')],
            'portal.url: "https://ida@portal.corp.example", which has',
        ),
        ([(URL, 'url = "https://"')], 'portal.url: "https://", which names no host'),
        ([(URL, 'url = "https://a b"')], 'portal.url: "https://a b", which has letters'),
        ([(URL, 'url = "https://stra\u00dfe.example"')], "portal.certificate: "),
        ([(URL, 'url = "portal.corp.example"')], 'portal.url: "portal.corp.example", which does not begin'),
        ([(URL, 'url = "https://portal.corp.example"')], "portal.certificate: "),
        ([(URL, URL + '\naddress = "no address"')], "portal.address: "),
        ([(URL, URL + '\naddress = "portal@elsewhere.example"')], "portal.address: portal@elsewhere.example, whose"),
        ([(URL, URL + '\nproxies = ["0.0.0.0/0"]')], "portal.proxies"),
        ([(URL, URL + '\nlanguage = "fr"')], "portal.language: "),
        ([(URL, URL + "\nsession_minutes = 4")], "portal.session_minutes: "),
        ([(URL, URL + "\nmax_upload = 1023")], "portal.max_upload: "),
    ],
)
def test_each_fault_is_told_with_its_key(settings: Path, changes: list[tuple[str, str]], expected: str) -> None:
    found = told(settings, *changes)
    assert len(found) == 1 and found[0].startswith(expected), found


def test_a_key_that_does_not_belong_to_its_certificate_is_told(settings: Path) -> None:
    text = settings.read_text()
    head, _, tail = text.partition("[portal]")
    file = settings.with_name("changed.toml")
    file.write_text(head + "[portal]" + tail.replace("certs/server.key", "certs/ca.key", 1))
    assert [one.key for one in check(file, NOW, ask=False) if "portal" in one.key] == ["portal.key"]


def test_without_a_certificate_of_its_own_it_shows_the_first_listeners(settings: Path) -> None:
    text = settings.read_text()
    head, _, tail = text.partition("[portal]")
    file = settings.with_name("changed.toml")
    rest = "\n".join(line for line in tail.split("\n") if not line.startswith(("certificate = ", "key = ")))
    file.write_text(f"{head}[portal]{rest}")
    one = loaded(file)
    files = face_files(one, PORTAL)
    assert files is not None and files.certificate == settings.parent / "certs/server.pem"
    assert face_context(one, PORTAL).minimum_version.name == "TLSv1_2"
    assert [fault.key for fault in check(file, NOW, ask=False) if "portal" in fault.key] == []


def test_the_pages_go_by_the_settings(settings: Path) -> None:
    one = loaded(settings)
    assert one.settings.portal is not None
    address = portal_address(one, one.settings.portal)
    assert address is not None and address.text == "portal@corp.example"
    terms = portal_terms(one, one.settings.portal, address)
    assert (terms.url, terms.session, terms.proxies) == ("https://127.0.0.1:8443", 3600.0, ())
    assert terms.max_upload < one.settings.listeners[0].max_message_size


@pytest.mark.parametrize(("key", "octets"), [("max_message_size", 150 << 20), ("max_upload", 200 << 20)])
def test_a_file_may_be_put_there_whatever_size_its_message_had(settings: Path, key: str, octets: int) -> None:
    where = "[[listeners]]" if key == "max_message_size" else "[portal]"
    text = settings.read_text("utf-8").replace(f"{where}\n", f"{where}\n{key} = {octets}\n", 1)
    settings.write_text(text, "utf-8")
    one = loaded(settings)
    assert one.settings.portal is not None
    address = portal_address(one, one.settings.portal)
    assert address is not None
    assert portal_terms(one, one.settings.portal, address).max_dropped > octets
