"""The peers themselves: a peer that lies would make every scenario lie."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.hop import DROP, STALL, Hop
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.sink import Sink
from tests.scenarios.peers.swaks import swaks


def test_hop_keeps_what_it_got_octet_for_octet(hop: Hop) -> None:
    octets = b"Subject: x\r\n\r\n.dot\r\n..two\r\nbare\nlf and \xff\r\n"
    with Raw(hop.port) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example> BODY=8BITMIME")
        client.ask("RCPT TO:<otto@partner.example>")
        assert client.ask("DATA").startswith("354")
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        client.send(stuffed)
        assert client.ask(b".").startswith("250")
        assert client.ask("QUIT").startswith("221")
    got = hop.wait(1)[0]
    assert got.octets == octets and got.tls is None
    assert got.sender == "ida@corp.example" and got.recipients == ("otto@partner.example",)
    assert hop.talks[0].commands[0] == "EHLO client.example" and hop.faults == []


def test_hop_takes_commands_pipelined_behind_data_and_an_empty_message(hop: Hop) -> None:
    with Raw(hop.port) as client:
        client.hello()
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n.\r\nMAIL FROM:<>\r\nRSET\r\n")
        assert [client.reply()[:3] for _ in range(6)] == ["250", "250", "354", "250", "250", "250"]
    assert hop.taken[0].octets == b""


def test_hop_says_what_the_script_says_and_then_is_healthy() -> None:
    with Hop({"RCPT": ["550 5.1.1 no", "451 4.2.1 later"], "CONNECT": ["421 4.3.2 busy"]}) as hop:
        with Raw(hop.port) as client:
            assert client.reply() == "421 4.3.2 busy" and client.reply() == ""
        with Raw(hop.port) as client:
            client.hello()
            client.ask("MAIL FROM:<a@b.example>")
            said = [client.ask(f"RCPT TO:<{one}@c.example>")[:3] for one in "abc"]
            assert said == ["550", "451", "250"]
            client.ask("DATA")
            client.ask(b".")
        assert hop.wait(1)[0].recipients == ("c@c.example",)


def test_hop_drops_and_stalls() -> None:
    with Hop({"MAIL": DROP, "NOOP": STALL}) as hop:
        with Raw(hop.port) as client:
            client.hello()
            assert client.ask("MAIL FROM:<a@b.example>") == ""
        with Raw(hop.port, seconds=0.3) as client:
            client.hello()
            with pytest.raises(TimeoutError):
                client.ask("NOOP")


def test_hop_offers_starttls_with_the_certificate_that_it_was_given(authority: Authority) -> None:
    with Hop(certificate=authority.issue("mx.partner.example")) as hop:
        with Raw(hop.port) as client:
            assert "STARTTLS" in client.hello()
            assert client.ask("STARTTLS").startswith("220")
            client.starttls()
            assert "STARTTLS" not in client.ask("EHLO client.example")
            client.ask("MAIL FROM:<a@b.example>")
            client.ask("RCPT TO:<c@d.example>")
            client.ask("DATA")
            client.ask(b".")
        assert hop.wait(1)[0].tls in ("TLSv1.2", "TLSv1.3")


def test_certificates_hold_or_have_ended(authority: Authority, tmp_path: Path) -> None:
    for issued, expected in (
        (authority.issue("a.example"), "OK"),
        (authority.issue("a.example", expired=True), "expired"),
    ):
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", authority.ca, issued.certificate], capture_output=True, text=True
        )
        assert expected in done.stdout + done.stderr
        assert isinstance(issued.context(), ssl.SSLContext)
    other = Authority(tmp_path, "Another CA").issue("a.example")
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", authority.ca, other.certificate], capture_output=True, text=True
    )
    assert done.returncode != 0


def test_swaks_tells_how_it_ended(hop: Hop) -> None:
    said = swaks(hop.port, "--body", "hello")
    assert said.code == 0 and said.last == "250 2.0.0 taken" and not said.secured
    assert b"hello" in hop.wait(1)[0].octets
    hop.script({"RCPT": "550 5.7.1 no"})
    refused = swaks(hop.port)
    assert refused.code != 0 and "550 5.7.1 no" in refused.replies


def test_swaks_speaks_starttls(authority: Authority) -> None:
    with Hop(certificate=authority.issue("127.0.0.1")) as hop:
        assert swaks(hop.port, "-tls").secured
        assert hop.wait(1)[0].tls is not None


def test_sink_gives_back_envelope_and_octets(sink: Sink) -> None:
    assert swaks(sink.port, "--data", "Subject: x\n\n.dot\nline\n").code == 0
    got = sink.wait(1)[0]
    assert got.sender == "ida@corp.example" and got.recipients == ("otto@partner.example",)
    assert got.octets.startswith(b"Subject: x\n\n.dot\nline\n")


def test_postfix_relays_to_postfix_under_tls(make_postfix: Callable[..., Postfix], authority: Authority) -> None:
    behind = make_postfix(
        hostname="behind.partner.example", domains="partner.example", certificate=authority.issue("127.0.0.1")
    )
    before = make_postfix(hostname="before.corp.example", relay_to=behind.port, demanded="encrypt")
    said = swaks(before.port, "--header", "Subject: through two")
    assert said.code == 0, said.text
    message = behind.wait(1)[0]
    assert b"Subject: through two" in message and b"using TLSv1" in message, before.log + behind.log


def test_nothing_of_a_postfix_remains(make_postfix: Callable[..., Postfix]) -> None:
    one = make_postfix(hostname="gone.example")
    root = one._root
    assert root is not None
    pid = int((root / "queue/pid/master.pid").read_text())
    one.stop()
    assert not root.exists() and not Path(f"/proc/{pid}/exe").exists()
