"""`gateway policy` as a person types it."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import key_words
from gateway.mailboxes.policies.order import CUSTODIAN, PURGE, read_order
from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine
from tests.unit.mailboxes.policies.test_purge import PRIVATE, PUBLIC

HOUSE: dict[str, Any] = {
    "name": "house",
    "id": 7,
    "state": "ready",
    "default": True,
    "roots": [{"key": "a/mail", "key_version": 1}, {"key": "b/mail", "key_version": 2}],
    "availability": {"key": "main/availability", "key_version": 1},
    "mailboxes": 3,
    "custodian": "ab" * 32,
    "created": "2026-11-03T08:00:00.000Z",
    "changed": "2026-11-03T08:00:00.000Z",
    "purge": None,
}
NEEDS = [
    {"key": "a/mail", "version": 1, "policy": False, "backups": [{"id": "1", "path": "/b/\x1bone", "made": "x"}]},
    {"key": "b/mail", "version": 2, "policy": True, "backups": []},
]
LOOKS = {
    "keys": [
        {
            "key": "b/mail",
            "kind": "root_b",
            "key_version": 2,
            "newest": 3,
            "answers": False,
            "state": "denied",
            "reason": "it is disabled",
        }
    ],
    "needs": NEEDS,
    "warnings": ["only one root answers"],
}
PURGE_FACTS = {
    "ordered": "2026-11-03T08:00:00.000Z",
    "until": "2026-12-03T08:00:00.000Z",
    "destroyed": None,
    "by": "ida",
    "reason": None,
    "contact": None,
}
CONSEQUENCES = HOUSE | {"addresses": ["ida@corp.example"], "messages": 5, "octets": 4096}


def test_create_hands_on_roots_and_the_custodians_public_key(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(PUBLIC)
    console = FakeConsole(policy__create=HOUSE | {"warnings": ["careful"]})
    result = command_line.run(
        console,
        "policy",
        "create",
        "house",
        "--root",
        "a/mail",
        "--root",
        "b/mail",
        "--custodian",
        str(tmp_path / "public.pem"),
        "--default",
    )
    assert result.code == 0
    assert "Made the policy house under a/mail and b/mail, both proved." in result.out
    assert "warning: careful" in result.err
    assert console.asked == [
        (
            "policy.create",
            {
                "name": "house",
                "roots": ["a/mail", "b/mail"],
                "custodian": PUBLIC.decode(),
                "default": True,
                "force": False,
            },
        )
    ]


def test_list_and_show_tell_what_there_is(command_line: CommandLine) -> None:
    result = command_line.run(FakeConsole(policy__list=[HOUSE]), "policy", "list")
    assert result.code == 0 and "a/mail, b/mail" in result.out
    result = command_line.run(FakeConsole(policy__show=HOUSE | LOOKS), "policy", "show", "house")
    assert result.code == 0
    for words in ("State: ready", "denied: it is disabled", "Version 1 of a/mail is needed by 1 backup (/b/?one)"):
        assert words in result.out
    assert "Version 2 of b/mail" not in result.out
    assert "only one root answers" in result.err
    shown = command_line.run(FakeConsole(policy__show=HOUSE | LOOKS), "policy", "show", "house", "--json")
    assert json.loads(shown.out) == HOUSE | LOOKS


def test_refresh_tells_of_each_key(command_line: CommandLine) -> None:
    renewed = [
        {"key": "a/mail", "kind": "root_a", "from": 1, "to": 2, "changed": True, "reason": None},
        {"key": "b/mail", "kind": "root_b", "from": 2, "to": 2, "changed": False, "reason": "it is away"},
        {"key": "main/availability", "kind": "availability", "from": 1, "to": 1, "changed": False, "reason": None},
    ]
    console = FakeConsole(policy__refresh=HOUSE | {"renewed": renewed, "needs": NEEDS})
    result = command_line.run(console, "policy", "refresh", "house")
    assert result.code == 0
    for words in (
        "a/mail: version 2 wraps the policy now, instead of 1.",
        "b/mail stays at version 2: it is away.",
        "main/availability is at its newest version, 1, already.",
        "nobody should delete it",
    ):
        assert words in result.out


def test_replace_takes_old_and_new_in_one_word(command_line: CommandLine) -> None:
    console = FakeConsole(policy__replace=HOUSE | {"needs": []})
    assert command_line.run(console, "policy", "replace", "house", "--root", "a/mail=c/mail").code == 0
    assert console.asked == [("policy.replace", {"name": "house", "old": "a/mail", "new": "c/mail", "force": False})]
    assert command_line.run(FakeConsole(), "policy", "replace", "house", "--root", "a/mail").code == 2


def test_the_default_and_the_custodian_are_named(command_line: CommandLine, tmp_path: Path) -> None:
    assert "made under house" in command_line.run(FakeConsole(policy__default=HOUSE), "policy", "default", "house").out
    assert "without a policy" in command_line.run(FakeConsole(policy__default=None), "policy", "default", "none").out
    (tmp_path / "public.pem").write_bytes(PUBLIC)
    console = FakeConsole(policy__custodian=HOUSE)
    result = command_line.run(console, "policy", "custodian", "house", str(tmp_path / "public.pem"))
    assert "ab" * 32 in result.out and console.asked[0][1]["order"] is None


def test_purge_names_what_goes_and_asks_on_a_terminal(command_line: CommandLine, tmp_path: Path) -> None:
    order = str(tmp_path / "order")
    (tmp_path / "order").write_text("{}")
    purged = HOUSE | {"state": "purging", "purge": PURGE_FACTS}
    console = FakeConsole(policy__consequences=CONSEQUENCES, policy__purge=purged, policy__cancel=HOUSE)
    command_line.terminal = True
    result = command_line.run(console, "policy", "purge", "house", "--order", order, typed="n\n")
    assert result.code == 1 and "ida@corp.example" in result.err and "3 mailboxes" in result.err
    assert [command for command, _ in console.asked] == ["policy.consequences"]
    command_line.terminal = False
    words = ("--grace", "2", "--reason", "leaving", "--contact", "ida")
    result = command_line.run(console, "policy", "purge", "house", "--order", order, *words)
    assert result.code == 0 and "destroyed after 2026-12-03 08:00:00Z" in result.out
    asked = {"name": "house", "order": "{}", "grace": 2.0, "reason": "leaving", "contact": "ida"}
    assert console.asked[-1] == ("policy.purge", asked)
    assert command_line.run(console, "policy", "purge", "house", "--cancel").code == 0
    assert console.asked[-1] == ("policy.cancel", {"name": "house"})


@pytest.mark.parametrize("arguments", [[], ["--order", "missing"], ["--cancel", "--order", "x"]])
def test_purge_wants_an_order_or_its_taking_back(command_line: CommandLine, arguments: list[str]) -> None:
    console = FakeConsole()
    assert command_line.run(console, "policy", "purge", "house", *arguments).code == 2
    assert console.asked == []


def test_the_certificate_is_written_with_what_verifies_it(command_line: CommandLine, tmp_path: Path) -> None:
    answer = {
        "name": "house",
        "certificate": '{"policy": "house"}\n',
        "signature": b64encode(b"signed").decode(),
        "public_key": "PEM",
        "verify": "openssl verifies",
    }
    out = tmp_path / "C.json"
    result = command_line.run(
        FakeConsole(policy__certificate=answer), "policy", "certificate", "house", "--out", str(out)
    )
    assert result.code == 0 and "openssl verifies" in result.out
    texts = [out.with_name(out.name + ending).read_bytes() for ending in ("", ".sig", ".pem")]
    assert texts == [b'{"policy": "house"}\n', b"signed", b"PEM"]


def test_backups_are_shown_and_forgotten(command_line: CommandLine) -> None:
    rows = [{"id": "b1", "path": "/b/one", "made": "2026-11-03T08:00:00.000Z", "there": False}]
    console = FakeConsole(policy__backups=rows)
    assert "/b/one" in command_line.run(console, "policy", "backups").out
    command_line.run(console, "policy", "backups", "--forget", "b1")
    assert console.asked[-1] == ("policy.backups", {"forget": "b1"})


def test_what_hangs_on_a_root_is_told_by_the_names_of_policies_and_mailboxes() -> None:
    use = {
        "kind": "policy",
        "policy": "house",
        "as": "root_a",
        "key_version": 1,
        "other": "b/mail",
        "mailboxes": 7,
        "addresses": [f"{name}@corp.example" for name in "abcdefg"],
        "backups": ["/b/one"],
    }
    holds: list[dict[str, Any]] = [use, use | {"as": "availability"}, use | {"as": "backup", "addresses": []}]
    facts = {"key": "a/mail", "holds": holds}
    said = key_words.consequences(facts, "disable")
    assert said[0].startswith("a/mail is a root of the policy house, of 7 mailboxes (a@corp.example, b@corp.example, ")
    assert "and 2 more" in said[0] and "read by b/mail alone" in said[0]
    assert said[1].startswith("The policy house of 7 mailboxes") and "roots alone" in said[1]
    assert len(said) == 2  # What backups need is told before a key goes for ever.
    assert key_words.consequences(facts, "delete")[-1] == "Version 1 is needed by 1 backup of the policy house: /b/one."
    assert key_words.holds(holds) == [
        "policy house",
        "availability of policy house",
        "backups of policy house",
    ]
    rotated = key_words.rotated({"key": "a/mail", "type": "aes-256", "rewrapped": 0, "holds": holds[:1]})
    assert rotated == "gateway policy refresh house puts the policy house under it; until then its older version does."
    unknown = key_words.consequences({"key": "a/mail", "holds": [], "policies_known": False}, "disable")
    assert "can't be read now" in unknown[0]


def test_an_order_is_signed_without_any_gateway(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.settings = None
    key, out, successor = tmp_path / "key.pem", tmp_path / "order.json", tmp_path / "new.pem"
    key.write_bytes(PRIVATE)
    successor.write_bytes(PUBLIC)
    console = FakeConsole()
    result = command_line.run(console, "policy", "order", "house", "--out", str(out), "--key", str(key))
    assert result.code == 0 and console.asked == []
    said = read_order(out.read_bytes(), PUBLIC)
    assert (said.action, said.policy, said.policy_id) == (PURGE, "house", None)
    result = command_line.run(console, "policy", "order", "house", "--id", "77", "--out", str(out), "--key", str(key))
    assert result.code == 0 and read_order(out.read_bytes(), PUBLIC).policy_id == 77
    result = command_line.run(
        console, "policy", "order", "house", "--out", str(out), "--key", str(key), "--successor", str(successor)
    )
    assert result.code == 0 and read_order(out.read_bytes(), PUBLIC).action == CUSTODIAN


def ordered(command_line: CommandLine, folder: Path, console: FakeConsole, *more: str) -> tuple[int, str, int | None]:
    """Exit status and standard error of `policy order house`, and the id that the order has."""
    key, out = folder / "key.pem", folder / "order.json"
    key.write_bytes(PRIVATE)
    out.unlink(missing_ok=True)
    result = command_line.run(console, "policy", "order", "house", "--out", str(out), "--key", str(key), *more)
    return result.code, result.err, read_order(out.read_bytes(), PUBLIC).policy_id if out.exists() else None


def test_an_order_is_bound_to_the_policy_of_the_gateway_that_is_named(
    command_line: CommandLine, tmp_path: Path
) -> None:
    """By its name alone it would fit any other gateway's policy of that name under the same custodian."""
    other = HOUSE | {"name": "legal", "id": 8}
    assert ordered(command_line, tmp_path, FakeConsole(policy__list=[other, HOUSE])) == (0, "", 7)
    gone = FakeConsole(policy__list=[HOUSE | {"state": "purged"}])
    code, said, _ = ordered(command_line, tmp_path, gone)
    assert code == 1 and "has no policy house that could be ended" in said and not (tmp_path / "order.json").exists()
    code, said, _ = ordered(command_line, tmp_path, FakeConsole(fault="the gateway hung up"))
    assert code == 1 and "hung up" in said and not (tmp_path / "order.json").exists()
    assert ordered(command_line, tmp_path, gone, "--by-name") == (0, "", None)
    assert ordered(command_line, tmp_path, gone, "--id", "9") == (0, "", 9)
    assert ordered(command_line, tmp_path, gone, "--id", "9", "--by-name")[0] == 2


def test_an_order_is_bound_by_settings_that_are_found_and_warned_of_where_it_is_not(
    command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The custodian's own machine knows no gateway: there an order is made all the same, by name."""
    settings, command_line.settings = command_line.settings, None
    monkeypatch.chdir("/")
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    code, said, bound = ordered(command_line, tmp_path, FakeConsole(policy__list=[HOUSE]))
    assert (code, bound) == (0, None) and "warning: the order fits any gateway's policy of the name house" in said
    assert "no settings are found here" in said and "--by-name" in said
    monkeypatch.setenv("GATEWAY_CONFIG", str(settings))
    assert ordered(command_line, tmp_path, FakeConsole(policy__list=[HOUSE])) == (0, "", 7)
    for console, why in ((FakeConsole(policy__list=[]), "no policy house"), (FakeConsole(fault="in use"), "in use")):
        code, said, bound = ordered(command_line, tmp_path, console)
        assert (code, bound) == (0, None) and why in said


def test_what_an_order_can_do_elsewhere_is_told_where_it_was_heeded(command_line: CommandLine, tmp_path: Path) -> None:
    order = tmp_path / "order.json"
    order.write_text("{}")
    (tmp_path / "public.pem").write_bytes(PUBLIC)
    answer = HOUSE | {"state": "purged", "purge": PURGE_FACTS, "warnings": ["destroy the file"]}
    for words in (("purge", "house", "--yes"), ("custodian", "house", str(tmp_path / "public.pem"))):
        console = FakeConsole(policy__purge=answer, policy__custodian=answer, policy__consequences=CONSEQUENCES)
        result = command_line.run(console, "policy", *words, "--order", str(order), "--json")
        assert result.code == 0 and "warning: destroy the file" in result.err
        assert json.loads(result.out)["warnings"] == ["destroy the file"]


def test_an_order_that_can_not_be_made_says_why(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.settings = None
    key = tmp_path / "key.pem"
    key.write_bytes(PUBLIC)
    result = command_line.run(
        FakeConsole(), "policy", "order", "house", "--out", str(tmp_path / "o"), "--key", str(key)
    )
    assert result.code == 1 and "right would be" in result.err and not (tmp_path / "o").exists()
    key.write_bytes(b"\xff")
    assert command_line.run(FakeConsole(), "policy", "order", "house", "--out", "o", "--key", str(key)).code == 2


def test_where_there_is_none_a_sentence_says_how_to_make_one(command_line: CommandLine) -> None:
    console = FakeConsole(policy__list=[], policy__backups=[])
    none = command_line.run(console, "policy", "list")
    assert none.out == (
        "There is no policy. To make one: gateway policy create NAME --root VAULT/KEY --root VAULT/KEY "
        "--custodian PUBLIC.pem\n"
    )
    assert (
        command_line.run(console, "policy", "backups").out == "No backup is known. To make one: gateway backup FILE\n"
    )
    assert command_line.run(console, "policy", "list", "--json").json == []
