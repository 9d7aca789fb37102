"""What gateway.toml may say of logging in."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.login_check import judge_log_ins
from tests.fakes.settings import PLAIN, settings_in


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        ('tls = "none"\n', []),
        ('tls = "none"\nauth = false\n', []),
        ('tls = "starttls"\nauth = true\n', []),
        ('kind = "submission"\n', []),
        ('kind = "submission"\ntls = "implicit"\nauth = true\n', []),
        ('tls = "none"\nauth = true\n', ["listeners[0].tls"]),
        ('kind = "submission"\ntls = "none"\n', ["listeners[0].tls"]),
        ('kind = "submission"\nauth = false\n', ["listeners[0].auth"]),
        ('kind = "submission"\ntls = "none"\nauth = false\n', ["listeners[0].auth", "listeners[0].tls"]),
    ],
)
def test_passwords_are_taken_under_tls_alone(tmp_path: Path, lines: str, faults: list[str]) -> None:
    loaded = settings_in(tmp_path, PLAIN.replace('tls = "none"\n', lines))
    assert [fault.key for fault in judge_log_ins(loaded)] == faults
