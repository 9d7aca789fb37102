"""Sources of recipients as settings write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.verification import judge_recipients, read_verification
from gateway.directory.terms import By, Source, WhenUnsure
from gateway.settings.fault import Fault
from tests.fakes.settings import PLAIN, settings_in

OURS = 'accepted_domains = ["corp.example"]'
LDAP = 'by = "ldap"\nurl = "ldaps://dc1.corp.example"\nbase = "dc=corp"\nfilter = "(mail={address})"\n'


def read(folder: Path, source: str) -> tuple[Source | None, list[Fault]]:
    """The one source, which a domain uses, and what is wrong with it."""
    text = PLAIN.replace(OURS, 'accepted_domains = [{ name = "corp.example", recipient_verification = "one" }]')
    loaded = settings_in(folder, f'{text}\n[[recipient_sources]]\nname = "one"\n{source}')
    faults: list[Fault] = []
    made = read_verification(loaded, faults)
    return next(iter(made.sources), None), faults


def words(faults: list[Fault]) -> list[str]:
    return [f"{fault.key.removeprefix('recipient_sources[0].')}: {fault.found}; {fault.right}" for fault in faults]


def test_a_list_counts_from_the_folder_of_the_settings(tmp_path: Path) -> None:
    source, faults = read(tmp_path, 'by = "list"\nfile = "recipients.txt"\nsubaddress = "+"\n')
    assert faults == []
    assert source is not None
    assert (source.by, source.file, source.separator) == (By.LIST, tmp_path / "recipients.txt", "+")
    assert source.when_unsure is WhenUnsure.DEFER


@pytest.mark.parametrize(
    ("url", "made", "starttls"),
    [
        ("ldaps://dc1.corp.example", "ldaps://dc1.corp.example:636", False),
        ("ldap://dc1.corp.example", "ldap://dc1.corp.example:389", True),
        ("ldap://dc1.corp.example:3268/", "ldap://dc1.corp.example:3268", True),
        ("ldap://127.0.0.1:3890", "ldap://127.0.0.1:3890", False),
        ("ldap://localhost", "ldap://localhost:389", False),
        ("ldap://[::1]:3890", "ldap://[::1]:3890", False),
        ("ldap://[2001:db8::1]", "ldap://[2001:db8::1]:389", True),
        ("ldap://127.0.0.1.corp.example", "ldap://127.0.0.1.corp.example:389", True),
    ],
)
def test_ldap_goes_over_tls_but_to_this_machine(tmp_path: Path, url: str, made: str, starttls: bool) -> None:
    source, faults = read(tmp_path, LDAP.replace("ldaps://dc1.corp.example", url))
    assert faults == []
    assert source is not None and source.ldap is not None
    assert (source.ldap.url, source.ldap.starttls) == (made, starttls)


def test_ldap_in_clear_has_to_be_asked_for_and_a_password_in_clear_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    text = LDAP.replace("ldaps:", "ldap:") + "allow_clear = true\n"
    source, faults = read(tmp_path, text)
    assert source is not None and source.ldap is not None and not source.ldap.starttls
    assert faults == []
    _, faults = read(tmp_path, f'{text}bind_dn = "cn=gateway"\npassword_file = "password"\n')
    assert [fault.severity for fault in faults] == ["warning"]
    assert "password goes over the net" in faults[0].right


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('by = "list"\n', 'file: nothing; a file, such as "recipients.txt"'),
        ('by = "directory"\n', 'file: nothing; a file, such as "people.yaml"'),
        (
            'by = "list"\nfile = "x"\nurl = "ldaps://x"\n',
            'url: "ldaps://x"; to leave it out: it belongs to by = "ldap"',
        ),
        (
            'by = "list"\nfile = "x"\ntimeout = 5\n',
            'timeout: 5; to leave it out: it belongs to by = "ldap" or "next_hop"',
        ),
        ('by = "list"\nfile = "x"\nsubaddress = "++"\n', 'subaddress: "++"; one letter, such as "+"'),
        ('by = "next_hop"\nsubaddress = "+"\n', "subaddress:"),
        ('by = "next_hop"\nconnector = "other"\n', 'connector: "other"; the name of an outbound connector'),
        ('by = "next_hop"\nsender = "nobody"\n', 'sender: "nobody"; an address in ASCII'),
        (LDAP.replace('base = "dc=corp"\n', ""), "base: nothing;"),
        (LDAP.replace("{address}", "*"), "without {address} or {local}"),
        (LDAP.replace("ldaps://dc1.corp.example", "https://x"), 'url: "https://x"; a server\'s address'),
        (LDAP.replace("ldaps://dc1.corp.example", "ldaps://x/dc=corp??sub"), "a server's address"),
        (LDAP.replace("ldaps://dc1.corp.example", "ldaps://[x"), "a server's address"),
        (LDAP + 'bind_dn = "cn=x"\n', "password_file: nothing beside bind_dn"),
        (LDAP + 'password_file = "x"\n', "bind_dn: nothing beside password_file"),
        (LDAP + 'bind_dn = "cn=x"\npassword_file = "missing"\n', "can't be read: No such file"),
        (LDAP + 'bind_dn = "cn=x"\npassword_file = "empty"\n', "password_file: an empty file"),
        (LDAP + 'trusted_ca = "missing.pem"\n', "can't be read: No such file"),
    ],
)
def test_a_fault_says_what_would_be_right(tmp_path: Path, source: str, told: str) -> None:
    (tmp_path / "empty").write_text("\nsecond line\n")
    made, faults = read(tmp_path, source)
    assert made is None
    assert any(told in one for one in words(faults)), words(faults)


def test_check_reads_the_files_and_names_each_flaw_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text("version: 1\npeople:\n- addresses: [x]\n- adresses: [a@x.example]\n")
    text = PLAIN.replace(
        OURS,
        'accepted_domains = [{ name = "corp.example", '
        'recipient_verification = { by = "directory", file = "people.yaml" } }]',
    )
    loaded = settings_in(tmp_path, text)
    faults = judge_recipients(loaded, strict=True)
    assert [(fault.key, fault.severity) for fault in faults][:2] == [("line 3", "error"), ("line 4", "error")]
    assert {fault.file for fault in faults} == {str(tmp_path / "people.yaml")}
    # One bad export must not keep the gateway from starting.
    assert {fault.severity for fault in judge_recipients(loaded, strict=False)} == {"warning"}
