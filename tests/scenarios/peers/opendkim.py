"""OpenDKIM (Debian's) as a milter of Postfix: verifies what comes in, or signs what goes out. Its DNS is a file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.scenarios.peers.ports import answers, until

PROGRAM = "/usr/sbin/opendkim"
# Nobody here is one of its own hosts, whose mail it would sign and not judge. It has been seen to die at its first
# connection, where much else ran: then it begins anew by itself.
_VERIFIES = """\
Mode v
InternalHosts 192.0.2.1
AuthservID judge.test
AlwaysAddARHeader yes
AutoRestart yes
TestDNSData file:{root}/records
"""
_SIGNS = """\
Mode s
InternalHosts 127.0.0.1
Domain {domain}
Selector bench
KeyFile {root}/key.pem
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
RequireSafeKeys no
AutoRestart yes
"""


class OpenDkim:
    """Listens on that loopback port from `start` to `stop`. `records`: what the DNS has, names and texts of TXT.

    With `signs_for` it signs mail of that domain instead, with a new RSA key of 2048 bits.
    """

    def __init__(self, port: int, *, signs_for: str | None = None) -> None:
        self.port = port
        self._signs_for = signs_for
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def check() -> None:
        """Skip where it is not installed."""
        if shutil.which(PROGRAM) is None:
            pytest.skip("OpenDKIM is not installed (Debian package opendkim)")

    def start(self, records: Mapping[str, str] | None = None) -> OpenDkim:
        """Start it, or start it anew with other records."""
        self.stop()
        self.check()
        self._root = root = Path(tempfile.mkdtemp(prefix="gateway-opendkim-"))
        (root / "records").write_text("".join(f"{name} {text}\n" for name, text in (records or {}).items()))
        settings = _VERIFIES
        if self._signs_for:
            settings = _SIGNS
            command = ["openssl", "genrsa", "-out", str(root / "key.pem"), "2048"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        (root / "opendkim.conf").write_text(settings.format(root=root, domain=self._signs_for))
        self._process = subprocess.Popen(
            [PROGRAM, "-f", "-x", str(root / "opendkim.conf"), "-p", f"inet:{self.port}@127.0.0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        process = self._process
        until(lambda: process.poll() is not None or answers(self.port), "OpenDKIM to answer")
        assert process.poll() is None, f"OpenDKIM ended with {process.returncode}"
        return self

    def stop(self) -> None:
        """End it; nothing of it remains."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None

    @property
    def postfix(self) -> str:
        """What its Postfix has to have in main.cf."""
        return f"smtpd_milters = inet:127.0.0.1:{self.port}\nmilter_default_action = tempfail\n"
