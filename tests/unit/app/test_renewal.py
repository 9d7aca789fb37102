"""Certificate files that change under a gateway that serves: taken piece by piece, or told about."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from pathlib import Path

import pytest

from gateway.app.renewal import Renewal, keep_renewed, renewal_warnings
from gateway.app.terms import Policy, policy
from gateway.settings.load import Loaded
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.clock import FakeClock
from tests.fakes.log import fake_log
from tests.fakes.settings import settings_in

TEXT = """
accepted_domains = ["corp.example"]
[server]
hostname = "mx.corp.example"
[[listeners]]
listen = "127.0.0.1:2525"
certificate = "one.pem"
key = "one.key"
[[listeners.certificates]]
certificate = "more.pem"
key = "more.key"
[[listeners]]
listen = "127.0.0.1:2526"
tls = "implicit"
certificate = "two.pem"
key = "two.key"
[[connectors.inbound]]
name = "partner-in"
type = "partner"
sender_domains = ["partner.example"]
tls_sender_certificate_name = "mx.partner.example"
trusted_ca = "in-ca.pem"
[[connectors.inbound]]
name = "public"
type = "partner"
require_tls = false
[[connectors.outbound]]
name = "out"
recipient_domains = ["*"]
smart_hosts = ["127.0.0.1:2500"]
tls_settings = "certificate_validation"
trusted_ca = "out-ca.pem"
client_certificate = "client.pem"
client_key = "client.key"
[[connectors.outbound]]
name = "other"
recipient_domains = ["other.example"]
smart_hosts = ["127.0.0.1:2500"]
"""
PAIRS = ("one", "more", "two", "client", "in-ca", "out-ca")


class Files:
    """The files of TEXT in a folder, and fresh ones put in their places."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spare = folder / "spare"
        self._spare.mkdir()
        self.now: dict[str, Certificate] = {}
        for name in PAIRS:
            self.put(name)

    def put(self, name: str, *, key: bool = True, certificate: bool = True) -> None:
        """Another certificate under that name, as a renewal writes it: a new file that takes the old one's place."""
        made = self.now[name] = make_certificate(self._spare, f"{name}.corp.example", is_ca=name.endswith("-ca"))
        for wanted, source, suffix in ((certificate, made.file, "pem"), (key, made.key_file, "key")):
            if wanted:
                self._replace(source, self.folder / f"{name}.{suffix}")

    def complete(self, name: str) -> None:
        """The key that was missing comes too."""
        self._replace(self.now[name].key_file, self.folder / f"{name}.key")

    def _replace(self, source: Path, target: Path) -> None:
        beside = target.with_suffix(".new")
        shutil.copy(source, beside)
        beside.replace(target)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def loaded(files: Files) -> Loaded:
    return settings_in(files.folder, TEXT)


def same(one: Policy, other: Policy) -> dict[str, bool]:
    """Which pieces are the very same values."""
    return {
        "one": one.listeners[0] is other.listeners[0],
        "two": one.listeners[1] is other.listeners[1],
        "in": one.inbounds[0] is other.inbounds[0],
        "public": one.inbounds[1] is other.inbounds[1],
        "out": one.outbounds[0] is other.outbounds[0],
        "other": one.outbounds[1] is other.outbounds[1],
    }


def test_nothing_changes_where_no_file_does(loaded: Loaded) -> None:
    renewal = Renewal(loaded)
    before = policy(loaded)
    assert renewal.look(before) == (before, [])
    os.utime(loaded.folder / "gateway.toml")  # Settings are a reload's business.
    assert renewal.look(before) == (before, [])


@pytest.mark.parametrize(("more", "pause"), [("", 15.0), ("certificate_look_seconds = 2", 2.0)])
async def test_files_are_looked_at_as_often_as_the_settings_say_and_by_themselves_within_a_minute(
    files: Files, more: str, pause: float
) -> None:
    loaded = settings_in(files.folder, TEXT.replace("[server]\n", f"[server]\n{more}\n"))
    renewal, clock, taken = Renewal(loaded), FakeClock(), asyncio.Event()
    before = policy(loaded)

    async def take(new: Policy) -> None:
        assert not same(before, new)["one"]
        taken.set()

    log, _ = fake_log()
    keeping = asyncio.create_task(keep_renewed(lambda: renewal, lambda: before, take, clock, log))
    try:
        async with asyncio.timeout(20):
            while not clock.sleepers:
                await asyncio.sleep(0)
            files.put("one")
            await clock.advance(pause - 0.1)
            assert not taken.is_set() and clock.sleepers == 1
            await clock.advance(0.1)
            await taken.wait()
    finally:
        keeping.cancel()


@pytest.mark.parametrize(
    ("name", "key", "piece"),
    [
        ("one", "listeners[0]", "one"),
        ("more", "listeners[0]", "one"),
        ("two", "listeners[1]", "two"),
        ("in-ca", "connectors.inbound[0]", "in"),
        ("client", "connectors.outbound[0]", "out"),
        ("out-ca", "connectors.outbound[0]", "out"),
    ],
)
def test_a_new_file_makes_its_own_piece_anew(files: Files, loaded: Loaded, name: str, key: str, piece: str) -> None:
    renewal = Renewal(loaded)
    before = policy(loaded)
    files.put(name)
    after, renewed = renewal.look(before)
    assert renewed == [key]
    assert [one for one, kept in same(before, after).items() if not kept] == [piece]
    assert renewal.look(after) == (after, [])


def test_new_connections_see_the_new_certificate(files: Files, loaded: Loaded) -> None:
    renewal = Renewal(loaded)
    before = policy(loaded)
    old = files.now["one"].der
    files.put("one")
    after, _ = renewal.look(before)
    assert shown(before.listeners[0].tls) == old  # Sessions under way hold the old terms.
    assert shown(after.listeners[0].tls) == files.now["one"].der


def test_half_of_a_pair_keeps_the_old_and_is_told_at_the_second_look(files: Files, loaded: Loaded) -> None:
    renewal = Renewal(loaded)
    before = policy(loaded)
    files.put("one", key=False)
    files.put("two")
    after, renewed = renewal.look(before)
    assert renewed == ["listeners[1]"]  # The other goes on.
    assert after.listeners[0] is before.listeners[0]
    assert renewal.failing == {}  # Perhaps it was just being written.
    renewal.look(after)
    assert list(renewal.failing) == ["listeners[0]"]
    assert "does not belong" in renewal.failing["listeners[0]"]
    (warning,) = renewal_warnings([{"unrenewed": renewal.failing}, {"unrenewed": renewal.failing}, {}])
    assert warning["code"] == "certificate_not_renewed"
    assert warning["text"].startswith("listeners[0] keeps its old files")
    files.complete("one")
    final, renewed = renewal.look(after)
    assert renewed == ["listeners[0]"]
    assert renewal.failing == {}
    assert shown(final.listeners[0].tls) == files.now["one"].der


@pytest.mark.parametrize("name", ["one.pem", "in-ca.pem", "client.key", "out-ca.pem"])
def test_a_file_that_is_gone_keeps_the_old(files: Files, loaded: Loaded, name: str) -> None:
    renewal = Renewal(loaded)
    before = policy(loaded)
    lost = files.folder / name
    octets = lost.read_bytes()
    times = lost.stat()
    kept = lost.rename(lost.with_suffix(".away"))
    for _ in range(2):
        assert renewal.look(before) == (before, [])
    assert len(renewal.failing) == 1
    assert name in str(renewal.failing)
    kept.rename(lost)
    os.utime(lost, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert lost.read_bytes() == octets
    assert renewal.look(before) == (before, [])
    assert renewal.failing == {}


def test_a_file_of_the_same_size_and_time_is_still_another(files: Files, loaded: Loaded) -> None:
    renewal = Renewal(loaded)
    before = policy(loaded)
    ca = files.folder / "in-ca.pem"
    times, octets = ca.stat(), ca.read_bytes()
    beside = files.folder / "beside.pem"
    beside.write_bytes(octets)
    os.utime(beside, ns=(times.st_atime_ns, times.st_mtime_ns))
    beside.replace(ca)
    assert renewal.look(before)[1] == ["connectors.inbound[0]"]


def test_what_changes_before_the_policy_is_read_is_seen(files: Files, loaded: Loaded) -> None:
    renewal = Renewal(loaded)
    files.put("one")
    assert renewal.look(policy(loaded))[1] == ["listeners[0]"]


def shown(context: ssl.SSLContext | None) -> bytes | None:
    """The certificate that a client gets to see."""
    assert context is not None
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(here, there, server_side=True)
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
    client = plain.wrap_bio(there, here)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.getpeercert(binary_form=True)
