"""A rule marks mail, and only those for whom it is sealed can read it."""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Got, Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.search import needles, search
from tests.scenarios.peers.smime import PASSWORD, People, Person, crlf

HERE = Path(__file__).parent
WORD = "Obsidianlark"  # Stands in every message that has to be protected, and nowhere else.
OTTO, ANNA, STRANGER = "otto@partner.example", "anna@partner.example", "stranger@partner.example"
IDA = "ida@corp.example"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    made = People(tmp_path_factory.mktemp("people"))
    found = {one: made.person(one, curve=one != OTTO) for one in (OTTO, ANNA, IDA, "ida@clear.corp.example")}
    found["old@partner.example"] = made.person("old@partner.example", curve=True, days=-1)
    found["late@partner.example"] = made.person("late@partner.example", curve=True)
    AUTHORITY.append(made)
    return found


AUTHORITY: list[People] = []


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


def bring(gateway: Gateway, *files: Path) -> None:
    """Import certificates, all of one file, as an administrator does."""
    together = gateway.folder.with_name("together.pem")
    together.write_bytes(b"".join(file.read_bytes() for file in files))
    done = gateway.run("certificate", "import", str(together))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop, people: dict[str, Person]) -> Gateway:
    made = make_gateway(HOP=hop.port)
    shutil.copy(AUTHORITY[0].ca, made.folder / "people-ca.pem")
    shutil.rmtree(made.folder / "rules", ignore_errors=True)
    shutil.copytree(HERE / "rules", made.folder / "rules")
    bring(made, *(people[one].certificate for one in (OTTO, ANNA, "old@partner.example")))
    for one in (IDA, "ida@clear.corp.example"):  # What the command line asks; its start takes the longest.
        octets = b64encode(people[one].p12.read_bytes()).decode()
        given = {"file": "ida.p12", "password": PASSWORD, "addresses": [], "domains": []}
        made.ask("certificate.import", octets=octets, **given)
    return made.start()


def letter(subject: str, text: str = f"Good morning, {WORD}.", to: str = f"{OTTO}, {ANNA}") -> bytes:
    return (
        f"From: Ida <{IDA}>\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def send(gateway: Gateway, octets: bytes, *recipients: str, sender: str = IDA) -> str:
    """The reply to the message."""
    with Raw(gateway.port, seconds=40) as client:
        client.hello()
        assert client.ask(f"MAIL FROM:<{sender}>").startswith("250")
        for one in recipients:
            assert client.ask(f"RCPT TO:<{one}>").startswith("250")
        client.ask("DATA")
        client.send(octets)
        return client.ask(".")


def arrived(hop: Hop, before: int, count: int = 1) -> list[Got]:
    return until(
        lambda: hop.taken[before:] if len(hop.taken) >= before + count else None, "the mail at the next hop", 30
    )


def body(octets: bytes) -> bytes:
    return octets.partition(b"\r\n\r\n")[2]


def steps(gateway: Gateway, said: str) -> dict[str, tuple[str, str | None]]:
    (event,) = gateway.story(said.split()[-1], "protected")
    rows: list[dict[str, Any]] = event["recipients"]
    return {row["recipient"]: (row["step"], row.get("reason")) for row in rows}


def test_a_marked_message_leaves_encrypted_and_the_partner_finds_what_was_sent(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before = len(hop.taken)
    said = send(gateway, letter("figures"), OTTO, ANNA)
    assert said.startswith("250"), said
    (came,) = arrived(hop, before)
    assert came.recipients == (OTTO, ANNA)
    assert WORD.encode() not in came.octets
    assert b"\r\nSubject: figures\r\n" in came.octets
    for one in (OTTO, ANNA):
        assert body(people[one].opens(came.octets)) == body(letter("figures"))
    assert not people["late@partner.example"].can_open(came.octets)
    assert steps(gateway, said) == {OTTO: ("encrypted", None), ANNA: ("encrypted", None)}


def test_a_blind_recipient_is_named_in_nobody_elses_copy(gateway: Gateway, hop: Hop, people: dict[str, Person]) -> None:
    before = len(hop.taken)
    assert send(gateway, letter("figures", to=OTTO), OTTO, ANNA).startswith("250")
    came = {one.recipients: one.octets for one in arrived(hop, before, 2)}
    assert people[OTTO].can_open(came[(OTTO,)])
    assert not people[ANNA].can_open(came[(OTTO,)])
    assert people[ANNA].can_open(came[(ANNA,)])
    assert not people[OTTO].can_open(came[(ANNA,)])


@pytest.mark.parametrize("recipient", [STRANGER, "old@partner.example"])
def test_where_nobody_can_have_it_the_session_hears_the_name_of_the_rule(gateway: Gateway, recipient: str) -> None:
    said = send(gateway, letter("figures"), recipient)
    assert said.startswith("550 5.7.5 "), said
    assert '"Partners get S/MIME"' in said


def test_where_one_of_three_cannot_have_it_two_get_it_and_the_sender_hears_of_the_third(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before = len(hop.taken)
    said = send(gateway, letter("figures"), OTTO, STRANGER, ANNA)
    assert said.startswith("250"), said
    came = {one.recipients: one for one in arrived(hop, before, 2)}
    assert people[OTTO].can_open(came[(OTTO, ANNA)].octets)
    notice = came[(IDA,)]
    assert notice.sender == ""
    assert b"Final-Recipient: rfc822; stranger@partner.example" in notice.octets
    assert WORD.encode() not in notice.octets
    assert steps(gateway, said)[STRANGER] == ("refused", "no-certificate")


def test_where_all_have_to_wait_the_client_keeps_it(gateway: Gateway) -> None:
    assert send(gateway, letter("waits"), STRANGER).startswith("451 4.7.5 ")


def test_where_one_has_to_wait_his_copy_leaves_once_there_is_a_certificate(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before, late = len(hop.taken), people["late@partner.example"]
    said = send(gateway, letter("waits"), OTTO, late.address)
    assert said.startswith("250"), said
    (came,) = arrived(hop, before)
    assert came.recipients == (OTTO,)
    assert steps(gateway, said)[late.address] == ("waits", "no-certificate")
    bring(gateway, late.certificate)
    _, came = arrived(hop, before, 2)
    assert came.recipients == (late.address,)
    assert WORD.encode() not in came.octets
    assert body(late.opens(came.octets)) == body(letter("waits"))
    gateway.drained(30)


def test_what_is_signed_holds_and_can_be_read_by_everybody(gateway: Gateway, hop: Hop) -> None:
    before = len(hop.taken)
    assert send(gateway, letter("signed"), STRANGER).startswith("250")
    (came,) = arrived(hop, before)
    assert b"multipart/signed" in came.octets
    assert body(crlf(AUTHORITY[0].verify(came.octets))) == body(letter("signed"))
    changed = came.octets.replace(WORD.encode(), WORD.lower().encode())
    with pytest.raises(Exception, match="openssl"):
        AUTHORITY[0].verify(changed)


def test_both_are_one_in_the_other(gateway: Gateway, hop: Hop, people: dict[str, Person]) -> None:
    before = len(hop.taken)
    assert send(gateway, letter("both"), OTTO).startswith("250")
    (came,) = arrived(hop, before)
    assert WORD.encode() not in came.octets
    inside = people[OTTO].opens(came.octets)
    assert body(crlf(AUTHORITY[0].verify(inside))) == body(letter("both"))


def test_a_large_message_leaves_encrypted_and_comes_in_too(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before = len(hop.taken)
    text = f"{WORD} says it once more.\r\n" * 100_000
    assert send(gateway, letter("both", text), OTTO).startswith("250")
    (came,) = arrived(hop, before)
    assert WORD.encode() not in came.octets
    assert body(crlf(AUTHORITY[0].verify(people[OTTO].opens(came.octets)))) == body(letter("both", text))
    sealed = people[IDA].seals(entity("Kakapofigures\r\n" + text))
    assert send(gateway, incoming(IDA, sealed), IDA, sender=OTTO).startswith("250")
    _, came = arrived(hop, before, 2)
    assert b"\r\nSubject: [SEEN] from outside\r\n" in came.octets[:4096]
    assert body(came.octets) == body(sealed)


FORGED = b"X-Gateway-SMIME: decrypted; cipher=none\r\nAuthentication-Results: corp.example; smime=pass\r\n"


def incoming(to: str, sealed: bytes, subject: str = "from outside") -> bytes:
    return b"".join((FORGED, f"From: {OTTO}\r\nTo: {to}\r\nSubject: {subject}\r\n".encode(), sealed))


def entity(text: str) -> bytes:
    return f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()


def test_what_comes_in_for_us_is_opened_for_rules_and_goes_on_as_it_came(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before = len(hop.taken)
    sealed = people[IDA].seals(people[OTTO].signs(entity("Kakapofigures of the year")))
    said = send(gateway, incoming(IDA, sealed), IDA, sender=OTTO)
    assert said.startswith("250"), said
    (came,) = arrived(hop, before)
    assert b"\r\nSubject: [SEEN] from outside\r\n" in came.octets
    assert body(came.octets) == body(sealed)
    head = came.octets.partition(b"\r\n\r\n")[0]
    assert head.count(b"smime=pass") == 1
    assert b"smime=pass\r\n\t body.smime-identifier=otto@partner.example" in head
    assert b"X-Gateway-SMIME" not in head
    (event,) = gateway.story(said.split()[-1], "opened")
    layers = [(one["layer"], one.get("ok"), one.get("status")) for one in event["layers"]]
    assert layers == [("enveloped", True, None), ("signed", None, "good")]


def test_where_the_connector_says_so_it_is_delivered_decrypted_and_marked(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before = len(hop.taken)
    to = "ida@clear.corp.example"
    sealed = people[to].seals(entity("Kakapofigures of the year"))
    said = send(gateway, incoming(to, sealed), to, sender=OTTO)
    assert said.startswith("250"), said
    (came,) = arrived(hop, before)
    assert came.octets.startswith(b"X-Gateway-SMIME: decrypted; cipher=aes256-cbc\r\n")
    assert came.octets.count(b"X-Gateway-SMIME") == 1
    assert b"\r\nSubject: [SEEN] from outside\r\n" in came.octets
    assert body(came.octets) == b"Kakapofigures of the year\r\n"
    assert steps(gateway, said) == {to: ("decrypted", None)}


def test_whoever_has_got_hold_of_a_message_cannot_send_it_to_himself_and_read_it(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before = len(hop.taken)
    mallory, victim = "mallory@clear.corp.example", "ida@clear.corp.example"
    sealed = people[victim].seals(entity("Kakapofigures of the year"))
    said = send(gateway, incoming(mallory, sealed), mallory, sender=IDA)
    assert said.startswith("250"), said
    (came,) = arrived(hop, before)
    assert body(came.octets) == body(sealed)
    assert steps(gateway, said) == {mallory: ("as-it-came", "encrypted-for-others")}


@pytest.mark.parametrize("broken", ["shorter", "no-base64", "other"])
def test_what_is_broken_goes_on_as_it_came(gateway: Gateway, hop: Hop, people: dict[str, Person], broken: str) -> None:
    before = len(hop.taken)
    sealed = people[IDA].seals(entity("Kakapofigures of the year"))
    head, _, text = sealed.partition(b"\r\n\r\n")
    text = {"shorter": text[:200] + b"\r\n", "no-base64": b"?" * 100 + b"\r\n", "other": b"AAAA\r\n"}[broken]
    said = send(gateway, incoming(IDA, head + b"\r\n\r\n" + text), IDA, sender=OTTO)
    assert said.startswith("250"), said
    (came,) = arrived(hop, before)
    assert body(came.octets) == text
    assert b"[SEEN]" not in came.octets


def test_while_the_vault_is_away_the_client_keeps_its_mail(
    gateway: Gateway, hop: Hop, people: dict[str, Person]
) -> None:
    before = len(hop.taken)
    assert gateway.run("key", "disable", "main/default", "--yes").returncode == 0
    with Raw(gateway.port) as client:
        client.hello()
        assert client.ask(f"MAIL FROM:<{IDA}>").startswith("451 4.3.0 ")
    assert gateway.run("key", "enable", "main/default").returncode == 0
    until(lambda: not send(gateway, letter("both"), OTTO).startswith("451"), "mail to be taken again", 40)
    (came,) = arrived(hop, before)
    assert people[OTTO].can_open(came.octets)


def test_nothing_of_it_stands_under_data_in_clear(gateway: Gateway, hop: Hop) -> None:
    hop.script({"MAIL": "450 4.7.1 not yet"})
    try:
        assert send(gateway, letter("waits"), OTTO, STRANGER).startswith("250")
        until(lambda: len(gateway.queue()) >= 2, "both deliveries in the queue")
        found = search(gateway.folder / "data", needles([WORD], {}))
        assert found == []
        assert WORD not in gateway.log
    finally:
        hop.healthy()
