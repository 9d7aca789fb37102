"""`gateway trace`: how a message is found, and how its story reads."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from gateway.cli.story import sentence, spread
from gateway.cli.trace import since_when
from gateway.observe import events
from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

TLS = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"}
STORY: dict[str, Any] = {
    "id": "Q0123",
    "events": [
        {
            "time": "2026-11-03T08:12:00.000Z",
            "event": "received",
            "from": "ida@corp.example",
            "recipients": ["otto@partner.example"],
            "client": "127.0.0.1",
            "helo": "client.example",
            "listener": "127.0.0.1:2525",
            "connector": "local",
            "tls": TLS,
            "size": 4200,
            "message_id": "<c0ffee@corp.example>",
        },
        {
            "time": "2026-11-03T08:12:00.010Z",
            "event": "routed",
            "delivery": "Q0123.1",
            "connector": "partner-out",
            "destination": "partner.example",
            "recipients": ["otto@partner.example"],
        },
        {
            "time": "2026-11-03T08:12:00.500Z",
            "event": "attempt",
            "delivery": "Q0123.1",
            "host": "mx.partner.example",
            "address": "192.0.2.1",
            "tls": {"version": "TLSv1.2", "cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "authenticated": True},
            "outcome": "delivered",
            "seconds": 0.123,
        },
        {
            "time": "2026-11-03T08:12:00.501Z",
            "event": "recipient",
            "delivery": "Q0123.1",
            "address": "otto@partner.example",
            "status": "sent",
            "reply": "250 2.0.0 ok",
        },
        {"time": "2026-11-04T00:00:00.502Z", "event": "done", "delivery": "Q0123.1"},
    ],
}
NOW = 1_793_700_000.0


def test_story_tells_both_sides_tls_in_order(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(trace=[STORY]), "trace", "Q0123")
    assert said.code == 0 and said.err == ""
    heading, *lines = said.out.splitlines()
    assert heading.startswith("Q0123  2026-11-03") and len(lines) == len(STORY["events"])
    assert lines[0].startswith("  08:12:00.000") and "TLSv1.3 with TLS_AES_256_GCM_SHA384" in lines[0]
    assert "client.example" in lines[0] and "connector local" in lines[0] and "<c0ffee@corp.example>" in lines[0]
    assert "partner-out towards partner.example" in lines[1]
    assert "mx.partner.example (192.0.2.1)" in lines[2]
    assert "TLSv1.2 with TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, certificate verified" in lines[2]
    assert "delivered to otto@partner.example: 250 2.0.0 ok" in lines[3]
    assert lines[4].startswith("  2026-11-04 00:00:00Z")


def test_every_kind_of_event_has_words_of_its_own() -> None:
    kinds = [kind for name, kind in vars(events).items() if name.isupper()]
    assert len(kinds) >= 12
    for kind in kinds:
        said = sentence({"event": kind, "time": "2026-11-03T08:12:00.000Z", "delivery": "Q.1"})
        assert said and not said.startswith(kind), kind


def test_an_attempt_that_settled_all_is_told_as_what_happened() -> None:
    folded = {
        "time": "2026-11-03T08:12:00.000Z",
        "event": "attempt",
        "delivery": "Q.1",
        "host": "mx",
        "outcome": "delivered",
        "recipients": [{"address": "a@b.example", "status": "sent", "reply": "250 ok"}],
        "done": True,
    }
    told = spread([folded])
    assert [one["event"] for one in told] == ["attempt", "recipient", "done"]
    assert "delivered to a@b.example: 250 ok" in sentence(told[1])
    assert all(one["delivery"] == "Q.1" and one["time"] == folded["time"] for one in told)


def test_an_unknown_event_is_shown_as_it_stands() -> None:
    assert sentence({"event": "weighed", "time": "x", "scale": "s1"}) == "weighed: scale s1"


def test_a_next_hop_in_clear_is_said_to_be_so() -> None:
    hop = {"event": "attempt", "delivery": "Q.1", "host": "mx", "address": "192.0.2.1", "outcome": "delivered"}
    assert sentence(hop | {"tls": None}).endswith("; in clear")
    assert "TLS handshake that failed" in sentence(hop | {"tls": {"version": None, "fallback": True}})
    assert "certificate not verified" in sentence(hop | {"tls": TLS | {"authenticated": False}})


def test_a_waiting_recipient_s_reason_and_code_are_told() -> None:
    said = sentence(
        {
            "event": "recipient",
            "delivery": "Q.1",
            "address": "otto@partner.example",
            "status": "waiting",
            "reason": "certificate-expired",
            "enhanced": "4.7.320",
            "reply": "450 4.7.320 certificate-expired",
        }
    )
    assert "(certificate-expired 4.7.320)" in said and "not yet delivered" in said


def test_sixty_columns_fold_the_story(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(trace=[STORY]), "trace", "Q0123", columns=60)
    assert max(map(len, said.out.splitlines())) <= 60
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" in said.out


def test_json_is_the_answer_as_it_came(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(trace=[STORY]), "trace", "Q0123", "--json")
    assert said.json == [STORY] and said.err == ""


def test_an_id_that_is_not_there_is_a_no(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(trace=[]), "trace", "Q9", "--json")
    assert said.code == 1 and said.json == [] and "Q9" in said.err


def test_a_search_without_a_result_says_so(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(trace=[]), "trace", "--to", "otto@partner.example")
    assert said.code == 0 and "No message of that" in said.out and said.err == ""


def test_what_is_searched_for_reaches_the_console(command_line: CommandLine) -> None:
    console = FakeConsole(trace=[])
    command_line.run(
        console, "trace", "--message-id", "c0ffee@corp.example", "--from", "corp.example", "--to", "a@b.example",
        "--since", "2h", "--limit", "7",
    )  # fmt: skip
    assert console.asked == [
        (
            "trace",
            {
                "id": None,
                "message_id": "<c0ffee@corp.example>",
                "sender": "corp.example",
                "recipient": "a@b.example",
                "since": command_line.clock.now() - 7200,
                "limit": 7,
            },
        )
    ]


def test_a_trace_of_everything_is_wrong_use(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(trace=[]), "trace")
    assert said.code == 2 and "--message-id" in said.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", NOW - 1800),
        ("2h", NOW - 7200),
        ("7d", NOW - 7 * 86400),
        ("2026-11-03T08:00:00Z", 1793692800.0),
        ("2026-11-03T09:00:00+01:00", 1793692800.0),
        ("2026-11-03", 1793664000.0),
    ],
)
def test_since_takes_times_and_spans(text: str, seconds: float) -> None:
    assert since_when(text, NOW) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-3h", "2026-13-03", "9999999999d"])
def test_since_names_what_would_be_right(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="2h"):
        since_when(text, NOW)


def test_a_sentence_of_ours_is_not_told_twice() -> None:
    event = {"event": events.RECIPIENT, "delivery": "Q1.1", "address": "a@x.example", "status": "waiting"}
    ours = {"enhanced": "4.4.2", "reason": "the host closed the connection"}
    said = sentence(event | ours | {"reply": "451 4.4.2 The host closed the connection"})
    assert said == "Delivery Q1.1 not yet delivered to a@x.example (the host closed the connection 4.4.2)"
    theirs = sentence(event | {"enhanced": "4.2.1", "reason": None, "reply": "451 4.2.1 Busy"})
    assert theirs.endswith("(4.2.1): 451 4.2.1 Busy")


def test_a_clients_certificate_is_told(command_line: CommandLine) -> None:
    event = {
        "time": "2026-11-26T00:37:33.896Z",
        "event": "received",
        "from": "ida@partner.example",
        "recipients": ["otto@corp.example"],
        "client": "192.0.2.7",
        "tls": {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"},
        "certificate": {"name": "mx.partner.example", "issuer": "Partner CA", "trusted": True},
    }
    console = FakeConsole(trace=[{"id": "Q1", "events": [event]}])
    assert "certificate of mx.partner.example from Partner CA, trusted" in command_line.run(console, "trace", "Q1").out


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"dkim": [{"result": "pass", "domain": "corp.example", "selector": "sel", "bits": 2048, "reason": ""}]},
            "DKIM signature pass of corp.example (selector sel, 2048 bits)",
        ),
        ({"dkim": [{"result": "none", "reason": "not_signed", "domain": ""}]}, "Not signed with DKIM"),
        (
            {
                "dkim": [
                    {"result": "fail", "domain": "a.example", "selector": "s", "reason": "body_changed"},
                    {"result": "neutral", "domain": "", "reason": "of_another_version"},
                ],
                "skipped": 3,
            },
            "DKIM signatures: fail of a.example (selector s): the body is not the one that was signed; "
            "neutral: of_another_version; 3 more were not judged",
        ),
    ],
)
def test_what_was_found_of_signatures_is_told(facts: dict[str, Any], words: str) -> None:
    assert sentence({"event": events.AUTHENTICATED, **facts}) == words


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            [{"layer": "enveloped", "ok": True, "recipient": "a@b.example", "algorithm": "aes256-cbc"}],
            "S/MIME: encrypted with aes256-cbc, opened with the key of a@b.example",
        ),
        (
            [
                {"layer": "enveloped", "ok": False, "reason": "no-recipient-of-ours"},
                {"layer": "signed", "status": "bad", "signer": "c@d.example", "reason": "digest-mismatch"},
            ],
            "S/MIME: encrypted, not opened (no-recipient-of-ours); signed by c@d.example: bad (digest-mismatch)",
        ),
    ],
)
def test_what_was_found_inside_is_told(layers: list[dict[str, Any]], words: str) -> None:
    assert sentence({"event": events.OPENED, "layers": layers}) == words


def test_which_protection_each_recipient_got_is_told_and_why() -> None:
    rows = [
        {"recipient": "a@b.example", "step": "encrypted", "rule": "Partners", "certificate": "00ff"},
        {"recipient": "c@b.example", "step": "encrypted", "rule": "Partners"},
        {"recipient": "d@b.example", "step": "waits", "rule": "Partners", "reason": "no-certificate"},
        {"recipient": "e@b.example", "step": "decrypted"},
    ]
    assert sentence({"event": events.PROTECTED, "recipients": rows}) == (
        "Protection: encrypted for a@b.example, c@b.example, by the rule Partners; "
        "waits for d@b.example, by the rule Partners: no certificate is known for the recipient; "
        "decrypted for e@b.example"
    )


def test_what_rules_decided_is_told_in_one_line() -> None:
    outcome = {"recipients": ["a@x.example", "b@x.example"], "disposition": "deliver", "protection": "smime"}
    refused = {"recipients": ["c@x.example"], "disposition": "reject", "reply": "550 5.7.1 No", "protection": "none"}
    facts = {
        "rules": [{"name": "One\x1b[2J"}, {"name": "Two"}],
        "outcomes": [outcome | {"require_tls": True, "connector": "out", "actions": ["apply_smime"]}, refused],
    }
    assert sentence({"event": events.RULED, **facts}) == (
        "Rules matched: One?[2J, Two; a@x.example, b@x.example may have it, under S/MIME (encrypt) and TLS, "
        "by the connector out, done by rules: apply_smime; it is refused for c@x.example (550 5.7.1 No)"
    )


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ({"disposition": "quarantine"}, "it is held for a@x.example"),
        ({"disposition": "delete"}, "it is deleted for a@x.example"),
        ({"disposition": "redirect"}, "it goes to a@x.example instead"),
        (
            {"disposition": "defer", "reply": "451 4.7.5 Later"},
            "it has to come again for a@x.example (451 4.7.5 Later)",
        ),
        (
            {"disposition": "deliver", "protection": "rights", "template": "encrypt-only", "audited": ["quarantine"]},
            "a@x.example may have it, under rights protection (encrypt-only), "
            "would be done by audited rules: quarantine",
        ),
    ],
)
def test_what_becomes_of_a_message_by_rules_is_told_in_words(outcome: dict[str, Any], words: str) -> None:
    facts = {"rules": [{"name": "One"}], "outcomes": [{"recipients": ["a@x.example"]} | outcome]}
    assert sentence({"event": events.RULED, **facts}) == f"Rules matched: One; {words}"


def test_what_waits_for_its_protection_says_for_which_and_why() -> None:
    facts = {"delivery": "Q1.1", "rule": "Partners", "reason": "no-certificate", "recipients": ["a@x.example"]}
    lacks = "no certificate is known for the recipient"
    assert sentence({"event": events.UNPROTECTED, **facts}) == (
        f"Delivery Q1.1 for a@x.example waits sealed for what the rule Partners wants: {lacks}"
    )
    tried = {"delivery": "Q1.1", "address": "a@x.example", "status": "waiting", "enhanced": "4.7.0"}
    said = {"reason": "no-certificate", "reply": "451 4.7.0 no-certificate"}
    told = sentence({"event": events.RECIPIENT, **tried, **said})
    assert told == f"Delivery Q1.1 not yet delivered to a@x.example: {lacks}"
    assert "Q1.1, whose trace" in sentence({"event": events.HANDED_ON, "from": "Q1.1"})


def test_every_kind_of_event_has_a_sentence() -> None:
    kinds = {value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
    assert {kind for kind in kinds if sentence({"event": kind}) == kind} == set()


def test_rights_and_what_stands_in_their_way_are_told_in_words() -> None:
    row = {"recipient": "a@x.example", "step": "rights", "rule": "R", "template": "do-not-forward", "work": "w"}
    facts = {"recipients": [row, {**row, "step": "waits", "template": None, "reason": "no-certificate, no-portal"}]}
    said = sentence({"event": "protected", "time": 0, **facts})
    assert "rights (do-not-forward) for a@x.example, by the rule R" in said
    assert "no certificate is known for the recipient; gateway.toml has no [portal]" in said


def test_what_was_opened_under_rights_is_told_as_such() -> None:
    layers = [{"layer": "rights", "ok": True, "work": "w"}, {"layer": "rights", "ok": False, "reason": "forged"}]
    said = sentence({"event": "opened", "time": 0, "layers": layers})
    assert said.startswith("Rights: protected by rights of ours (w), opened; ") and "not opened (forged)" in said


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"mailbox": "ida@corp.example", "folder": "INBOX", "policy": "house"},
            "INBOX of the mailbox ida@corp.example, under the policy house",
        ),
        (
            {"mailbox": "ida@corp.example", "folder": None, "policy": None},
            "the mailbox ida@corp.example, under no policy",
        ),
    ],
)
def test_which_mailbox_it_went_into_is_told(facts: dict[str, Any], words: str) -> None:
    event = {"event": "recipient", "delivery": "Q1.1", "address": "a@b.example", "status": "sent", "reply": "250 ok"}
    assert sentence(event | facts) == f"Delivery Q1.1 delivered to a@b.example: 250 ok; {words}"
