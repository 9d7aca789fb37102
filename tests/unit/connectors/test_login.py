"""An outbound connector's login out of settings: only where it is safe, and never a word of the password."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.connectors.login import LONGEST, LoginFault, read_login
from gateway.connectors.model import Login
from gateway.connectors.outbound import outbounds, read_outbounds
from gateway.settings.fault import Fault
from gateway.settings.load import Loaded, loaded

FORCED = 'smart_hosts = ["mx.partner.example"]\ntls_settings = "domain_validation"\n'
WHOLE = FORCED + 'auth_user = "relay"\nauth_password_file = "password"\n'


def made(folder: Path, text: str) -> Loaded:
    path = folder / "gateway.toml"
    path.write_text(
        '[[listeners]]\nlisten = "127.0.0.1:1"\ntls = "none"\n'
        f'[[connectors.outbound]]\nname = "out"\nrecipient_domains = ["*"]\n{text}'
    )
    return loaded(path)


def faults(folder: Path, text: str) -> list[str]:
    found: list[Fault] = []
    read_outbounds(made(folder, text), found)
    return [str(fault).partition("connectors.outbound[0].")[2] for fault in found]


def secret(folder: Path, octets: bytes = b"s3cret word\n", mode: int = 0o600) -> Path:
    path = folder / "password"
    path.write_bytes(octets)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("octets", [b"s3cret word", b"s3cret word\n", b"s3cret word\r\n"])
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_login_is_read_from_user_and_file(tmp_path: Path, octets: bytes, mode: int) -> None:
    secret(tmp_path, octets, mode)
    (outbound,) = outbounds(made(tmp_path, WHOLE))
    assert outbound.login == Login(user="relay", password="s3cret word")
    assert faults(tmp_path, WHOLE) == []


def test_without_a_user_there_is_no_login(tmp_path: Path) -> None:
    (outbound,) = outbounds(made(tmp_path, FORCED))
    assert outbound.login is None


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o644, 0o666])
def test_a_password_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path, mode=mode)
    found = f"{path} with mode {mode:04o}; right would be one that others can't read: chmod 600 {path}"
    assert faults(tmp_path, WHOLE) == [f"auth_password_file: found {found}"]


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\n",
        b"one\ntwo\n",
        b"\nsecret",
        b"p\xc3\xa4ss",
        b"p\0ss",
        b"\x1b[2J",
        b"p" * (LONGEST + 1),
        b"p" * 100_000,
    ],
)
def test_a_file_that_is_no_password_is_refused_without_showing_it(tmp_path: Path, octets: bytes) -> None:
    secret(tmp_path, octets)
    (told,) = faults(tmp_path, WHOLE)
    assert told.startswith("auth_password_file: found ")
    assert "pp" not in told
    assert "two" not in told


def test_the_longest_password_is_taken(tmp_path: Path) -> None:
    assert read_login("u", secret(tmp_path, b"p" * LONGEST + b"\r\n")).password == "p" * LONGEST


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert faults(tmp_path, WHOLE)[0].startswith(f"auth_password_file: found no file {tmp_path}/password;")
    (tmp_path / "password").mkdir()
    assert faults(tmp_path, WHOLE)[0].startswith(f"auth_password_file: found {tmp_path}/password, which is no file;")


@pytest.mark.parametrize("user", ["", "jörg@corp.example", "a\nb", "u" * (LONGEST + 1)])
def test_a_user_name_beyond_ascii_is_refused_by_name(tmp_path: Path, user: str) -> None:
    """SMTPUTF8 has nothing to say of user names, and hosts prepare them in different ways."""
    with pytest.raises(LoginFault) as caught:
        read_login(user, secret(tmp_path))
    assert caught.value.key == "auth_user"
    assert "printable ASCII letters" in caught.value.right


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'smart_hosts = ["mx.partner.example"]\n',
            "auth_user: found a login where TLS is not demanded; "
            'right would be tls_settings = "domain_validation": a password never goes in clear',
        ),
        (
            'use_mx = true\ntls_settings = "domain_validation"\ntls_domain = "mx.partner.example"\n',
            "auth_user: found a login without smart_hosts; "
            'right would be smart_hosts = ["HOST:PORT"], or to leave it out',
        ),
        (
            'smart_hosts = ["mx.partner.example"]\ntls_settings = "encryption_only"\n',
            'auth_user: warning: found a login with "encryption_only"; '
            'right would be tls_settings = "domain_validation"; '
            "as it stands whoever steps in between learns the password",
        ),
    ],
)
def test_a_login_stands_only_where_the_password_is_safe(tmp_path: Path, text: str, told: str) -> None:
    secret(tmp_path)
    text += 'auth_user = "relay"\nauth_password_file = "password"\n'
    assert faults(tmp_path, text) == [told]


def test_a_weaker_check_of_the_certificate_is_a_warning_alone(tmp_path: Path) -> None:
    secret(tmp_path)
    found: list[Fault] = []
    text = WHOLE.replace("domain_validation", "certificate_validation")
    (outbound,) = read_outbounds(made(tmp_path, text), found)
    assert outbound.login is not None
    assert [fault.severity for fault in found] == ["warning"]


def test_half_a_login_is_a_fault(tmp_path: Path) -> None:
    secret(tmp_path)
    assert faults(tmp_path, FORCED + 'auth_user = "relay"\n')[0].startswith("auth_password_file: found nothing")
    assert faults(tmp_path, FORCED + 'auth_password_file = "password"\n')[0].startswith("auth_user: found nothing")
