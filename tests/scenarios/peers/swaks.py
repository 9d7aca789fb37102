"""swaks as mail client: its transcript and how it ended."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Transcript:
    """`code` is swaks' exit status: 0 where the message was taken."""

    code: int
    text: str

    @property
    def replies(self) -> list[str]:
        """What the server said, line by line, in clear and under TLS."""
        return re.findall(r"^<(?:[-~*]{1,2})\s+(.*)$", self.text, re.MULTILINE)

    @property
    def last(self) -> str:
        """The last reply before the goodbye."""
        said = [line for line in self.replies if not line.startswith("221")]
        return said[-1] if said else ""

    @property
    def queue_id(self) -> str:
        """The id that the 250 after the message ends with."""
        assert self.code == 0, self.text
        return self.last.split()[-1]

    @property
    def secured(self) -> bool:
        """Whether a TLS session was made."""
        return "TLS started with cipher" in self.text


def swaks(port: int, *arguments: str, host: str = "127.0.0.1", seconds: int = 15) -> Transcript:
    """Send one message. Defaults: from ida@corp.example to otto@partner.example, as client.example."""
    program = shutil.which("swaks")
    if program is None:
        pytest.skip("swaks is not installed (Debian package swaks)")
    given = set(arguments)
    defaults = []
    for option, value in (
        ("--from", "ida@corp.example"),
        ("--to", "otto@partner.example"),
        ("--helo", "client.example"),
    ):
        if option not in given:
            defaults += [option, value]
    server = host if ":" not in host else f"[{host}]"
    done = subprocess.run(
        [program, "--server", server, "--port", str(port), "--timeout", str(seconds), *defaults, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + 30,
    )
    return Transcript(done.returncode, done.stdout + done.stderr)
