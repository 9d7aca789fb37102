"""Held mail and certificates: what is said to one gateway is known to the other."""

from __future__ import annotations

import pytest

from tests.scenarios.peers.hop import Got
from tests.scenarios.peers.office import BERT, IDA, OTTO, WORD, Office
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.smime import PASSWORD, People
from tests.scenarios.peers.swaks import swaks

Offices = tuple[Office, Office]


def came(office: Office, subject: str, recipient: str = OTTO) -> list[Got]:
    wanted = f"Subject: {subject}\r\n".encode()
    return [one for one in office.hop.taken if wanted in one.octets and recipient in one.recipients]


def test_what_one_holds_the_other_lists_releases_and_deletes(offices: Offices) -> None:
    first, second = offices
    first.send("strange one")
    first.send("strange two")
    for office in offices:
        held = office.gateway.json("held", "list")
        assert [row["rules"] for row in held] == [["Held"], ["Held"]]
        assert office.gateway.queue() == []
    one, two = [row["id"] for row in held]
    shown = second.gateway.run("held", "show", one)
    assert (shown.returncode, "Held" in shown.stdout) == (0, True), shown.stderr

    def released() -> bool:  # Whoever took it has it in hand for a moment longer than the 250 takes.
        return second.gateway.run("held", "release", one).returncode == 0

    until(released, "it to be released")
    until(lambda: came(first, "strange one"), "what was held to arrive")
    assert second.gateway.run("held", "delete", two, "--yes").returncode == 0
    for office in offices:
        until(lambda office=office: office.gateway.json("held", "list") == [], "nothing to be held any more")  # type: ignore[misc]
    assert len(came(first, "strange one")) == 1 and came(first, "strange two") == []


@pytest.mark.timeout(400)
def test_a_certificate_that_one_is_given_counts_at_the_other(offices: Offices, people: People) -> None:
    first, second = offices
    otto = people.person(OTTO)
    second.send("[smime] waits", OTTO, BERT)  # Where nobody's copy may leave the client is told to come again.
    until(lambda: came(first, "[smime] waits", BERT), "the copy inside")
    # Between two states a delivery that was tried is on its way.
    until(
        lambda: any(one["attempts"] and one["state"] == "waiting" for one in first.gateway.queue()),
        "it to wait for a certificate",
    )
    assert came(first, "[smime] waits") == []
    done = first.gateway.run("certificate", "import", str(otto.certificate))
    assert done.returncode == 0, done.stderr
    for office in offices:
        assert OTTO in str(office.gateway.json("certificate", "list"))
    got = until(lambda: came(first, "[smime] waits"), "what waited to leave", 60)[0]
    assert WORD.encode() in otto.opens(got.octets) and WORD.encode() not in got.octets
    first.send("[smime] at once")
    got = until(lambda: came(first, "[smime] at once"), "it to arrive")[0]
    assert WORD.encode() in otto.opens(got.octets)

    def taken() -> bool:  # The other gateway hears of it, and reads it a moment later.
        said = swaks(second.gateway.port, "--to", OTTO, "--header", "Subject: [smime] soon", "--body", WORD)
        assert said.code == 0 or said.last.startswith("451"), said.text
        return said.code == 0

    until(taken, "the other to know of the certificate", 20)
    got = until(lambda: came(first, "[smime] soon"), "it to arrive")[0]
    assert WORD.encode() in otto.opens(got.octets)

    ida = people.person(IDA)
    done = second.gateway.run("certificate", "import", str(ida.p12), "--password-stdin", stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    assert [one["private_key"] for one in first.gateway.json("certificate", "show", IDA)] == [True]
    for name in (IDA, OTTO):
        assert second.gateway.run("certificate", "remove", name, "--yes").returncode == 0
    assert first.gateway.json("certificate", "list") == []

    def refused() -> bool:
        said = swaks(first.gateway.port, "--to", OTTO, "--header", "Subject: [smime] late", "--body", WORD)
        return said.last.startswith("451")

    until(refused, "both to have forgotten it", 60)
    for one in came(first, "[smime] late"):
        assert WORD.encode() in otto.opens(one.octets) and WORD.encode() not in one.octets
