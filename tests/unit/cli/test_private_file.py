"""Files with other people's mail in them are readable by whoever asked alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.private_file import write_private


def test_a_file_that_was_there_is_read_by_nobody_else_afterwards(tmp_path: Path) -> None:
    """Else a mail that is written over a file of mode 0644 is read by everybody on the machine."""
    path = tmp_path / "mail.eml"
    write_private(path, b"first")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"first", 0o600)
    path.chmod(0o644)
    write_private(path, b"2")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"2", 0o600)


def test_a_hyphen_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_private(Path("-"), b"octets")
    assert capfdbinary.readouterr().out == b"octets"


def test_what_is_no_file_keeps_its_mode() -> None:
    before = Path("/dev/null").stat().st_mode
    write_private(Path("/dev/null"), b"octets")
    assert Path("/dev/null").stat().st_mode == before
