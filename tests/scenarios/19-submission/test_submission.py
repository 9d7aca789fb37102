"""swaks and openssl s_client at the doors for people."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import Transcript, swaks

PASSWORD = "correct horse"
PLAIN = "AUTH PLAIN " + base64.b64encode(f"\0ida\0{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    gateway = make_gateway(HOP=hop.port, STARTTLS=free_port(), IMPLICIT=free_port())
    # Before the first start: there is no database yet.
    added = gateway.run(
        *("user", "add", "Ida", "--address", "ida@corp.example", "--address", "*@sales.corp.example"),
        "--password-stdin",
        stdin=f"{PASSWORD}\n",
    )
    assert added.returncode == 0, added.stderr
    return gateway.start()


@pytest.fixture(autouse=True)
def fresh(hop: Hop) -> None:
    hop.taken.clear()


def sends(gateway: Gateway, door: str, *options: str, user: str = "ida", password: str = PASSWORD) -> Transcript:
    port = gateway.port if door == "PORT" else int(gateway.values[door])
    tls = "-tlsc" if door == "IMPLICIT" else "-tls"
    mechanism = () if "--auth" in options else ("--auth", "PLAIN")
    return swaks(port, tls, *mechanism, *options, "--auth-user", user, "--auth-password", password)


@pytest.mark.parametrize("door", ["STARTTLS", "IMPLICIT", "PORT"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_who_logs_in_relays_outward(gateway: Gateway, hop: Hop, door: str, mechanism: str) -> None:
    said = sends(gateway, door, "--auth", mechanism)
    assert said.code == 0, said.text
    octets = hop.wait(1)[0].octets
    assert b" with ESMTPSA " in octets
    story = gateway.story(said.queue_id, "received")[0]
    assert (story["user"], story["connector"]) == ("ida", "authenticated")


@pytest.mark.parametrize("door", ["STARTTLS", "IMPLICIT"])
def test_nobody_sends_without_logging_in(gateway: Gateway, door: str) -> None:
    said = swaks(int(gateway.values[door]), "-tlsc" if door == "IMPLICIT" else "-tls")
    assert said.code != 0 and said.last.startswith("530 5.7.0 Authentication required")


def test_in_clear_there_is_no_auth_and_no_mail(gateway: Gateway) -> None:
    with Raw(int(gateway.values["STARTTLS"])) as client:
        assert "AUTH" not in client.hello()
        assert client.ask(PLAIN).startswith("538 5.7.11")
        assert client.ask("MAIL FROM:<ida@corp.example>").startswith("530 5.7.0 Say STARTTLS")


@pytest.mark.parametrize(("user", "password"), [("ida", "wrong"), ("nobody", PASSWORD)])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_wrong_password_and_an_unknown_name_are_one_answer(
    gateway: Gateway, user: str, password: str, mechanism: str
) -> None:
    said = sends(gateway, "STARTTLS", "--auth", mechanism, user=user, password=password)
    assert said.code != 0
    answer = next(line for line in said.replies if line.startswith(("535", "454")))
    assert answer.startswith("535 5.7.8 Authentication credentials invalid ")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (["--from", "boss@corp.example"], "550 5.7.60 You may not send as this sender"),
        (["--h-From", "boss@corp.example"], "550 5.7.60 You may not send as the address in From"),
        (["--h-From", "ida@corp.example, boss@corp.example"], "550 5.7.60 You may not send as the address in From"),
        (["--add-header", "Sender: boss@corp.example"], "550 5.7.60 You may not send as the address in From"),
        (["--add-header", "From: boss@corp.example"], "550 5.6.0"),
        (["--from", "<>", "--h-From", "ida@corp.example"], "550 5.7.60 You may not send as this sender"),
        (["--to", "otto@partner"], "553 5.1.2"),
    ],
)
def test_nobody_sends_as_somebody_else(gateway: Gateway, hop: Hop, options: list[str], answer: str) -> None:
    said = sends(gateway, "STARTTLS", *options)
    assert said.code != 0 and any(line.startswith(answer) for line in said.replies), said.text
    assert hop.taken == []


def test_each_of_ones_own_addresses_may_be_used(gateway: Gateway, hop: Hop) -> None:
    for sender in ("IDA+lists@corp.example", "anybody@sales.corp.example"):
        assert sends(gateway, "IMPLICIT", "--from", sender).code == 0
    assert len(hop.wait(2)) == 2


def test_a_relay_listener_does_not_look_at_the_header(gateway: Gateway, hop: Hop) -> None:
    assert sends(gateway, "PORT", "--h-From", "boss@corp.example").code == 0
    hop.wait(1)
    refused = swaks(gateway.port, "-tls", "--from", "ida@corp.example")
    assert refused.code != 0 and refused.last.startswith("550 5.7.64")


def test_date_and_message_id_are_added_on_top(gateway: Gateway, hop: Hop) -> None:
    data = "From: ida@corp.example\\nSubject: bare\\n\\nbody\\n"
    said = sends(gateway, "STARTTLS", "--data", data)
    octets = hop.wait(1)[0].octets
    head, _, rest = octets.partition(b"Date: ")
    lines = rest.split(b"\r\n")
    assert head.startswith(b"Received: ")
    assert lines[1] == f"Message-ID: <{said.queue_id}@gateway.corp.example>".encode()
    assert lines[2:4] == [b"From: ida@corp.example", b"Subject: bare"]


def test_openssl_speaks_with_it_by_hand(gateway: Gateway) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed (Debian package openssl)")
    ca = gateway.folder / "certs" / "ca.pem"
    for door, options in (("STARTTLS", ["-starttls", "smtp"]), ("IMPLICIT", [])):
        trust = ["-CAfile", str(ca), "-verify_return_error"]
        where = ["-connect", f"127.0.0.1:{gateway.values[door]}"]
        done = subprocess.run(
            [program, "s_client", *where, *options, *trust, "-quiet", "-crlf", "-ign_eof"],
            input=f"EHLO client.example\n{PLAIN}\nMAIL FROM:<ida@corp.example>\nQUIT\n",
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        assert "250 AUTH PLAIN LOGIN" in done.stdout
        assert [line[:3] for line in done.stdout.splitlines()][-3:] == ["235", "250", "221"]


def test_changes_count_at_once_in_every_worker_and_open_session(gateway: Gateway) -> None:
    def user(*words: str, stdin: str | None = None) -> None:
        done = gateway.run("user", *words, stdin=stdin)
        assert done.returncode == 0, done.stderr

    user("add", "otto", "--address", "otto@corp.example", "--password-stdin", stdin="first pass\n")
    first = "AUTH PLAIN " + base64.b64encode(b"\0otto\0first pass").decode()
    second = "AUTH PLAIN " + base64.b64encode(b"\0otto\0second pass").decode()
    # Several connections, so that both workers have some.
    clients = [Raw(int(gateway.values["IMPLICIT"]), implicit=True) for _ in range(8)]
    try:
        for client in clients:
            client.hello()
            assert client.ask(first).startswith("235")
            assert client.ask("MAIL FROM:<sales@corp.example>").startswith("550 5.7.60")
        user("address", "add", "otto", "sales@corp.example")
        for client in clients:
            assert client.ask("MAIL FROM:<sales@corp.example>").startswith("250")
            client.ask("RSET")
        user("password", "otto", "--password-stdin", stdin="second pass\n")
        for client in clients[:4]:
            assert client.ask("MAIL FROM:<otto@corp.example>").startswith("421 4.7.0")
        user("remove", "otto")
        for client in clients[4:]:
            assert client.ask("MAIL FROM:<otto@corp.example>").startswith("421 4.7.0")
    finally:
        for client in clients:
            client.close()
    with Raw(int(gateway.values["IMPLICIT"]), implicit=True) as client:
        client.hello()
        assert client.ask(second).startswith("535")
    assert [one["name"] for one in gateway.json("user", "list")] == ["ida"]


def test_guesses_by_the_hundred_are_cheap_and_answered_alike(gateway: Gateway) -> None:
    """All at once, at a name of nobody's. Neither Ida's sessions nor her next log-in are kept waiting."""
    ida = Raw(int(gateway.values["IMPLICIT"]), implicit=True)
    ida.hello()
    assert ida.ask(PLAIN).startswith("235")
    clients = [Raw(int(gateway.values["IMPLICIT"]), implicit=True, seconds=60) for _ in range(120)]
    try:
        for client in clients:
            client.hello()
        for number, client in enumerate(clients):
            plain = base64.b64encode(f"\0mallory\0guess {number}".encode()).decode()
            client.send(f"AUTH PLAIN {plain}\r\nNOOP\r\n".encode())
        assert ida.ask("MAIL FROM:<ida@corp.example>").startswith("250")
        assert sends(gateway, "IMPLICIT").code == 0
        answers = [client.reply()[:9] for client in clients]
        assert all(client.reply().startswith("250") for client in clients)
    finally:
        for client in [ida, *clients]:
            client.close()
    assert set(answers) == {"535 5.7.8", "454 4.7.0"}
    assert answers.count("535 5.7.8") <= 2 * 7, "each of the two workers judges a few"


def test_nothing_on_disk_or_in_the_log_holds_a_password(gateway: Gateway) -> None:
    until(lambda: "log_in_failed" in gateway.log, "a failed attempt in the log")
    secrets = [PASSWORD.encode(), PLAIN.split()[2].encode(), b"first pass", b"guess 7"]
    for path in [gateway.folder.with_name(gateway.folder.name + ".log"), *gateway.folder.rglob("*")]:
        if path.is_file() and "certs" not in path.parts:
            octets = path.read_bytes()
            assert not [one for one in secrets if one in octets], path


def test_accounts_are_changed_while_nothing_serves(gateway: Gateway) -> None:
    gateway.stop()
    try:
        assert gateway.run("user", "disable", "ida").returncode == 0
        assert gateway.json("user", "list")[0]["state"] == "disabled"
    finally:
        gateway.start()
    assert sends(gateway, "STARTTLS").code != 0
    assert gateway.run("user", "enable", "ida").returncode == 0
    assert sends(gateway, "STARTTLS").code == 0
