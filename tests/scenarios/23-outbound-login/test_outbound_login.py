"""AUTH towards a real Postfix."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.dovecot import Passwords
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import EXTENSIONS, Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.swaks import swaks

SECRET = "n0t-in-any-log"


@dataclass
class Road:
    gateway: Gateway
    behind: Postfix
    clear: Hop
    password: Path

    def told(self) -> str:
        """All that the gateway says to anybody of what happened."""
        said = self.gateway.log
        for command in (["queue", "list"], ["trace", "--to", "otto@partner.example"], ["status"]):
            said += self.gateway.run(*command, "--json").stdout + self.gateway.run(*command).stdout
        return said

    def warnings(self) -> list[str]:
        return [one["text"] for one in self.gateway.json("status")["warnings"] if one["code"] == "login_refused"]


@pytest.fixture(scope="module", params=["plain login", "login"])
def road(
    request: pytest.FixtureRequest,
    make_gateway: Callable[..., Gateway],
    make_postfix: Callable[..., Postfix],
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Road]:
    password = tmp_path_factory.mktemp("secret") / "password"
    password.write_text(SECRET + "\n")
    password.chmod(0o600)
    with (
        Passwords("relay@corp.example", SECRET, request.param) as passwords,
        Hop(extensions=[*EXTENSIONS, "AUTH PLAIN LOGIN"]) as clear,
    ):
        behind = make_postfix(
            hostname="behind.provider.example",
            domains="partner.example",
            certificate=authority.issue("mx.provider.example"),
            extra=passwords.postfix,
        )
        gateway = make_gateway(BEHIND=behind.port, CLEAR=clear.port, CA=authority.ca, PASSWORD=password)
        yield Road(gateway.start(), behind, clear, password)
        gateway.stop()


def test_mail_and_notices_leave_after_the_login(road: Road) -> None:
    """Case queue-23: a notice is taken too, and its sender stays null."""
    assert swaks(road.gateway.port).code == 0
    assert swaks(road.gateway.port, "--from", "<>").code == 0
    messages = road.behind.wait(2)
    assert any(b"Return-Path: <>" in one for one in messages)
    assert "sasl_username=relay@corp.example" in road.behind.log
    assert road.warnings() == []


def test_a_wrong_password_lets_the_mail_wait_until_the_settings_are_mended(road: Road) -> None:
    count = len(road.behind.messages())
    road.password.write_text("wr0ng-of-ours\n")
    assert road.gateway.run("reload").returncode == 0
    said = swaks(road.gateway.port)
    row = road.gateway.tried(said.queue_id)
    (recipient,) = row["recipients"]
    assert (row["state"], recipient["status"], recipient["enhanced"]) == ("waiting", "waiting", "4.7.8")
    assert recipient["reason"] == "the host refuses our login (535 5.7.8)"
    assert road.warnings() == [
        "mail by connector provider waits: 127.0.0.1: the host refuses our login (535 5.7.8); "
        "put auth_user and auth_password_file right, then gateway reload and gateway queue retry --all"
    ]
    told = road.told()
    for secret in (SECRET, "wr0ng-of-ours"):
        assert secret not in told
        assert b64encode(secret.encode()).decode() not in told
    road.password.write_text(SECRET + "\n")
    assert road.gateway.run("reload").returncode == 0
    road.gateway.retry_all()
    road.behind.wait(count + 1)
    until(lambda: road.warnings() == [], "the warning to go")


def test_a_host_that_offers_auth_without_tls_hears_nothing_of_the_login(road: Road) -> None:
    said = swaks(road.gateway.port, "--to", "otto@clear.example")
    row = road.gateway.tried(said.queue_id)
    assert row["recipients"][0]["reason"] == "starttls-not-supported"
    assert {line.split()[0] for talk in road.clear.talks for line in talk.commands} <= {"EHLO", "QUIT"}


def test_a_password_that_others_may_read_is_refused_by_name(road: Road) -> None:
    road.password.chmod(0o644)
    try:
        done = road.gateway.run("check")
        assert done.returncode == 1
        assert "auth_password_file" in done.stderr + done.stdout
        assert f"chmod 600 {road.password}" in done.stderr + done.stdout
        assert road.gateway.run("reload").returncode != 0
    finally:
        road.password.chmod(0o600)
