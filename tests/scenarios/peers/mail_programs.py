"""The programs by which people read mail over IMAP: curl, mbsync (isync) and mutt, each without somebody at it."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

SECONDS: Final = 40.0

_MBSYNC: Final = """\
IMAPAccount gateway
Host localhost
Port {port}
User {user}
Pass {password}
SSLType IMAPS
SystemCertificates no
CertificateFile {ca}
AuthMechs {mechanism}

IMAPStore far
Account gateway

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""
_MUTT: Final = """\
set imap_user="{user}"
set imap_pass="{password}"
set certificate_file="{ca}"
set folder="{folder}"
set tmpdir="{folder}"
set ssl_force_tls=yes
set header_cache=""
set message_cachedir=""
set record=""
set confirmappend=no
set confirmcreate=no
set wait_key=no
set move=no
set delete=yes
set imap_idle=no
set sort=mailbox-order
unset mark_old
"""


@dataclass(frozen=True)
class Reader:
    """Somebody with a password, and where his mail is."""

    port: int
    ca: Path
    user: str
    password: str


def program(name: str, package: str) -> str:
    """Where a program is; the test is skipped where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package {package})")
    return found


def curl(reader: Reader, path: str, *options: str) -> bytes:
    """What curl prints for `imaps://HOST/path`. `path` is such as `INBOX;UID=1`."""
    command = [
        program("curl", "curl"), "--silent", "--show-error", "--max-time", "30", "--cacert", str(reader.ca),
        "--user", f"{reader.user}:{reader.password}", *options, f"imaps://127.0.0.1:{reader.port}/{path}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    assert done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def mbsync(reader: Reader, folder: Path, *, mechanism: str = "*") -> Path:
    """Bring a folder of Maildirs and the mailbox to the same state, as often as wanted; where the inbox is."""
    folder.mkdir(exist_ok=True)
    settings = folder.with_name(f"{folder.name}.mbsyncrc")
    settings.write_text(
        _MBSYNC.format(
            port=reader.port, user=reader.user, password=reader.password, ca=reader.ca, folder=folder,
            mechanism=mechanism,
        )
    )  # fmt: skip
    settings.chmod(0o600)
    command = [program("mbsync", "isync"), "--config", str(settings), "--all"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    assert done.returncode == 0, f"mbsync ended with {done.returncode}: {done.stderr}{done.stdout}"
    return folder / "INBOX"


def mutt(reader: Reader, work: Path, keys: str, folder: str = "INBOX") -> None:
    """Mutt in a terminal of its own, with these keys pressed as its macros write them; they must end it.

    `work` is a folder for its files.
    """
    found = program("mutt", "mutt")
    settings = work / "muttrc"
    text = _MUTT.format(user=reader.user, password=reader.password, ca=reader.ca, folder=work)
    settings.write_text(text)
    command = [
        found, "-n", "-F", str(settings), "-e", f"push '{keys}'", "-f", f"imaps://127.0.0.1:{reader.port}/{folder}",
    ]  # fmt: skip
    shown = _in_terminal(command)
    assert shown is not None, "mutt ended with a fault"


def _in_terminal(command: list[str]) -> bytes | None:
    """What a program showed, None where it ended with a fault. Raises AssertionError where it does not end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "vt100", "HOME": "/nonexistent", "LINES": "24", "COLUMNS": "80"})
        os.execv(command[0], command)
    shown, end = b"", time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    block = os.read(terminal, 1 << 16)
                except OSError:  # Its side is closed.
                    block = b""
                if not block:
                    _, status = os.waitpid(pid, 0)
                    pid = 0
                    return shown if os.waitstatus_to_exitcode(status) == 0 else None
                shown += block
        raise AssertionError(f"{command[0]} did not end; it showed {shown[-2000:]!r}")
    finally:
        os.close(terminal)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
