"""The availability key: where the settings have it, when it is wanted, and how it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.availability import availability_name, ensure_availability, judge_availability, wants_mailboxes
from gateway.keys.rotation import RootName
from gateway.keys.vault import Denied, KeyType
from tests.fakes.settings import PLAIN, settings_in
from tests.fakes.vault import FakeVault

NAME = RootName("main", "availability")


def test_it_is_wanted_where_mail_ends_or_is_read_here(tmp_path: Path) -> None:
    assert not wants_mailboxes(settings_in(tmp_path))
    assert wants_mailboxes(settings_in(tmp_path, PLAIN + '[imap]\nlisten = "127.0.0.1:9993"\n'))
    here = PLAIN.replace('name = "ours"\n', 'name = "ours"\ndeliver = "mailbox"\n').replace(
        'smart_hosts = ["127.0.0.1:2500"]\n', ""
    )
    assert wants_mailboxes(settings_in(tmp_path, here))
    assert not wants_mailboxes(settings_in(tmp_path, here.replace('"mailbox"\n', '"mailbox"\nenabled = false\n')))


def test_the_settings_say_where_it_lies(tmp_path: Path) -> None:
    assert availability_name(settings_in(tmp_path)) == NAME
    other = settings_in(tmp_path, PLAIN + '[mailboxes]\navailability_key = "hsm/ours"\n')
    assert availability_name(other) == RootName("hsm", "ours")


def test_it_is_made_once_and_of_a_type_that_wraps() -> None:
    vault = FakeVault()
    assert ensure_availability({"main": vault}, NAME)
    assert not ensure_availability({"main": vault}, NAME)
    (key,) = [key for key in vault.keys() if key.name == NAME.key]
    assert (key.type, key.newest) == (KeyType.AES_256, 1)


def test_a_vault_that_the_settings_do_not_name_is_told() -> None:
    with pytest.raises(Denied, match="no vault 'hsm'"):
        ensure_availability({"main": FakeVault()}, RootName("hsm", "ours"))


def test_a_place_in_no_vault_of_the_settings_is_a_fault_where_mailboxes_are_wanted(tmp_path: Path) -> None:
    other = '[mailboxes]\navailability_key = "hsm/ours"\n'
    assert list(judge_availability(settings_in(tmp_path, PLAIN + other))) == []
    (fault,) = judge_availability(settings_in(tmp_path, PLAIN + other + '[imap]\nlisten = "127.0.0.1:9993"\n'))
    assert (fault.key, fault.severity) == ("mailboxes.availability_key", "error")
    assert fault.found == '"hsm/ours"' and fault.right.endswith(": main")
