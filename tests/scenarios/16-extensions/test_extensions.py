"""What EHLO names is carried out, to the next hop and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import swaks

HEAD = b"From: ida@corp.example\r\nTo: otto@partner.example\r\nSubject: x\r\n\r\n"


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def old() -> Iterator[Hop]:
    """A next hop that knows next to nothing."""
    with Hop(extensions=["PIPELINING", "8BITMIME"]) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop, old: Hop) -> Gateway:
    return make_gateway(HOP=hop.port, OLD=old.port, NORMALIZE=free_port()).start()


@pytest.fixture(autouse=True)
def fresh(gateway: Gateway, hop: Hop, old: Hop) -> None:
    gateway.drained()
    hop.taken.clear()
    old.taken.clear()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Raw]:
    with Raw(gateway.port) as one:
        yield one


def begin(client: Raw, mail: str = "", rcpt: str = "", to: str = "otto@partner.example") -> None:
    """Everything up to the message."""
    client.hello()
    assert client.ask(f"MAIL FROM:<ida@corp.example>{mail}").startswith("250")
    assert client.ask(f"RCPT TO:<{to}>{rcpt}").startswith("250")


def chunk(client: Raw, octets: bytes, *, last: bool = False) -> str:
    client.send(b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets))
    return client.reply()


def content(hop: Hop) -> bytes:
    """What came, without our Received line."""
    octets = hop.wait(1)[0].octets
    return octets[octets.index(b"From: ida") :]


def test_ehlo_names_each_extension_with_the_listeners_limits(client: Raw) -> None:
    offered = {line[4:] for line in client.hello().splitlines()[1:]}
    assert offered == {
        "SIZE 2000000",
        "8BITMIME",
        "SMTPUTF8",
        "PIPELINING",
        "CHUNKING",
        "DSN",
        "LIMITS RCPTMAX=5 MAILMAX=3 RCPTDOMAINMAX=2",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
    }


# -- swaks ------------------------------------------------------------------------------------------------------------


def test_swaks_pipelines(gateway: Gateway, hop: Hop) -> None:
    said = swaks(gateway.port, "--pipeline", "--to", "otto@partner.example,olga@partner.example")
    assert said.code == 0, said.text
    (got,) = hop.wait(1)
    assert got.recipients == ("otto@partner.example", "olga@partner.example")


@pytest.mark.parametrize("options", [[], ["-tls"]])
def test_swaks_says_ehlo_in_clear_and_under_tls(gateway: Gateway, hop: Hop, options: list[str]) -> None:
    said = swaks(gateway.port, *options, "--pipeline")
    assert said.code == 0, said.text
    assert sum("LIMITS RCPTMAX=5" in line for line in said.replies) == (2 if options else 1)
    assert len(hop.wait(1)) == 1


@pytest.mark.parametrize(("option", "why"), [("--prdr", "PRDR"), ("--xclient-addr=192.0.2.1", "XCLIENT")])
def test_swaks_finds_no_extension_that_we_do_not_have(gateway: Gateway, option: str, why: str) -> None:
    said = swaks(gateway.port, *option.split("="))
    assert said.code != 0 and f"Host did not advertise {why}" in said.text


def test_swaks_sends_over_smtp_of_old_without_any(gateway: Gateway, hop: Hop) -> None:
    said = swaks(gateway.port, "--protocol", "SMTP")
    assert said.code == 0, said.text
    assert b"with SMTP\r\n" in hop.wait(1)[0].octets


def test_swaks_stops_at_the_limit_of_size(gateway: Gateway) -> None:
    said = swaks(gateway.port, "--body", "x" * 60 + "\n", "--attach-type", "text/plain", "--attach", "y" * 100)
    assert said.code == 0, said.text
    with Raw(gateway.port) as client:
        client.hello()
        assert client.ask("MAIL FROM:<ida@corp.example> SIZE=2000001").startswith("552 5.3.4")
        assert client.ask("MAIL FROM:<ida@corp.example> SIZE=2000000").startswith("250")


# -- CHUNKING ---------------------------------------------------------------------------------------------------------


def test_a_message_in_chunks_arrives_whole_and_its_dots_with_it(client: Raw, hop: Hop) -> None:
    begin(client)
    parts = [HEAD + b"one\r", b"\n.\r\n..two\r\n", b"", b".three\r\n"]
    assert all(chunk(client, part).startswith("250 2.0.0 Chunk") for part in parts)
    assert chunk(client, b"", last=True).startswith("250 2.0.0 Queued")
    assert content(hop) == b"".join(parts)


def test_chunks_of_a_megabyte_go_to_disk_and_arrive_whole(client: Raw, hop: Hop) -> None:
    begin(client)
    line = b"0123456789" * 7 + b"\r\n"
    body = line * 14_000
    for start in range(0, len(body), 100_003):
        assert chunk(client, (HEAD if not start else b"") + body[start : start + 100_003]).startswith("250")
    assert chunk(client, b"end", last=True).startswith("250 2.0.0 Queued")
    assert content(hop) == HEAD + body + b"end\r\n"


def test_a_message_over_the_limit_is_refused_and_the_next_one_taken(client: Raw, hop: Hop) -> None:
    begin(client)
    assert chunk(client, b"x" * 1_500_000).startswith("250")
    assert chunk(client, b"x" * 500_001, last=True).startswith("552 5.3.4")
    assert client.ask("MAIL FROM:<ida@corp.example>").startswith("250")
    assert client.ask("RCPT TO:<otto@partner.example>").startswith("250")
    assert chunk(client, HEAD, last=True).startswith("250")
    assert content(hop) == HEAD


def test_nothing_is_left_of_a_message_whose_client_goes_away(gateway: Gateway, hop: Hop) -> None:
    with Raw(gateway.port) as client:
        begin(client)
        # More than memory holds: there is a file, and it has to go.
        assert chunk(client, b"x" * 1_900_000).startswith("250")
        assert until(lambda: files(gateway), "a file of the message")
    until(lambda: not files(gateway), "the file of the message to be gone")
    assert hop.taken == []


def files(gateway: Gateway) -> list[str]:
    """The messages too large for a row of the database."""
    return [
        str(path) for path in (gateway.folder / "data").rglob("*") if path.is_file() and path.parent.name == "content"
    ]


def test_data_and_bdat_are_not_mixed(client: Raw, hop: Hop) -> None:
    begin(client)
    assert chunk(client, HEAD).startswith("250")
    assert client.ask("DATA").startswith("503 5.5.1")
    assert chunk(client, b"x\r\n", last=True).startswith("250")
    assert content(hop) == HEAD + b"x\r\n"


def test_bare_newlines_are_judged_as_after_data(gateway: Gateway, client: Raw, hop: Hop) -> None:
    begin(client)
    assert chunk(client, HEAD + b"a\nb\r\n", last=True).startswith("550 5.6.11")
    with Raw(int(gateway.values["NORMALIZE"])) as other:
        begin(other)
        assert chunk(other, HEAD + b"a\nb\r").startswith("250")
        assert chunk(other, b"c\r\n", last=True).startswith("250")
        assert content(hop) == HEAD + b"a\r\nb\r\nc\r\n"


@pytest.mark.parametrize("size", ["-1", "0x10", "99999999999999999999999", "", "1 2", "9999999999"])
def test_a_hostile_size_ends_the_session(client: Raw, size: str) -> None:
    begin(client)
    assert client.ask(f"BDAT {size}").startswith(("501 5.5.4", "552 5.3.4"))
    assert client.reply() == ""


def test_binary_messages_are_refused_in_words(client: Raw) -> None:
    client.hello()
    assert client.ask("MAIL FROM:<ida@corp.example> BODY=BINARYMIME").startswith("555 5.5.4 BODY=BINARYMIME")


# -- LIMITS -----------------------------------------------------------------------------------------------------------


def test_announced_limits_are_held(client: Raw) -> None:
    client.hello()
    assert client.ask("MAIL FROM:<ida@corp.example>").startswith("250")
    for name in ("a@one.example", "b@two.example", "c@ONE.example"):
        assert client.ask(f"RCPT TO:<{name}>").startswith("250")
    assert client.ask("RCPT TO:<d@three.example>").startswith("452 4.5.3")
    assert client.ask("RCPT TO:<e@two.example>").startswith("250")
    assert client.ask("RCPT TO:<f@one.example>").startswith("250")
    assert client.ask("RCPT TO:<g@one.example>").startswith("452 4.5.3")


def test_a_message_too_many_ends_the_session(client: Raw, hop: Hop) -> None:
    client.hello()
    for number in range(3):
        assert client.ask("MAIL FROM:<ida@corp.example>").startswith("250")
        assert client.ask("RCPT TO:<otto@partner.example>").startswith("250")
        assert chunk(client, HEAD + b"%d\r\n" % number, last=True).startswith("250")
    assert client.ask("MAIL FROM:<ida@corp.example>").startswith("421 4.7.0")
    assert client.reply() == ""
    assert len(hop.wait(3)) == 3


# -- DSN, 8BITMIME, SMTPUTF8 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mail", "rcpt"),
    [
        (" RET=FULL RET=HDRS", None),
        (" RET=SOME", None),
        (" ENVID=a+0D+0Ab", None),
        (f" ENVID={'x' * 101}", None),
        ("", " NOTIFY=NEVER,SUCCESS"),
        ("", " NOTIFY=WHENEVER"),
        ("", " ORCPT=root"),
        ("", " ORCPT=rfc822;x+0D+0ABcc:+20all"),
        ("", " ORCPT=utf-8;\\x{0A}"),
        ("", f" ORCPT=rfc822;{'x' * 500}"),
    ],
)
def test_malformed_dsn_parameters_are_refused(client: Raw, mail: str, rcpt: str | None) -> None:
    client.hello()
    said = client.ask(f"MAIL FROM:<ida@corp.example>{mail}")
    if rcpt is not None:
        assert said.startswith("250")
        said = client.ask(f"RCPT TO:<otto@partner.example>{rcpt}")
    assert said.startswith("501 5.5.4")


def test_eight_bit_and_utf8_travel_as_they_came(client: Raw, hop: Hop) -> None:
    begin(client, " BODY=8BITMIME SMTPUTF8", to="jörg@köln.example")
    octets = HEAD.replace(b"Subject: x", "Subject: größer".encode()) + b"\xff\r\n"
    assert chunk(client, octets, last=True).startswith("250")
    (got,) = hop.wait(1)
    assert got.mail.split()[1:] and {"BODY=8BITMIME", "SMTPUTF8"} <= set(got.mail.split())
    assert b"with UTF8SMTP\r\n" in got.octets
    assert got.octets.endswith(octets)


@pytest.mark.parametrize(
    ("to", "subject"), [("jörg@old.example", "x"), ("otto@old.example", "größer")], ids=["recipient", "header"]
)
def test_what_needs_smtputf8_fails_with_5_6_7_where_the_next_hop_lacks_it(
    gateway: Gateway, client: Raw, hop: Hop, old: Hop, to: str, subject: str
) -> None:
    begin(client, " SMTPUTF8", to=to)
    said = chunk(client, HEAD.replace(b"Subject: x", f"Subject: {subject}".encode()), last=True)
    queue_id = said.split()[-1]
    # The sender hears of it, by the hop that takes everything.
    notice = hop.wait(1)[0]
    assert notice.sender == "" and notice.recipients == ("ida@corp.example",)
    assert b"Status: 5.6.7" in notice.octets
    assert old.taken == []
    until(lambda: not gateway.queue(queue_id), "the end of its delivery")


def test_smtputf8_that_nothing_needs_is_left_away_where_the_next_hop_lacks_it(client: Raw, old: Hop) -> None:
    begin(client, " SMTPUTF8 BODY=8BITMIME", to="otto@xn--kln-sna.old.example")
    assert client.ask("RSET").startswith("250")
    client.ask("MAIL FROM:<ida@corp.example> SMTPUTF8")
    client.ask("RCPT TO:<otto@old.example>")
    assert chunk(client, HEAD + "Grüße\r\n".encode(), last=True).startswith("250")
    (got,) = old.wait(1)
    assert "SMTPUTF8" not in got.mail
