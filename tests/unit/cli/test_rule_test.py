"""`gateway rule test` on the command line, by the contract: no settings, no running gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from tests.fakes.settings import settings_in
from tests.fakes.smime_messages import encrypted, signed

LETTER = b"From: Ida <ida@corp.example>\nTo: otto@partner.example\nSubject: Offer [secure]\n\nhello\n"
RULES = """
- name: External
  when: {sent_to_scope: not_in_organization, from_scope: in_organization}
  then: {prepend_subject: "[EXT] "}
- {name: Secure, when: {subject_contains_words: "[secure]"}, then: {apply_ome: true}}
- {name: Olga, when: {sent_to: olga@partner.example}, then: {reject_message: {text: No, code: 5.7.905}}}
- {name: Deletes, mode: audit, when: {sender_ip_ranges: 192.0.2.0/24}, then: {delete_message: true}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "rules.yaml").write_text(RULES)
    (tmp_path / "letter.eml").write_bytes(LETTER)
    return tmp_path


def run(
    *arguments: str, to: tuple[str, ...] = ("otto@partner.example",), stdin: bytes | None = None
) -> tuple[int, str, str]:
    given = [part for one in to for part in ("--to", one)]
    name = "letter.eml" if stdin is None else "-"
    ended = CliRunner().invoke(
        app, ["rule", "test", name, "--from", "ida@corp.example", *given, *arguments], input=stdin
    )
    return ended.exit_code, ended.stdout, ended.stderr


def found(*arguments: str, **more: Any) -> dict[str, Any]:
    code, out, err = run("--rules", "some", "--json", *arguments, **more)
    assert (code, err) == (0, "")
    answer: dict[str, Any] = json.loads(out)
    return answer


def test_json_has_what_the_contract_says(folder: Path) -> None:
    answer = found("--internal", "--out", "out", to=("otto@partner.example", "olga@partner.example"))
    assert list(answer) == ["rules", "outcomes", "facts"]
    assert [rule["name"] for rule in answer["rules"]] == ["External", "Secure", "Olga", "Deletes"]
    assert answer["rules"][1] == {
        "name": "Secure",
        "mode": "enforce",
        "recipients": {
            one: {
                "matched": True,
                "because": [{"condition": "subject_contains_words", "found": ["[secure]"], "where": "subject"}],
                "unless": [],
            }
            for one in ("otto@partner.example", "olga@partner.example")
        },
    }
    assert answer["rules"][2]["recipients"]["otto@partner.example"] == {"matched": False, "because": [], "unless": []}
    by = {one["recipients"][0]: one for one in answer["outcomes"]}
    assert by["otto@partner.example"] == {
        "recipients": ["otto@partner.example"],
        "disposition": "deliver",
        "reply": None,
        "protection": "rights",
        "template": "encrypt-only",
        "require_tls": False,
        "connector": None,
        "message": "out-1.eml",
        "actions": ["prepend_subject", "apply_ome"],
    }
    refused = by["olga@partner.example"]
    assert (refused["disposition"], refused["reply"], refused["message"]) == ("reject", "550 5.7.905 No", None)
    assert b"Subject: [EXT] Offer [secure]\r\n" in (folder / "out" / "out-1.eml").read_bytes()
    assert answer["facts"] == {"attachments": []}


def test_attachments_are_told(folder: Path) -> None:
    (folder / "letter.eml").write_bytes(
        b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n"
        b"Content-Type: application/pdf; name=invoice.exe\nContent-Transfer-Encoding: base64\n\n"
        b"TVqQAAMAAAAEAAAA//8AAA==\n--b--\n"
    )
    (attachment,) = found()["facts"]["attachments"]
    assert attachment.keys() == {"name", "type", "size", "executable", "password_protected"}
    assert (attachment["name"], attachment["size"]) == ("invoice.exe", 16)


def test_without_any_rule_everybody_gets_it_as_it_is(folder: Path) -> None:
    (folder / "some" / "rules.yaml").write_text("")
    answer = found("--out", "out", to=("otto@partner.example", "olga@partner.example"))
    assert answer["rules"] == [] and answer["facts"] == {"attachments": []}
    (outcome,) = answer["outcomes"]
    assert outcome["recipients"] == ["otto@partner.example", "olga@partner.example"]
    assert (outcome["disposition"], outcome["actions"], outcome["message"]) == ("deliver", [], "out-1.eml")
    assert (folder / "out" / "out-1.eml").read_bytes() == LETTER.replace(b"\n", b"\r\n")


def test_internal_and_the_client_decide_who_the_sender_is() -> None:
    def matched(*arguments: str) -> list[str]:
        answer = found(*arguments)
        return [one["name"] for one in answer["rules"] if one["recipients"]["otto@partner.example"]["matched"]]

    assert matched() == ["Secure"]
    assert matched("--internal") == ["External", "Secure"]
    assert matched("--client-ip", "192.0.2.7") == ["Secure", "Deletes"]
    assert found("--client-ip", "192.0.2.7")["outcomes"][0]["audited"] == ["delete_message"]


def test_settings_say_which_domains_are_ours(folder: Path) -> None:
    text = settings_in(folder).path.read_text()
    (folder / "gateway.toml").write_text(text.replace('["corp.example"]', '["partner.example"]', 1))
    answer = found("--internal")
    assert not answer["rules"][0]["recipients"]["otto@partner.example"]["matched"]
    (folder / "gateway.toml").write_text("nonsense")
    assert found("--internal")["rules"][0]["recipients"]["otto@partner.example"]["matched"]


def test_rules_of_the_settings_are_the_default(folder: Path) -> None:
    settings_in(folder)
    (folder / "some").rename(folder / "rules")
    code, out, _ = run("--json")
    assert code == 0
    assert len(json.loads(out)["rules"]) == 4


def test_a_person_reads_a_table_and_sentences() -> None:
    code, out, err = run("--rules", "some", "--internal", to=("otto@partner.example", "olga@partner.example"))
    assert (code, err) == (0, "")
    for words in ("judged by 4 rules", "Secure", "[secure]", "olga@partner.example: reject", "550 5.7.905 No"):
        assert words in out


def test_what_holds_of_a_rule_that_does_not_match_is_not_told_as_the_reason_for_that() -> None:
    _, out, _ = run("--rules", "some")  # Not --internal: External's from_scope does not hold, sent_to_scope does.
    assert "only this holds: sent_to_scope" in out


def test_a_message_comes_by_standard_input_and_the_sender_may_be_null() -> None:
    arguments = ["rule", "test", "-", "--from", "<>", "--to", "otto@partner.example", "--rules", "some", "--json"]
    assert len(json.loads(CliRunner().invoke(app, arguments, input=LETTER).stdout)["rules"]) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--rules", "some", "--client-ip", "here"), 2, "192.0.2.7"),
        (("--rules", "nowhere"), 1, "nowhere"),
        ((), 1, "gateway.toml"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], code: int, words: str) -> None:
    ended, out, err = run(*arguments)
    assert (ended, out) == (code, "")
    assert words in err


def test_a_bad_address_and_a_missing_file_are_told(folder: Path) -> None:
    code, _, err = run("--rules", "some", to=("otto",))
    assert code == 2
    assert "otto" in err
    (folder / "letter.eml").unlink()
    code, _, err = run("--rules", "some")
    assert (code, "letter.eml" in err) == (1, True)


def test_bad_rules_are_named(folder: Path) -> None:
    (folder / "some" / "rules.yaml").write_text("- {name: a, then: {reject_mesage: x}}\n")
    code, out, err = run("--rules", "some", "--json")
    assert (code, out) == (1, "")
    assert "reject_message" in err


def test_what_a_signature_is_wrapped_around_is_read(folder: Path) -> None:
    (folder / "some" / "rules.yaml").write_text(
        "- {name: Words, when: {subject_or_body_contains_words: amber lantern}, then: {quarantine: true}}\n"
    )
    for message, disposition in (
        (signed(opaque=True), "quarantine"),
        (signed(), "quarantine"),
        (signed(signed(opaque=True)), "quarantine"),
        (encrypted(), "deliver"),
    ):
        (folder / "letter.eml").write_bytes(message.replace(b"\r\n", b"\n"))
        assert [one["disposition"] for one in found()["outcomes"]] == [disposition]
