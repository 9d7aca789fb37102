"""`gateway key`: consequences before the deed, the question, what is asked of the console, and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cli import key_words
from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

SPOOL = {"kind": "domain_key", "key": "domain/spool", "version": 1, "root_version": 1}
SPOOL_2 = {**SPOOL, "version": 2}
TRACE = {**SPOOL, "key": "domain/trace"}
ACCOUNTS = {**SPOOL, "key": "domain/accounts"}
DKIM = {"kind": "dkim", "domain": "corp.example", "selector": "s1"}
LOG = {"kind": "key_log"}

ROOT: dict[str, Any] = {
    "key": "main/default",
    "vault": "main",
    "name": "default",
    "type": "aes-256",
    "state": "enabled",
    "versions": [
        {"version": 1, "created": "2026-11-03T10:00:00.000Z"},
        {"version": 2, "created": "2026-11-26T10:00:00.000Z"},
    ],
    "ends": None,
    "holds": [SPOOL, SPOOL_2, TRACE],
}
FACTS: dict[str, Any] = {
    "key": "main/default",
    "type": "aes-256",
    "state": "enabled",
    "holds": [SPOOL, TRACE],
    "queue": {"messages": 12, "octets": 35_000},
    "traces": 120,
    "accounts": None,
    "signing": False,
}
DISABLED = {**ROOT, "state": "disabled"}
DELETED = {**ROOT, "state": "deleted", "ends": "2026-12-26T10:00:00.000Z"}
LISTED: dict[str, Any] = {
    "vaults": [
        {"name": "main", "provider": "file", "health": "answers", "reason": None},
        {"name": "hsm", "provider": "pkcs11", "health": "away", "reason": "the token is not there"},
    ],
    "keys": [ROOT, {**DELETED, "key": "main/old", "holds": []}],
    "domain_keys": [
        {
            "key": "domain/spool",
            "versions": [
                {"version": 1, "created": "2026-11-03T10:00:00.000Z", "root": "main/old", "root_version": 1},
                {"version": 2, "created": "2026-11-26T10:00:00.000Z", "root": "main/default", "root_version": 2},
            ],
        }
    ],
}


def test_keys_are_listed_with_what_hangs_on_them(command_line: CommandLine) -> None:
    console = FakeConsole(key__list=LISTED)
    said = command_line.run(console, "key", "list")
    lines = [line.split() for line in said.out.splitlines()]
    assert ["hsm", "pkcs11", "away"] in lines
    assert ["main/default", "aes-256", "enabled", "2", "2026-11-26", "spool", "1,", "2;", "trace", "1"] in lines
    assert ["main/old", "aes-256", "deleted,", "ends", "2026-12-26", "2", "2026-11-26", "-"] in lines
    assert ["domain/spool", "1,", "2", "main/old", "1,", "main/default", "2", "2026-11-26"] in lines
    assert said.err == "gateway: vault hsm: the token is not there\n"
    assert command_line.run(console, "key", "list", "--json").json == LISTED


def test_the_list_fits_eighty_columns(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(key__list=LISTED), "key", "list", columns=80)
    assert max(map(len, said.out.splitlines())) <= 80
    assert "main/default" in said.out


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_the_longest_names_fit_the_terminal(command_line: CommandLine, columns: int) -> None:
    domain = ".".join(["d" * 60] * 4)
    long = {**ROOT, "key": f"main/dkim.{domain}.gw2026", "holds": [{**DKIM, "domain": domain, "selector": "gw2026"}]}
    listed = {**LISTED, "keys": [ROOT, long]}
    said = command_line.run(FakeConsole(key__list=listed), "key", "list", columns=columns)
    assert max(map(len, said.out.splitlines())) <= columns
    assert "main/dkim.ddd" in said.out and "ddd.gw2026" in said.out and "…" in said.out
    whole = command_line.run(FakeConsole(key__list=listed), "key", "list").out  # For scripts, nothing is cut.
    assert f"main/dkim.{domain}.gw2026" in whole and "…" not in whole


def test_a_key_is_made_of_a_known_type(command_line: CommandLine) -> None:
    console = FakeConsole(key__create=ROOT)
    said = command_line.run(console, "key", "create", "main/default", "--type", "aes-256")
    assert (said.code, said.out) == (0, "Made main/default, of type aes-256.\n")
    assert console.asked == [("key.create", {"key": "main/default", "type": "aes-256"})]
    wrong = command_line.run(console, "key", "create", "main/x", "--type", "des")
    assert wrong.code == 2 and "rsa-2048, rsa-3072" in " ".join(wrong.err.replace("│", " ").split())
    assert command_line.run(console, "key", "create", "main/x").code == 2
    assert len(console.asked) == 1


def test_types_are_those_of_the_vaults() -> None:
    from gateway.cli.key import TYPES
    from gateway.keys.vault import KeyType

    assert list(KeyType) == list(TYPES)


def test_rotation_says_how_many_rows_it_took(command_line: CommandLine) -> None:
    console = FakeConsole(key__rotate={**ROOT, "rewrapped": 5})
    said = command_line.run(console, "key", "rotate", "main/default")
    assert said.out == "main/default has version 2; 5 domain keys were wrapped anew under it. No mail was touched.\n"
    one = command_line.run(FakeConsole(key__rotate={**ROOT, "rewrapped": 1}), "key", "rotate", "main/default")
    assert "1 domain key was wrapped anew" in one.out


def test_a_rotated_signing_key_is_said_to_sign(command_line: CommandLine) -> None:
    log_key = {**ROOT, "key": "main/access-log", "name": "access-log", "type": "rsa-2048", "holds": [LOG]}
    said = command_line.run(FakeConsole(key__rotate={**log_key, "rewrapped": 0}), "key", "rotate", "main/access-log")
    assert said.out == (
        "main/access-log has version 2; it signs the key-access log from now on, and what the older ones signed can "
        "still be verified.\n"
    )
    other = {**ROOT, "key": "main/signer", "type": "ed25519", "holds": [], "rewrapped": 0}
    said = command_line.run(FakeConsole(key__rotate=other), "key", "rotate", "main/signer")
    assert "main/signer has version 2; it signs from now on" in said.out and "wrapped" not in said.out


def test_a_rotated_domain_key_says_from_when_on_it_is_used(command_line: CommandLine) -> None:
    answer = {
        "key": "domain/spool",
        "version": 2,
        "root": "main/default",
        "root_version": 1,
        "used_from": "2026-11-26T10:01:00.000Z",
    }
    said = command_line.run(FakeConsole(key__rotate=answer), "key", "rotate", "domain/spool")
    assert "domain/spool has version 2, wrapped by main/default" in said.out
    assert "from 2026-11-26 10:01:00Z" in said.out


@pytest.mark.parametrize("verb", ["disable", "delete"])
def test_without_a_terminal_nothing_is_done_unasked(command_line: CommandLine, verb: str) -> None:
    console = FakeConsole(key__consequences=FACTS)
    said = command_line.run(console, "key", verb, "main/default")
    assert said.code == 2 and [command for command, _ in console.asked] == ["key.consequences"]
    assert "main/default wraps the domain keys spool 1 and trace 1." in said.err and said.out == ""
    assert f"here is no terminal to ask at; say --yes to {verb} it unasked" in " ".join(
        said.err.replace("│", " ").split()
    )


@pytest.mark.parametrize("verb", ["disable", "delete"])
def test_a_key_that_is_not_there_is_told_before_anything_is_asked(command_line: CommandLine, verb: str) -> None:
    words = "vault 'main' holds no key 'x'; it holds default"
    for command_line.terminal in (False, True):
        said = command_line.run(FakeConsole(fault=words), "key", verb, "main/x")
        assert (said.code, said.err) == (1, f"gateway: {words}\n")


def test_yes_names_the_consequences_all_the_same(command_line: CommandLine) -> None:
    console = FakeConsole(key__consequences=FACTS, key__disable=DISABLED)
    said = command_line.run(console, "key", "disable", "main/default", "--yes", "--json")
    assert said.json == DISABLED  # The consequences stand on standard error alone.
    assert "12 messages (34.2 KiB) in the queue can't be read" in said.err
    assert [command for command, _ in console.asked] == ["key.consequences", "key.disable"]


def test_the_tenant_key_s_consequences_are_those_of_protected_mail(command_line: CommandLine) -> None:
    tenant = {"key": "main/tenant", "type": "rsa-2048", "holds": [{"kind": "tenant"}], "rights": 7, "copies": None}
    console = FakeConsole(key__consequences=FACTS | tenant, key__disable=DISABLED, key__delete=DELETED)
    said = command_line.run(console, "key", "disable", "main/tenant", "--yes", "--json")
    assert "No mail is sealed with rights any more" in said.err and "7 messages so far" in said.err
    assert "destroyed" not in said.err
    said = command_line.run(console, "key", "delete", "main/tenant", "--yes", "--json")
    assert "Once it is destroyed" in said.err
    portal = FACTS | {"holds": [{**SPOOL, "key": "domain/portal"}], "copies": 4}
    said = command_line.run(
        FakeConsole(key__consequences=portal, key__disable=DISABLED), "key", "disable", "main/default", "--yes"
    )
    assert "4 stored copies" in said.err


def test_at_a_terminal_the_answer_no_changes_nothing(command_line: CommandLine) -> None:
    command_line.terminal = True
    for typed in ("n\n", "\n"):
        console = FakeConsole(key__consequences=FACTS)
        said = command_line.run(console, "key", "disable", "main/default", typed=typed)
        assert said.code == 1 and "nothing was changed" in said.err
        assert [command for command, _ in console.asked] == ["key.consequences"]


def test_at_a_terminal_the_answer_yes_does_it(command_line: CommandLine) -> None:
    command_line.terminal = True
    console = FakeConsole(key__consequences=FACTS, key__disable=DISABLED)
    said = command_line.run(console, "key", "disable", "main/default", typed="y\n")
    assert said.code == 0
    assert said.out.endswith("main/default is disabled. To allow its use again: gateway key enable main/default\n")
    assert "Disable main/default?" in said.err


def test_a_deletion_says_until_when_it_can_be_taken_back(command_line: CommandLine) -> None:
    console = FakeConsole(key__consequences=FACTS, key__delete=DELETED)
    said = command_line.run(console, "key", "delete", "main/default", "--after", "10", "--yes")
    assert said.code == 0
    assert "destroyed after 2026-12-26 10:00:00Z. Until then: gateway key recover main/default" in said.out
    assert "nobody can ever read any of that again" in said.err
    assert console.asked[1] == ("key.delete", {"key": "main/default", "after": 10.0, "force": False})
    command_line.run(console, "key", "delete", "main/default", "--after", "1", "--force", "--yes")
    assert console.asked[3] == ("key.delete", {"key": "main/default", "after": 1.0, "force": True})


def test_by_default_a_deletion_waits_thirty_days(command_line: CommandLine) -> None:
    console = FakeConsole(key__consequences=FACTS, key__delete=DELETED)
    command_line.run(console, "key", "delete", "main/default", "--yes")
    assert console.asked[1][1]["after"] == 30


def test_enable_and_recover_say_what_comes_next(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(key__enable=ROOT), "key", "enable", "main/default")
    assert said.out == "main/default is enabled.\n"
    said = command_line.run(FakeConsole(key__recover=DISABLED), "key", "recover", "main/default")
    assert "is recovered, and disabled" in said.out and "gateway key enable main/default" in said.out


def test_domain_keys_find_a_new_home(command_line: CommandLine) -> None:
    console = FakeConsole(key__rehome={"key": "hsm/root", "from": "main/default", "rewrapped": 5})
    said = command_line.run(console, "key", "rehome", "--from", "main/default", "--to", "hsm/root")
    assert said.out.startswith("5 domain keys are wrapped by hsm/root now. Keep main/default")
    assert console.asked == [("key.rehome", {"source": "main/default", "target": "hsm/root"})]


def test_a_fault_is_told_and_ends_with_one(command_line: CommandLine) -> None:
    console = FakeConsole(fault="vault 'main' holds no key 'x'; it holds default")
    for arguments in (["enable", "main/x"], ["disable", "main/x", "--yes"], ["list"]):
        said = command_line.run(console, "key", *arguments)
        assert (said.code, said.err) == (1, "gateway: vault 'main' holds no key 'x'; it holds default\n")


# -- words -------------------------------------------------------------------------------------------------------------


def test_words_name_each_thing_that_hangs_on_a_key() -> None:
    facts = {**FACTS, "holds": [SPOOL, SPOOL_2, TRACE, ACCOUNTS, {**DKIM, "use": "active"}, LOG], "accounts": 1}
    said = " ".join(key_words.consequences(facts, "disable"))
    assert "main/default wraps the domain keys spool 1, 2; trace 1 and accounts 1." in said
    assert "whoever brings mail is answered 451" in said
    assert "the trace of 120 messages, and 1 account, so that nobody logs in" in said
    assert "Mail of corp.example is no longer signed with the selector s1." in said
    assert "nobody signs its heads" in said
    assert "ever read" not in said and "prove nothing" not in said
    deleted = " ".join(key_words.consequences(facts, "delete"))
    assert "ever read" in deleted and "the heads that it has signed prove nothing here any more" in deleted


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("active", "Mail of corp.example is no longer signed with the selector s1."),
        ("retired", "was retired: nothing is signed with it any more"),
        ("next", "signs nothing yet: it waits to be activated for mail of corp.example, with the selector s1"),
        ("unused", "is none of the keys of gateway dkim key list"),
        (None, "Mail of corp.example may be signed with the selector s1"),
    ],
)
def test_words_on_a_dkim_key_say_whether_it_signs(use: str | None, words: str) -> None:
    held = DKIM if use is None else {**DKIM, "use": use}
    (said,) = key_words.consequences({**FACTS, "holds": [held]}, "disable")
    assert words in said
    assert ("no longer signed" in said) is (use == "active")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({}, "Its mail is read by b/mail alone then"),
        ({"other_answers": True}, "Its mail is read by b/mail alone then"),
        ({"other_answers": False}, "The other one, b/mail, does not answer already, so nobody reads its mail then"),
    ],
)
def test_words_on_a_root_say_whether_the_other_one_still_opens(answers: dict[str, bool], words: str) -> None:
    use = {"kind": "policy", "policy": "house", "as": "root_a", "key_version": 1, "other": "b/mail", **answers}
    held = {**use, "mailboxes": 1, "addresses": ["ida@corp.example"], "backups": []}
    (said,) = key_words.consequences({**FACTS, "holds": [held], "queue": None, "traces": None}, "disable")
    assert words in said and ("alone" in said) is (answers.get("other_answers") is not False)


def test_a_key_on_which_nothing_hangs_is_said_to_be_one() -> None:
    facts = {**FACTS, "holds": [], "queue": None, "traces": None}
    assert key_words.consequences(facts, "delete") == ["Nothing that this gateway knows of hangs on main/default."]


def test_the_last_key_of_dkims_facts_takes_all_signatures() -> None:
    facts = {**FACTS, "holds": [{**SPOOL, "key": "domain/dkim"}], "queue": None, "traces": None, "signing": True}
    said = key_words.consequences(facts, "disable")
    assert said[0] == "main/default wraps the domain keys dkim 1."
    assert "no mail is signed with DKIM" in said[1] and len(said) == 2


def test_names_of_others_cannot_move_the_cursor() -> None:
    evil = {**FACTS, "holds": [{**DKIM, "domain": "corp\x1b[2J.example"}]}
    assert "\x1b" not in " ".join(key_words.consequences(evil, "disable"))
