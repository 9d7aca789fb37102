"""Dovecot (Debian's) as a judge of passwords alone, for a Postfix that asks for AUTH. Needs root, as Postfix does."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.scenarios.peers.ports import until

_SETTINGS = """\
base_dir = {root}/run
state_dir = {root}/run
log_path = {root}/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {root}/passwd
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {root}/auth {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
"""


class Passwords:
    """Knows one user; a context manager. `postfix` are the lines by which a Postfix asks it, under TLS alone."""

    def __init__(self, user: str, password: str, mechanisms: str = "plain login") -> None:
        self._user, self._mechanisms = user, mechanisms
        self._password = password
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def postfix(self) -> str:
        return (
            "smtpd_sasl_auth_enable = yes\n"
            "smtpd_sasl_type = dovecot\n"
            f"smtpd_sasl_path = {self._root}/auth\n"
            "smtpd_tls_auth_only = yes\n"
            "smtpd_relay_restrictions = permit_sasl_authenticated, reject\n"
            "smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n"
        )

    def change(self, password: str) -> None:
        """The user has another password from now on."""
        assert self._root is not None
        (self._root / "passwd").write_text(f"{self._user}:{{PLAIN}}{password}\n")

    def __enter__(self) -> Passwords:
        program = shutil.which("dovecot") or shutil.which("/usr/sbin/dovecot")
        if program is None:
            pytest.skip("Dovecot is not installed (Debian package dovecot-core)")
        self._root = root = Path(tempfile.mkdtemp(prefix="gateway-dovecot-"))
        root.chmod(0o755)
        self.change(self._password)
        (root / "dovecot.conf").write_text(_SETTINGS.format(root=root, mechanisms=self._mechanisms))
        self._process = subprocess.Popen(
            [program, "-F", "-c", str(root / "dovecot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        process = self._process
        until(lambda: (root / "auth").exists() or process.poll() is not None, "Dovecot to listen")
        assert process.poll() is None, (root / "log").read_text() if (root / "log").exists() else "Dovecot ended"
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
