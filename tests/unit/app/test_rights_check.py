"""The section [rights]: what is wrong with it, told with key and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.rights_check import judge_rights, rights_terms
from gateway.rights.right import Right
from gateway.settings.fault import BadSettings
from tests.fakes.settings import PLAIN, settings_in

OWN = """
[rights]
expires_in_days = 30
[[rights.templates]]
name = "board"
title = "Board"
description = "For the board alone."
rights = ["VIEW", "REPLY"]
"""


def told(folder: Path, text: str) -> list[str]:
    return [f"{one.severity} {one.key}: {one.found}" for one in judge_rights(settings_in(folder, PLAIN + text))]


def test_templates_of_one_s_own_become_terms(tmp_path: Path) -> None:
    assert told(tmp_path, OWN) == []
    terms = rights_terms(settings_in(tmp_path, PLAIN + OWN))
    own = terms.templates.find("board")
    assert own is not None and own.rights == {Right.VIEW, Right.REPLY}
    assert terms.templates.names == ("encrypt-only", "do-not-forward", "board")
    assert terms.expires(1_000.0) == 1_000.0 + 30 * 86_400
    assert rights_terms(settings_in(tmp_path)).expires(1_000.0) is None


def test_a_template_that_nobody_could_read_or_that_has_a_name_twice_is_a_fault(tmp_path: Path) -> None:
    blind = OWN.replace('"VIEW", ', "")
    assert [one.partition(":")[0] for one in told(tmp_path, blind)] == ["error rights.templates[0]"]
    with pytest.raises(BadSettings):
        rights_terms(settings_in(tmp_path, PLAIN + blind))
    twice = OWN.replace('"board"', '"encrypt-only"')
    assert told(tmp_path, twice) == ['error rights.templates[0].name: "encrypt-only" once more']


def test_keys_officers_and_accounts_are_judged(tmp_path: Path) -> None:
    text = (
        '[rights]\ntenant_key = "other/tenant"\nnotify_officer = "nobody"\nsuper_users = ["ida@corp.example", "ida"]\n'
    )
    assert [one.partition(":")[0] for one in told(tmp_path, text)] == [
        "error rights.tenant_key",
        "error rights.notify_officer",
        "error rights.super_users[0]",
    ]


def test_archived_keys_must_be_keys_and_private(tmp_path: Path) -> None:
    text = '[rights]\narchived_keys = ["old.pem"]\n'
    (missing,) = told(tmp_path, text)
    assert missing.startswith("error rights.archived_keys") and "can't be read" in missing
    (tmp_path / "old.pem").write_text("no key")
    (wrong,) = told(tmp_path, text)
    assert "RSA private key as PEM" in wrong
