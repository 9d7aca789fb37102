"""`gateway rule list` and `gateway rule schema`."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

RULES = """\
- name: Second
  mode: audit
  when: {from_scope: not_in_organization}
  unless: {sender_domain_is: partner.example}
  then: {prepend_subject: "[EXT] "}
- name: First
  priority: 1
  enabled: false
  then: {quarantine: true}
"""


def test_rules_are_shown_in_the_order_in_which_they_run(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULES)
    said = command_line.run(FakeConsole(), "rule", "list", "--rules", str(tmp_path))
    first, second = [line for line in said.out.splitlines() if "a.yaml:" in line]
    assert "First" in first and "disabled" in first and "every message" in first and "a.yaml:6" in first
    assert "Second" in second and "audit" in second and "from_scope, not sender_domain_is" in second


def test_their_facts_are_json(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULES)
    rows = command_line.run(FakeConsole(), "rule", "list", "--rules", str(tmp_path), "--json").json
    assert [(row["name"], row["priority"], row["enabled"], row["rule_error_action"]) for row in rows] == [
        ("First", 1, False, "defer"),
        ("Second", 2, True, "ignore"),
    ]


def test_every_fault_is_told_and_the_answer_is_no(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RULES.replace("quarantine", "qarantine").replace("audit", "Audit"))
    said = command_line.run(FakeConsole(), "rule", "list", "--rules", str(tmp_path), "--json")
    assert (said.code, said.out) == (1, "")
    assert 'a.yaml: line 2: rule "Second": mode' in said.err and "a.yaml: line 9" in said.err and "2 faults" in said.err


def test_the_schema_needs_no_settings(command_line: CommandLine) -> None:
    command_line.settings = None
    assert command_line.run(FakeConsole(), "rule", "schema").json["type"] == "array"
