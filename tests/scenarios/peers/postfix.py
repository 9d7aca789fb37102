"""A private Postfix (Debian's): before the gateway as relay, or behind it with mailboxes. Needs root.

Everything of it lies in one folder and listens on one loopback port; `stop` ends it and removes the folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Issued
from tests.scenarios.peers.ports import free_port, greets, until

_SETTINGS = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = {hostname}
mydestination =
mynetworks = 127.0.0.0/8
relayhost = {relayhost}
smtp_dns_support_level = disabled
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject
maillog_file = {root}/mail.log
maillog_file_prefixes = {root}
alias_maps =
local_recipient_maps =
message_size_limit = 104857600
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_security_level = {offered}
smtpd_tls_received_header = yes
smtp_tls_security_level = {demanded}
"""


class Postfix:
    """`domains` end here, in one mailbox; all else goes to `relay_to` (a port on loopback).

    `certificate`: offers STARTTLS with it. `demanded` is Postfix's own word for what it asks of the next hop (none,
    may, encrypt, secure), with `ca` as the only authority that it trusts.
    """

    def __init__(
        self,
        *,
        hostname: str,
        domains: str = "",
        relay_to: int | None = None,
        certificate: Issued | None = None,
        demanded: str = "none",
        ca: Path | None = None,
        extra: str = "",
    ) -> None:
        self.hostname, self.domains, self.relay_to = hostname, domains, relay_to
        self.certificate, self.demanded, self.ca, self.extra = certificate, demanded, ca, extra
        self.port = 0
        self._root: Path | None = None

    def start(self) -> Postfix:
        if os.geteuid() != 0:
            pytest.skip("a Postfix of one's own needs root")
        if shutil.which("/usr/sbin/postfix") is None:
            pytest.skip("Postfix is not installed (Debian package postfix)")
        self.port = free_port()
        self._root = Path(tempfile.mkdtemp(prefix="gateway-postfix-"))
        try:
            self._write(self._root)
            subprocess.run([*self._command(), "start"], check=True, capture_output=True, timeout=30)
            until(lambda: greets(self.port), f"Postfix {self.hostname} to greet")
        except BaseException:
            self.stop()
            raise
        return self

    def halt(self) -> None:
        """End its processes; its queue and mailbox stay until `stop`."""
        subprocess.run([*self._command(), "stop"], capture_output=True, timeout=60)

    def stop(self) -> None:
        if self._root is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.halt()
        with contextlib.suppress(OSError, ValueError):  # Where it did not stop in time, nothing of it may remain.
            os.kill(int((self._root / "queue/pid/master.pid").read_text()), signal.SIGKILL)
        shutil.rmtree(self._root, ignore_errors=True)
        self._root = None

    def __enter__(self) -> Postfix:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """Its mail log so far."""
        file = self._root / "mail.log" if self._root else None
        return file.read_text(errors="replace") if file is not None and file.exists() else ""

    def submit(self, *arguments: str, octets: bytes) -> None:
        """Hand it a message by its own sendmail, such as `-f ida@corp.example -N success otto@partner.example`."""
        command = ["/usr/sbin/sendmail", "-C", f"{self._root}/etc", "-i", *arguments]
        subprocess.run(command, input=octets, check=True, capture_output=True, timeout=30)

    def messages(self) -> list[bytes]:
        """What lies in its mailbox; line ends are LF, and Postfix's own header fields stand on top."""
        assert self._root is not None
        folder = self._root / "mail" / "all" / "new"
        return [file.read_bytes() for file in sorted(folder.iterdir())] if folder.is_dir() else []

    def wait(self, count: int, seconds: float = 30.0) -> list[bytes]:
        """What lies in its mailbox, once there are at least `count`."""
        until(lambda: len(self.messages()) >= count, f"{count} messages at Postfix {self.hostname}", seconds)
        return self.messages()

    def _command(self) -> list[str]:
        return ["/usr/sbin/postfix", "-c", f"{self._root}/etc"]

    def _write(self, root: Path) -> None:
        root.chmod(0o755)
        etc = root / "etc"
        shutil.copytree("/etc/postfix", etc, symlinks=True)
        for name in ("queue", "data", "mail"):
            (root / name).mkdir()
        shutil.chown(root / "data", "postfix")
        owner = (root / "mail").stat() if os.geteuid() else _nobody()
        uid, gid = (owner.st_uid, owner.st_gid) if isinstance(owner, os.stat_result) else owner
        os.chown(root / "mail", uid, gid)
        lines = _SETTINGS.format(
            root=root,
            hostname=self.hostname,
            relayhost=f"[127.0.0.1]:{self.relay_to}" if self.relay_to else "",
            domains=self.domains,
            uid=uid,
            gid=gid,
            offered="may" if self.certificate else "none",
            demanded=self.demanded,
        )
        if self.certificate:
            for name, source in (("cert", self.certificate.certificate), ("key", self.certificate.key)):
                shutil.copy(source, root / f"{name}.pem")
                lines += f"smtpd_tls_{name}_file = {root}/{name}.pem\n"
        if self.ca:
            shutil.copy(self.ca, root / "ca.pem")
            lines += f"smtp_tls_CAfile = {root}/ca.pem\n"
        # A setting that stands twice is warned of, and a dozen warnings fill the log's socket before anybody reads it:
        # then Postfix waits for itself.
        own = set(re.findall(r"^(\w+) =", self.extra, re.MULTILINE))
        kept = [line for line in lines.splitlines() if line.split(" =")[0] not in own]
        (etc / "main.cf").write_text("\n".join([*kept, self.extra]))
        self._write_services(etc / "master.cf")

    def _write_services(self, file: Path) -> None:
        lines = []
        for line in file.read_text().splitlines():
            if re.match(r"smtp\s+inet\s", line):
                line = f"127.0.0.1:{self.port} inet n - n - - smtpd"
            elif re.match(r"[a-z0-9]+\s+unix\s", line):
                parts = line.split()
                parts[4] = "n"  # no chroot: its files lie in our folder
                line = " ".join(parts)
            lines.append(line)
        if not any(line.startswith("postlog") for line in lines):
            lines.append("postlog unix-dgram n - n - 1 postlogd")
        file.write_text("\n".join(lines) + "\n")


def _nobody() -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid
