"""A private slapd (Debian's OpenLDAP server): no root, a folder of its own, two free ports of loopback."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Issued
from tests.scenarios.peers.ports import answers, free_port, until

BASE = "dc=corp,dc=example"
ADMIN = f"cn=gateway,{BASE}"
PASSWORD = "a password (with) * and \\"

_SCHEMA = Path("/etc/ldap/schema")
_SETTINGS = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch
    SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.99999.1 NAME 'mailPerson' SUP top AUXILIARY MAY proxyAddresses )
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {root}/slapd.pid
{tls}
require authc
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {{CLEARTEXT}}{password}
directory {root}/data
maxsize 16777216
"""
_ENTRY = """
dn: uid={uid},{base}
objectClass: inetOrgPerson
objectClass: mailPerson
uid: {uid}
cn: {uid}
sn: {uid}
{addresses}
"""


class Slapd:
    """`people` by uid, with their proxyAddresses. Only who logs in as ADMIN with PASSWORD may search.

    `port` speaks LDAP with STARTTLS where there is a certificate, `tls_port` LDAP in TLS at once.
    """

    def __init__(self, people: Mapping[str, tuple[str, ...]], certificate: Issued | None = None) -> None:
        self.people = people
        self.certificate = certificate
        self.port, self.tls_port = free_port(), free_port()
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> Slapd:
        """Write its settings and its people."""
        if shutil.which("slapd", path="/usr/sbin") is None:
            pytest.skip("slapd is not installed (Debian package slapd)")
        root = self._root = Path(tempfile.mkdtemp(prefix="gateway-slapd-"))
        (root / "data").mkdir()
        tls = ""
        if self.certificate is not None:
            tls = f"TLSCertificateFile {self.certificate.certificate}\nTLSCertificateKeyFile {self.certificate.key}"
        quoted = '"' + PASSWORD.replace("\\", "\\\\").replace('"', '\\"') + '"'
        settings = _SETTINGS.format(schema=_SCHEMA, root=root, tls=tls, base=BASE, admin=ADMIN, password="")
        (root / "slapd.conf").write_text(settings.replace("rootpw {CLEARTEXT}", f"rootpw {quoted}"))
        entries = [f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: corp\no: Corp\n"]
        for uid, addresses in self.people.items():
            lines = "\n".join(f"proxyAddresses: {one}" for one in addresses)
            entries.append(_ENTRY.format(uid=uid, base=BASE, addresses=lines).lstrip())
        (root / "people.ldif").write_text("\n".join(entries))
        command = ["/usr/sbin/slapadd", "-f", str(root / "slapd.conf"), "-l", str(root / "people.ldif")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return self

    def start(self) -> Slapd:
        """Serve; may be called again after `halt`."""
        if self._root is None:
            self.make()
        assert self._root is not None
        urls = f"ldap://127.0.0.1:{self.port}"
        if self.certificate is not None:
            urls += f" ldaps://127.0.0.1:{self.tls_port}"
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/usr/sbin/slapd", "-f", str(self._root / "slapd.conf"), "-h", urls, "-d", "0"], stdout=log, stderr=log
            )
        process = self._process
        until(lambda: process.poll() is not None or answers(self.port), "slapd to listen")
        assert process.poll() is None, (self._root / "log").read_text(errors="replace")
        return self

    def halt(self) -> None:
        """End the process; its data stay."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()
                process.wait(10)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.halt()
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
