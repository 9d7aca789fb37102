"""The rules that settings name: which folder, what `gateway check` says of them, and connectors that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.check import check
from gateway.app.rule_files import judge_rules, load_rules
from gateway.rules.fault import BadRules
from gateway.settings.fault import errors
from gateway.settings.load import Loaded, loaded
from tests.fakes.clock import FakeClock

SETTINGS = """
accepted_domains = ["corp.example"]
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
[[connectors.inbound]]
name = "local"
type = "on_premises"
sender_ip_addresses = ["127.0.0.0/8"]
[[connectors.outbound]]
name = "out"
recipient_domains = ["*"]
use_mx = true
"""
NOW = 1_796_000_000.0
HOLD = "- {name: Hold, when: {from_scope: not_in_organization}, then: {quarantine: true}}\n"
CHOOSE = "- name: Way\n  when: {sent_to_scope: not_in_organization}\n  then: {route_message_outbound_connector: NAME}\n"


def settings(folder: Path, text: str = "") -> Loaded:
    (folder / "gateway.toml").write_text(SETTINGS + text)
    return loaded(folder / "gateway.toml")


def rules(folder: Path, text: str, name: str = "rules") -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "a.yaml").write_text(text)


def test_the_folder_beside_the_settings_is_read_where_there_is_one(tmp_path: Path) -> None:
    assert len(load_rules(settings(tmp_path))) == 0
    rules(tmp_path, HOLD)
    assert [one.name for one in load_rules(settings(tmp_path))] == ["Hold"]


def test_a_folder_that_the_settings_name_must_be_there(tmp_path: Path) -> None:
    rules(tmp_path, HOLD)
    named = settings(tmp_path, '[rules]\nfolder = "policy"\n')
    with pytest.raises(BadRules, match="no such folder"):
        load_rules(named)
    rules(tmp_path, HOLD.replace("Hold", "Other"), "policy")
    assert [one.name for one in load_rules(named)] == ["Other"]


RIGHTS = "- name: R\n  when: {sent_to_scope: not_in_organization}\n  rule_error_action: defer\n  then: {%s}\n"
PORTAL = '[portal]\nlisten = "127.0.0.1:8443"\nurl = "https://portal.corp.example"\n'


@pytest.mark.parametrize(
    "then",
    [
        "apply_ome: true",
        "apply_rights_protection_template: do-not-forward",
        "apply_smime: encrypt, smime_otherwise: rights",
    ],
)
def test_mail_that_nobody_could_read_without_a_portal_is_warned_of(tmp_path: Path, then: str) -> None:
    rules(tmp_path, RIGHTS % then)
    (fault,) = judge_rules(settings(tmp_path), NOW)[0]
    assert fault.severity == "warning" and "no [portal]" in fault.found
    assert judge_rules(settings(tmp_path, PORTAL), NOW)[0] == []
    rules(tmp_path, RIGHTS.replace("- name: R", "- name: R\n  enabled: false") % then)
    assert judge_rules(settings(tmp_path), NOW)[0] == []


def test_a_rule_protects_by_a_template_that_there_is(tmp_path: Path) -> None:
    rules(tmp_path, RIGHTS % "apply_rights_protection_template: bank-secret")
    with pytest.raises(BadRules, match="bank-secret"):
        load_rules(settings(tmp_path, PORTAL))
    own = '[[rights.templates]]\nname = "bank-secret"\ntitle = "T"\ndescription = "D"\nrights = ["VIEW"]\n'
    assert len(load_rules(settings(tmp_path, PORTAL + own))) == 1


def test_a_rule_leads_to_a_connector_of_the_settings_alone(tmp_path: Path) -> None:
    rules(tmp_path, CHOOSE.replace("NAME", "out"))
    assert len(load_rules(settings(tmp_path))) == 1
    rules(tmp_path, CHOOSE.replace("NAME", "bulk"))
    with pytest.raises(BadRules) as bad:
        load_rules(settings(tmp_path))
    (fault,) = bad.value.faults
    assert (fault.line, fault.rule, fault.key) == (3, "Way", "then.route_message_outbound_connector")
    assert "`bulk`" in fault.found and "gateway.toml: out" in fault.right


def test_check_tells_faults_of_rules_with_file_line_and_key_behind_those_of_the_settings(tmp_path: Path) -> None:
    rules(tmp_path, HOLD.replace("quarantine", "qarantine"))
    settings(tmp_path)
    *_, fault = errors(check(tmp_path / "gateway.toml", FakeClock(NOW)))  # There is no vault either.
    assert fault.file == str(tmp_path / "rules/a.yaml")
    assert fault.key == 'line 1: rule "Hold": then'
    assert fault.right == "`quarantine`"


def test_rules_that_were_judged_work_whatever_becomes_of_their_files(tmp_path: Path) -> None:
    rules(tmp_path, HOLD.replace("Hold", "Hält"))
    (tmp_path / "rules" / "types").mkdir()
    (tmp_path / "rules" / "types" / "own.yaml").write_text("- {name: staff_number, patterns: ['S[0-9]{6}']}\n")
    faults, kept = judge_rules(settings(tmp_path), NOW)
    assert faults == []
    (tmp_path / "rules" / "a.yaml").write_text("- {name: Hold, then: {nonsense: true}}")
    (tmp_path / "rules" / "b.yaml").write_text(HOLD.replace("Hold", "Other"))
    (tmp_path / "rules" / "types" / "own.yaml").unlink()
    found = load_rules(kept)
    assert ([one.name for one in found], [one.name for one in found.types]) == (["Hält"], ["staff_number"])


def test_settings_without_rules_stay_so_whatever_is_laid_beside_them(tmp_path: Path) -> None:
    _, kept = judge_rules(settings(tmp_path), NOW)
    rules(tmp_path, HOLD)
    assert len(load_rules(kept)) == 0


def test_check_warns_of_what_is_hardly_meant(tmp_path: Path) -> None:
    rules(tmp_path, "- {name: All, then: {quarantine: true}}\n")
    ((warning,), _) = judge_rules(settings(tmp_path), NOW)
    assert warning.severity == "warning" and "every message" in warning.found
    rules(
        tmp_path,
        "- {name: Over, expiry_date: 2020-01-01, unless: {from_scope: in_organization}, then: {quarantine: true}}",
    )
    ((warning,), _) = judge_rules(settings(tmp_path), NOW)
    assert "over since 2020-01-01" in warning.found
