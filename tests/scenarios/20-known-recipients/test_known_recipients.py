"""Who is known is taken, who is unknown gets 550 at RCPT, and whoever can't be asked about never does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.slapd import PASSWORD, Slapd
from tests.scenarios.peers.swaks import swaks

PEOPLE = """\
version: 1
people:
  - name: Ida Example
    addresses: [ida@people.example]
    aliases: [i.example@people.example]
groups:
  - name: All
    addresses: [all@people.example]
    members: [ida@people.example]
"""
UNKNOWN = "550 5.1.1 No such recipient here"


@pytest.fixture(scope="module")
def behind(make_postfix: Callable[..., Postfix], authority: Authority) -> Postfix:
    """Knows otto and olga of corp.example, and everybody elsewhere."""
    return make_postfix(
        hostname="behind.corp.example",
        domains="corp.example list.example people.example ldap.example open.example",
        certificate=authority.issue("behind.corp.example"),
        extra="virtual_mailbox_maps = inline:{ {otto@corp.example = all/} {olga@corp.example = all/} "
        "{@list.example = all/} {@people.example = all/} {@ldap.example = all/} {@open.example = all/} }\n",
    )


@pytest.fixture(scope="module")
def ldap(authority: Authority) -> Iterator[Slapd]:
    one = Slapd(
        {"ida": ("SMTP:Ida@ldap.example", "smtp:i.example@ldap.example"), "odd": ("smtp:o*d(d)@ldap.example",)},
        authority.issue("127.0.0.1"),
    )
    yield one.start()
    one.stop()


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], behind: Postfix, ldap: Slapd, authority: Authority) -> Gateway:
    pytest.importorskip("ldap", reason="python-ldap is not installed")
    made = make_gateway(BEHIND=behind.port, LDAP=f"ldaps://127.0.0.1:{ldap.tls_port}", CA=authority.ca)
    (made.folder / "recipients.txt").write_text("# who is there\notto@list.example\n@all.list.example\n")
    (made.folder / "people.yaml").write_text(PEOPLE)
    (made.folder / "ldap-password").write_text(PASSWORD + "\n")
    (made.folder / "ldap-password").chmod(0o600)
    return made.start()


@contextlib.contextmanager
def transaction(gateway: Gateway, sender: str = "victim@else.example") -> Iterator[Callable[[str], str]]:
    """Asks RCPT in one transaction, with a forged sender."""
    with Raw(gateway.port) as client:
        client.hello()
        assert client.ask(f"MAIL FROM:<{sender}> SMTPUTF8").startswith("250")
        yield lambda address: client.ask(f"RCPT TO:<{address}>")


def warnings(gateway: Gateway) -> list[str]:
    return [one["text"] for one in gateway.json("status")["warnings"] if one["code"] == "recipient_source"]


def test_people_whom_the_next_hop_does_not_know_get_550_and_nobody_gets_a_notice(
    gateway: Gateway, behind: Postfix
) -> None:
    taken = len(behind.messages())
    with transaction(gateway) as rcpt:
        for number in range(6):
            assert rcpt(f"nobody{number}@corp.example").startswith(UNKNOWN)
        assert rcpt("OTTO@Corp.Example").startswith("250 ")
    sent = swaks(gateway.port, "--from", "victim@else.example", "--to", "nobody@corp.example")
    assert sent.code != 0
    assert sent.last.startswith(UNKNOWN)
    assert swaks(gateway.port, "--from", "ida@else.example", "--to", "otto@corp.example").code == 0
    assert len(behind.wait(taken + 1)) == taken + 1
    gateway.drained()
    assert gateway.json("trace", "--to", "victim@else.example") == []


def test_postmaster_and_abuse_are_taken_everywhere(gateway: Gateway) -> None:
    with transaction(gateway) as rcpt:
        for domain in ("corp.example", "list.example", "people.example", "ldap.example", "open.example"):
            assert rcpt(f"PostMaster@{domain}").startswith("250 ")
            assert rcpt(f"abuse@{domain}").startswith("250 ")
        assert rcpt("postmaster").startswith("250 ")
        assert rcpt("anybody@open.example").startswith("250 ")


def test_pipelined_recipients_are_answered_in_their_order(gateway: Gateway) -> None:
    names = ["otto@corp.example", "new1@corp.example", "olga@corp.example", "new2@corp.example", "x@list.example"]
    with Raw(gateway.port) as client:
        client.hello()
        lines = ["MAIL FROM:<>", *(f"RCPT TO:<{name}>" for name in names), "NOOP"]
        client.send("".join(f"{line}\r\n" for line in lines).encode())
        assert [client.reply()[:3] for _ in lines] == ["250", "250", "550", "250", "550", "550", "250"]


def test_a_list_is_read_again_when_it_changes_and_a_bad_one_changes_nothing(gateway: Gateway) -> None:
    file = gateway.folder / "recipients.txt"

    def answer(name: str) -> str:
        with transaction(gateway) as rcpt:
            return rcpt(f"{name}@list.example")

    assert answer("otto").startswith("250 ")
    assert answer("olga").startswith(UNKNOWN)
    file.write_text("otto@list.example\nolga@list.example\n")
    until(lambda: answer("olga").startswith("250 "), "the new list to count", 15)
    file.write_text("olga@list.example\notto at list.example\n")
    told = until(lambda: warnings(gateway), "status to warn of the bad list", 15)
    assert "line 2" in told[0]
    assert answer("otto").startswith("250 ")
    assert gateway.run("check").returncode == 1
    file.write_text("otto@list.example\n")
    until(lambda: answer("olga").startswith(UNKNOWN), "the mended list to count", 15)
    assert warnings(gateway) == []


def test_a_directory_in_yaml_knows_people_aliases_groups_and_tags(gateway: Gateway) -> None:
    with transaction(gateway) as rcpt:
        for name in ("ida", "I.Example", "ALL", "ida+news"):
            assert rcpt(f"{name}@people.example").startswith("250 "), name
        for name in ("otto", "ida.news", "+ida"):
            assert rcpt(f"{name}@people.example").startswith(UNKNOWN), name


def test_ldap_knows_who_is_in_it_and_no_filter_can_be_smuggled_in(gateway: Gateway) -> None:
    with transaction(gateway) as rcpt:
        for name in ("ida", "IDA", "i.example", '"o*d(d)"'):
            assert rcpt(f"{name}@ldap.example").startswith("250 "), name
        for name in ("otto", "*", "i*", '"ida)(uid=*"', '"*"', '"x)(|(uid=*))"', "idä"):
            assert rcpt(f"{name}@ldap.example").startswith(UNKNOWN), name


def test_an_ldap_server_that_is_away_refuses_nobody_and_status_warns(gateway: Gateway, ldap: Slapd) -> None:
    ldap.halt()
    try:
        with transaction(gateway) as rcpt:
            assert rcpt("stranger@ldap.example").startswith("250 ")  # when_unsure = "accept"
        assert any("company" in text for text in warnings(gateway))
        sent = swaks(gateway.port, "--from", "ida@else.example", "--to", "stranger@ldap.example")
        assert gateway.story(sent.queue_id, "received")[0]["unverified"] == ["stranger@ldap.example"]
    finally:
        ldap.start()

    def back() -> bool:
        with transaction(gateway) as rcpt:
            return rcpt("stranger@ldap.example").startswith(UNKNOWN)

    until(back, "the gateway to ask LDAP again", 30)
    assert warnings(gateway) == []
    gateway.drained()


def test_a_next_hop_that_is_stopped_makes_no_550(gateway: Gateway, behind: Postfix) -> None:
    with transaction(gateway) as rcpt:
        assert rcpt("otto@corp.example").startswith("250 ")
    behind.halt()
    with transaction(gateway) as rcpt:
        assert rcpt("never.asked@corp.example").startswith("451 4.4.3 ")
        assert rcpt("otto@corp.example").startswith("250 ")  # He was known a moment ago.
        assert rcpt("olga@corp.example").startswith(("250 ", "451 4.4.3 "))
    assert any("home" in text for text in warnings(gateway))


def test_check_names_every_fault_of_a_file(gateway: Gateway) -> None:
    file = gateway.folder / "people.yaml"
    good = file.read_text()
    try:
        file.write_text(good.replace("aliases", "alias").replace("all@people.example", "all"))
        done = gateway.run("check")
        assert done.returncode == 1
        assert f'{file}: line 5: found the unknown key "alias"; right would be `aliases`' in done.stderr
        assert f'{file}: line 8: found "all"' in done.stderr
    finally:
        file.write_text(good)
