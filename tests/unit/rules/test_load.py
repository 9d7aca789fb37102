"""Files of rules: the contract's form, every fault with its place, and what a file may not hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from gateway.mail.terms import Otherwise, Smime
from gateway.rules import files
from gateway.rules import load as reading
from gateway.rules.fault import MOST, BadRules, Fault
from gateway.rules.load import load
from gateway.rules.model import DataType, Mode, OnError, Rule, RuleSet, SenderLocation
from gateway.rules.values import HeaderField, HeaderWords, NotifyMode, Rejection, SenderNotice, WantedSmime

CONTRACT = """\
- name: Tagged mail is protected          # a file holds a list of rules; files are read in the order of their names
  priority: 10                            # else the order in which they stand
  mode: enforce                           # audit | audit_and_notify
  when: {subject_contains_words: ["[secure]"], sent_to_scope: not_in_organization}
  unless: {recipient_domain_is: [partner.example]}
  then: {apply_ome: true}
- name: Partners get S/MIME
  when: {recipient_domain_is: [partner.example]}
  then: {apply_smime: encrypt, smime_otherwise: rights}     # encrypt | sign | both; rights | reject | defer
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Files of the folder, by name."""

    def made(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / "rules" / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return tmp_path / "rules"

    return made


def rule(write: Write, text: str) -> Rule:
    (one,) = load(write(a=text))
    return one


def faults(folder: Path) -> list[Fault]:
    with pytest.raises(BadRules) as bad:
        load(folder)
    return list(bad.value.faults)


def fault(write: Write, text: str) -> Fault:
    (one,) = faults(write(a=text))
    return one


# -- what is right -----------------------------------------------------------------------------------------------------


def test_the_form_of_the_contract(write: Write) -> None:
    first, second = load(write(a=CONTRACT))
    assert (first.name, first.priority, first.mode) == ("Tagged mail is protected", 10, Mode.ENFORCE)
    assert [(one.name, one.value, one.line) for one in first.when] == [
        ("subject_contains_words", ("[secure]",), 4),
        ("sent_to_scope", "not_in_organization", 4),
    ]
    assert [(one.name, one.value) for one in first.unless] == [("recipient_domain_is", ("partner.example",))]
    assert [(one.name, one.value) for one in first.then] == [("apply_ome", True)]
    assert [(one.name, one.value) for one in second.then] == [
        ("apply_smime", WantedSmime(Smime.ENCRYPT, Otherwise.RIGHTS))
    ]
    assert (first.file.endswith("a.yaml"), first.line, second.line) == (True, 1, 7)


def test_all_properties_of_a_rule(write: Write) -> None:
    one = rule(
        write,
        "- name: All\n  priority: 3\n  mode: audit_and_notify\n  enabled: false\n  activation_date: 2026-12-01\n"
        "  expiry_date: 2026-12-01T12:00:00Z\n  rule_error_action: ignore\n  sender_address_location: envelope\n"
        "  comments: |\n    For two days.\n    Really.\n  then: {quarantine: true}\n",
    )
    assert (one.mode, one.enabled, one.on_error) == (Mode.AUDIT_AND_NOTIFY, False, OnError.IGNORE)
    assert (one.activation, one.expiry) == (1796083200.0, 1796126400.0)
    assert (one.sender_location, one.comments) == (SenderLocation.ENVELOPE, "For two days.\nReally.\n")


def test_a_rule_works_from_its_first_moment_until_before_its_last(write: Write) -> None:
    dates = "- {name: A, activation_date: 2026-12-01, expiry_date: 2026-12-02, then: {quarantine: true}}"
    one = rule(write, dates)
    begins, ends = 1796083200.0, 1796083200.0 + 86400
    assert [one.works_at(now) for now in (begins - 1, begins, ends - 1, ends)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("then", "action"),
    [
        ("{apply_smime: encrypt}", OnError.DEFER),
        ("{apply_ome: true}", OnError.DEFER),
        ("{reject_message: No}", OnError.DEFER),
        ("{quarantine: true}", OnError.DEFER),
        ("{route_message_outbound_require_tls: true}", OnError.DEFER),
        ("{prepend_subject: '[EXT] '}", OnError.IGNORE),
        ("{copy_to: a@corp.example}", OnError.IGNORE),
        ("{prepend_subject: x, quarantine: true}", OnError.DEFER),
    ],
)
def test_an_error_of_a_rule_that_protects_defers(write: Write, then: str, action: OnError) -> None:
    assert rule(write, f"- name: A\n  then: {then}\n").on_error is action


def test_rules_run_by_priority_and_those_without_one_behind_them_as_they_stand(write: Write) -> None:
    then = "then: {quarantine: true}"
    found = load(
        write(
            b=f"- {{name: fourth, {then}}}\n- {{name: first, priority: 0, {then}}}\n- {{name: fifth, {then}}}\n",
            a=f"- {{name: third, {then}}}\n- {{name: second, priority: 7, {then}}}\n",
        )
    )
    assert [one.name for one in found] == ["first", "second", "third", "fourth", "fifth"]
    assert [one.priority for one in found] == [0, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("then", "name", "value"),
    [
        ("{set_header: {name: X-A, value: '1'}}", "set_header", HeaderField("X-A", "1")),
        ("{set_header_name: X-A, set_header_value: '1'}", "set_header", HeaderField("X-A", "1")),
        ("{reject_message: {text: No, code: 5.7.905}}", "reject_message", Rejection("No", "5.7.905")),
        (
            "{reject_message_reason_text: No, reject_message_enhanced_status_code: 5.7.905}",
            "reject_message",
            Rejection("No", "5.7.905"),
        ),
        (
            "{reject_message: No, reject_message_enhanced_status_code: 5.7.905}",
            "reject_message",
            Rejection("No", "5.7.905"),
        ),
        (
            "{notify_sender: reject_message, reject_message_reason_text: No}",
            "notify_sender",
            SenderNotice(NotifyMode.REJECT_MESSAGE, "No"),
        ),
    ],
)
def test_both_ways_to_write_a_value_of_several_parts(write: Write, then: str, name: str, value: object) -> None:
    (action,) = rule(write, f"- name: A\n  then: {then}\n").then
    assert (action.name, action.value) == (name, value)


def test_a_header_and_its_words_may_stand_under_the_names_of_exchange(write: Write) -> None:
    when = "{header_contains_message_header: X-Tag, header_contains_words: [a, b]}"
    (condition,) = rule(write, f"- name: A\n  when: {when}\n  then: {{quarantine: true}}\n").when
    assert (condition.name, condition.value) == ("header_contains", (HeaderWords("x-tag", ("a", "b")),))


def test_files_without_rules_and_files_of_others_are_passed_over(write: Write) -> None:
    folder = write(a="# nothing yet\n", b="")
    (folder / "README.md").write_text("- no rule")
    (folder / ".hidden.yaml").write_text("- no: rule")
    (folder / "a.yaml.bak").write_text("- no: rule")
    assert load(folder) == RuleSet()


def test_a_file_may_begin_with_a_mark_of_its_octets(write: Write) -> None:
    folder = write()
    folder.mkdir()
    (folder / "a.yml").write_bytes(b"\xef\xbb\xbf" + CONTRACT.encode())
    assert len(load(folder)) == 2


def test_rules_in_a_folder_below_are_warned_of_and_not_read(write: Write) -> None:
    found = load(write(a=CONTRACT, old__b=CONTRACT))
    assert len(found) == 2
    (warning,) = found.warnings
    assert (warning.file.endswith("/old"), warning.severity) == (True, "warning")


def test_data_types_of_ones_own(write: Write) -> None:
    types = (
        "- name: customer_number\n  patterns: ['K-[0-9]{8}']\n  checksum: luhn\n  words: [customer]\n  distance: 100\n"
        "  confidence: 50\n  confidence_near: 95\n  comments: ours\n- {name: simple, patterns: 'S-[0-9]+'}\n"
    )
    when = "when: {message_contains_data_classifications: [customer_number, {name: simple}, iban]}"
    found = load(write(a=f"- name: A\n  {when}\n  then: {{quarantine: true}}\n", types__own=types))
    first, second = found.types
    assert (first.patterns, first.checksum, first.words) == (("K-[0-9]{8}",), "luhn", ("customer",))
    assert (first.distance, first.confidence, first.confidence_near) == (100, 50, 95)
    assert second == DataType(name="simple", patterns=("S-[0-9]+",), file=second.file, line=9)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_all_faults_of_all_files_are_told_at_once_in_their_order(write: Write) -> None:
    found = faults(
        write(
            b="- name: B\n  when: {from: x}\n  then: {quarantine: yes}\n",
            a="- name: A\n  prio: 1\n  when: {SubjectContainsWords: a}\n",
            types__t="- name: iban\n  patterns: ['(']\n",
        )
    )
    assert [(Path(one.file).name, one.line, one.rule, one.key) for one in found] == [
        ("a.yaml", 1, "A", "then"),
        ("a.yaml", 2, "A", ""),
        ("a.yaml", 3, "A", "when"),
        ("b.yaml", 2, "B", "when.from"),
        ("b.yaml", 3, "B", "then.quarantine"),
        ("t.yaml", 1, "iban", "name"),
        ("t.yaml", 2, "iban", "patterns[0]"),
    ]
    assert str(found[2]).endswith(
        'a.yaml: line 3: rule "A": when: found the unknown condition "SubjectContainsWords"; '
        "right would be `subject_contains_words`"
    )


@pytest.mark.parametrize(
    ("text", "found", "right"),
    [
        ("{name: A, then: {quarantine: true}}", "a table", "a list: each rule begins with -"),
        ("just text", "just text", "a list"),
        ("- {name: A, when: {recipient_domain_is: *.b.example}}", "alphabetic", "quotes around a text with"),
        ("- just\n", "just", "a rule, such as"),
        ("- {then: {quarantine: true}}", "no name", "name: and"),
        ("- {name: '', then: {quarantine: true}}", '""', "a text"),
        ("- {name: ' A', then: {quarantine: true}}", '" A"', "without blanks"),
        (f"- {{name: {'x' * 65}, then: {{quarantine: true}}}}", "65 letters", "at most 64"),
        (f"- {{name: A, comments: {'x' * 1025}, then: {{quarantine: true}}}}", "1025 letters", "at most 1024"),
        ("- {name: A, then: {}}", "no action", "quarantine"),
        ("- {name: A, mode: Enforce, then: {quarantine: true}}", '"Enforce"', "`enforce`"),
        ("- {name: A, priority: '3', then: {quarantine: true}}", '"3"', "without quotes"),
        ("- {name: A, State: Enabled, then: {quarantine: true}}", '"State"', "`enabled`"),
        ("- {name: A, RuleErrorAction: Defer, then: {quarantine: true}}", '"RuleErrorAction"', "`rule_error_action`"),
        ("- {name: A, dlp_policy: x, then: {quarantine: true}}", "not built yet", "comes later"),
        ("- {name: A, Disconnect: true, then: {quarantine: true}}", "not built yet", "comes later"),
        ("- {name: A, when: {RuleSubType: Dlp}, then: {quarantine: true}}", "not built yet", "comes later"),
        ("- {name: A, when: {SetSCL: 1}, then: {quarantine: true}}", "not built yet", "comes later"),
        ("- {name: A, then: {ExceptIfSCLOver: 1}}", "not built yet", "comes later"),
        ("- {name: A, when: {SetHeaderName: x}, then: {quarantine: true}}", "SetHeaderName", "`set_header_name` below"),
        ("- {name: A, conditions: {}, then: {quarantine: true}}", '"conditions"', "`when`"),
        ("- {name: A, from: a@x.example, then: {quarantine: true}}", '"from"', "below `when`"),
        ("- {name: A, ExceptIfFrom: a@x.example, then: {quarantine: true}}", '"ExceptIfFrom"', "`from` below `unless`"),
        ("- {name: A, quarantine: true, then: {delete_message: true}}", '"quarantine"', "below `then`"),
        ("- {name: A, when: [a], then: {quarantine: true}}", "a list of 1", "a table, such as"),
        ("- {name: A, when: {except_if_from: a@x.example}, then: {quarantine: true}}", "except_if_from", "`unless`"),
        ("- {name: A, when: {from_member_of: x}, then: {quarantine: true}}", "not built yet", "groups"),
        ("- {name: A, unless: {ExceptIfFromMemberOf: x}, then: {quarantine: true}}", "not built yet", "groups"),
        ("- {name: A, when: {quarantine: true}, then: {quarantine: true}}", "unknown condition", "it is an action"),
        ("- {name: A, when: {priority: 1}, then: {quarantine: true}}", "unknown condition", "beside `when`"),
        ("- {name: A, then: {from: a@x.example}}", "unknown action", "it is a condition"),
        ("- {name: A, then: {moderate_message_by_user: a@x.example}}", "not built yet", "moderation"),
        ("- {name: A, then: {Quarantine: true}}", '"Quarantine"', "`quarantine`"),
        ("- {name: A, then: {qarantine: true}}", '"qarantine"', "`quarantine`"),
        ("- {name: A, then: {set_header: {name: X, value: a}, set_header_value: b}}", "says value too", "one of"),
        ("- {name: A, then: {set_header_value: b}}", "no `name`", "{name: X-Tag"),
        (
            "- {name: A, activation_date: 2026-12-02, expiry_date: 2026-12-02, then: {quarantine: true}}",
            "an end that is not after the beginning",
            "after activation_date",
        ),
        (
            "- {name: A, when: {message_contains_data_classifications: credit_cart}, then: {quarantine: true}}",
            "`credit_cart`",
            "`credit_card`",
        ),
        ("- {name: A, then: {reject_message: {text: No, code: 5.7.899}}}", '"5.7.899"', "5.7.900 to 5.7.999"),
        ('- {name: A, then: {set_header: {name: X, value: "a\\r\\nb: c"}}}', "control character", "on one line"),
        ("- {name: A, when: {subject_matches_patterns: 'a(?<=b)'}, then: {quarantine: true}}", "character 2", "look"),
        # YAML itself.
        ("- name: A\n  name: B\n", "the key 'name', which line 1 has already", "each key once"),
        ("- name: A\n\tthen: x\n", "YAML that can't be read", "a tab is none"),
        ("- name: [secure] x\n", "YAML that can't be read", "quotes"),
        ('- name: "\\d"\n', "YAML that can't be read", "single quotes"),
        ("- name: &a A\n", "an anchor", "leave it out"),
        ("- name: *a\n", "an alias", "the value itself"),
        ("- name: !!python/object:os.system A\n", "the tag", "leave it out"),
        ("- {name: A}\n---\n- {name: B}\n", "a second document", "a file of their own"),
        ("- {? [a] : b}\n", "a list or table as a key", "a word"),
        ("- name: \x07\n", "a control character", "text without it"),
        ("- " * 11 + "a", "more than 10 levels", "a list of rules"),
    ],
)
def test_a_fault_says_what_was_found_and_what_would_be_right(write: Write, text: str, found: str, right: str) -> None:
    one = fault(write, text)
    assert found in one.found
    assert right in one.right
    assert one.line >= 1


def test_two_rules_of_one_name_can_not_be_told_apart(write: Write) -> None:
    (one,) = faults(write(a="- {name: Same, then: {quarantine: true}}", b="- {name: sAME, then: {quarantine: true}}"))
    assert (Path(one.file).name, one.key, one.found) == ("b.yaml", "name", "a name twice")
    assert "a.yaml, line 1" in one.right


def test_a_folder_that_is_not_there_is_no_folder_without_rules(tmp_path: Path) -> None:
    (one,) = faults(tmp_path / "rules")
    assert one.found == "no such folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_can_not_be_read_is_a_fault(write: Write) -> None:
    folder = write(a=CONTRACT)
    (folder / "a.yaml").chmod(0)
    assert "that it can't be read" in faults(folder)[0].found


def test_a_folder_called_like_a_file_is_a_fault(write: Write) -> None:
    folder = write()
    (folder / "a.yaml").mkdir(parents=True)
    assert faults(folder)[0].found == "no file"


def test_octets_that_are_not_utf_8_are_told_with_their_line(write: Write) -> None:
    folder = write()
    folder.mkdir()
    (folder / "a.yaml").write_bytes(b"- name: A\n  comments: \xe4\n")
    (one,) = faults(folder)
    assert (one.line, one.found) == (2, "octets that are not UTF-8")


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_file_longer_than_any_rules_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE", len(CONTRACT))
    assert len(load(write(a=CONTRACT))) == 2
    assert faults(write(a=CONTRACT + "#"))[0].found == f"more than {len(CONTRACT)} octets"


def test_more_rules_or_files_than_anybody_writes_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_RULES", 1)
    assert faults(write(a=CONTRACT))[0].found == "2 rules"
    monkeypatch.setattr(files, "MAX_FILES", 1)
    assert faults(write(a=CONTRACT, b=""))[0].found == "2 files"


def test_one_mistake_made_again_and_again_is_told_some_times(write: Write) -> None:
    text = "".join(f"- {{name: R{number}, then: {{qarantine: true}}}}\n" for number in range(MOST + 50))
    assert len(faults(write(a=text))) == MOST


def test_a_thousand_rules_with_five_thousand_words_are_read_in_seconds(write: Write) -> None:
    text = "".join(
        f"- name: R{number}\n  when:\n"
        f"    subject_or_body_contains_words: [{', '.join(f'w{number}x{n}' for n in range(4))}]\n"
        f"    subject_matches_patterns: ['p{number}[0-9]+']\n  then: {{quarantine: true}}\n"
        for number in range(1000)
    )
    began = monotonic()
    assert len(load(write(a=text))) == 1000
    assert monotonic() - began < 20  # It takes less than one on an idle machine.
