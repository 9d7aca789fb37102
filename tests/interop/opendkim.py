"""OpenDKIM (Debian package opendkim) as a judge of messages in files. Its DNS is a file too."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = "/usr/sbin/opendkim"
_RESULT = re.compile(r"dkim=(\w+)[^;]*header\.s=([\w.-]+)")


class OpenDkim:
    """`records` are names and texts of TXT records."""

    def __init__(self, folder: Path, records: dict[str, str]) -> None:
        if shutil.which(PROGRAM) is None:
            pytest.skip("OpenDKIM is not installed (Debian package opendkim)")
        self._folder = folder
        (folder / "records").write_text("".join(f"{name} {text}\n" for name, text in records.items()))
        (folder / "opendkim.conf").write_text(f"Mode v\nTestDNSData file:{folder}/records\n")

    def results(self, octets: bytes) -> dict[str, str]:
        """What it says of each signature, by its selector."""
        (self._folder / "message.eml").write_bytes(octets)
        done = subprocess.run(
            [PROGRAM, "-x", str(self._folder / "opendkim.conf"), "-t", str(self._folder / "message.eml"), "-vv"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
        return {selector: result for result, selector in _RESULT.findall(done.stdout)}
