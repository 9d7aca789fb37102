"""Dovecot (Debian's) as an IMAP server of its own: mailboxes in Maildirs, for who judges ours or is measured beside it.

Everything of it lies in one folder and listens on loopback alone; `stop` ends it and removes the folder. Needs root.
"""

from __future__ import annotations

import imaplib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.scenarios.peers.ports import answers, free_port, until

PASSWORD = "secret"
HAS_LMTP = Path("/usr/lib/dovecot/lmtp")  # A package of its own in Debian.
_SETTINGS = """\
base_dir = {root}/run
state_dir = {root}/run
log_path = {root}/log
protocols = {protocols}
listen = 127.0.0.1
ssl = {tls}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:{root}/mail/%u
first_valid_uid = 1
mail_max_userip_connections = 100
lda_mailbox_autocreate = yes
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={root}/mail/%u allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {imaps}
  }}
}}
service anvil {{
  chroot =
}}
{more}
"""
_LMTP = """\
service lmtp {{
  process_min_avail = 4
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
_CRYPT = """\
mail_plugins = $mail_plugins mail_crypt
plugin {{
  mail_crypt_save_version = 2
  mail_crypt_global_private_key = <{root}/crypt.key
  mail_crypt_global_public_key = <{root}/crypt.pub
}}
"""


class DovecotServer:
    """A context manager. `port` speaks IMAP, with `certificate` (PEM files of certificate and key) `secure_port` IMAP
    over TLS too; with `lmtp` `lmtp_port` takes mail; with `crypt` mail_crypt encrypts what lies in Maildirs.
    """

    def __init__(
        self, *, lmtp: bool = False, crypt: bool = False, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self._with_lmtp, self._crypt, self._certificate = lmtp, crypt, certificate
        self.port = self.lmtp_port = self.secure_port = 0
        self.root = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        log = self.root / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def maildir(self, user: str) -> Path:
        """Where that user's INBOX lies; made where it is missing, and not yet the user's: call `settle` afterwards."""
        folder = self.root / "mail" / user
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        return folder

    def settle(self, user: str) -> None:
        """What was put into the Maildir belongs to the user."""
        for path in [self.root / "mail", *(self.root / "mail" / user).rglob("*"), self.root / "mail" / user]:
            shutil.chown(path, "mail", "mail")

    def connect(self, user: str) -> imaplib.IMAP4:
        """A session that is logged in."""
        session = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        session.login(user, PASSWORD)
        return session

    def __enter__(self) -> DovecotServer:
        program = shutil.which("dovecot") or shutil.which("/usr/sbin/dovecot")
        if program is None or not Path("/usr/lib/dovecot/imap").exists():
            pytest.skip("Dovecot is not installed (Debian packages dovecot-imapd, dovecot-lmtpd)")
        self.root = root = Path(tempfile.mkdtemp(prefix="gateway-dovecot-"))
        root.chmod(0o755)
        (root / "mail").mkdir()
        shutil.chown(root / "mail", "mail", "mail")
        self.port = free_port()
        more = certificate = ""
        if self._with_lmtp:
            self.lmtp_port = free_port()
            more += _LMTP.format(port=self.lmtp_port)
        if self._crypt:
            self._make_keys()
            more += _CRYPT.format(root=root)
        if self._certificate is not None:
            self.secure_port = free_port()
            certificate = f"ssl_cert = <{self._certificate[0]}\nssl_key = <{self._certificate[1]}"
        settings = _SETTINGS.format(
            root=root,
            protocols="imap lmtp" if self._with_lmtp else "imap",
            tls="no" if self._certificate is None else "yes",
            certificate=certificate,
            password=PASSWORD,
            imap=self.port,
            imaps=self.secure_port,
            more=more,
        )
        (root / "dovecot.conf").write_text(settings)
        self._process = process = subprocess.Popen(
            [program, "-F", "-c", str(root / "dovecot.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: answers(self.port) or process.poll() is not None, "Dovecot to listen")
        assert process.poll() is None, self.log or "Dovecot ended"
        return self

    def _make_keys(self) -> None:
        """A key pair for mail_crypt, as its documentation makes it."""
        key, public = self.root / "crypt.key", self.root / "crypt.pub"
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", str(key)],
            check=True,
            capture_output=True,
        )
        subprocess.run(
            ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True, capture_output=True
        )

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        shutil.rmtree(self.root, ignore_errors=True)
