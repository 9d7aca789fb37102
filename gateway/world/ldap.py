"""LDAP as it is handed in (RFC 4511): searches on kept connections, in threads, by python-ldap over OpenLDAP's library.

That library is looked for when a server is first asked: it needs OpenLDAP's on the machine, and few need LDAP.
Leaves out: SASL, writing, paging, following referrals.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_TLS_1_2 = 0x0303
_NO_ATTRIBUTES = ("1.1",)  # RFC 4511 4.5.1.8
MAX_TOLD = 200  # Letters of a server's words that go on.


class LdapFault(Exception):
    """No usable answer, for a reason that may pass or that an administrator has to mend; the text says which."""


def is_there() -> bool:
    """Whether python-ldap is installed."""
    try:
        importlib.import_module("ldap")
    except ImportError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapServer:
    """Where it is and how it is spoken to. `password` gives it anew for each connection, since it may be changed.

    `timeout` is in seconds, for each step.
    """

    url: str
    starttls: bool
    trusted_ca: Path | None
    bind_dn: str | None
    password: Callable[[], str]
    timeout: float


class Ldap(Protocol):
    """Handed to whoever asks a directory."""

    async def finds(self, base: str, filter_: str) -> bool:
        """Whether anything below `base` fits the filter. Raises LdapFault."""

    def close(self) -> None:
        """End all connections; nobody waits for it."""


class SystemLdap:
    """One server, with at most `at_once` connections."""

    def __init__(self, server: LdapServer, at_once: int) -> None:
        self._server = server
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="ldap")
        self._kept: deque[Any] = deque()  # Connections that nobody uses; append and pop are atomic.

    async def finds(self, base: str, filter_: str) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._finds, base, filter_)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._kept:
            _unbind(self._kept.pop())

    def _finds(self, base: str, filter_: str) -> bool:
        try:
            ldap = importlib.import_module("ldap")
        except ImportError as error:
            raise LdapFault("the library python-ldap is not installed") from error
        try:
            return self._search(ldap, base, filter_)
        except ldap.LDAPError as error:
            if isinstance(error, ldap.SERVER_DOWN | ldap.CONNECT_ERROR):
                raise LdapFault(self._unreachable(error)) from None
            raise LdapFault(_words(error)) from None  # Its arguments may hold more than anybody should read.
        except (OSError, ValueError) as error:
            raise LdapFault(f"the connection can't be set up: {type(error).__name__}") from error

    def _unreachable(self, error: Exception) -> str:
        """OpenLDAP's library over GnuTLS does not tell a certificate that does not hold from a closed port."""
        if self._server.starttls or self._server.url.startswith("ldaps:"):
            return f"{_words(error)}; it is not reached, or its certificate does not hold (trusted_ca, name in url)"
        return _words(error)

    def _search(self, ldap: Any, base: str, filter_: str) -> bool:
        try:
            kept = self._kept.pop()
        except IndexError:
            kept = None
        if kept is not None:
            try:
                return self._asked(ldap, kept, base, filter_)
            except ldap.SERVER_DOWN:
                _unbind(kept)  # It was ended while nobody used it, as most servers do after some minutes.
        return self._asked(ldap, self._connect(ldap), base, filter_)

    def _asked(self, ldap: Any, connection: Any, base: str, filter_: str) -> bool:
        timeout = self._server.timeout
        try:
            found = connection.search_ext_s(
                base, ldap.SCOPE_SUBTREE, filter_, _NO_ATTRIBUTES, attrsonly=1, timeout=timeout, sizelimit=2
            )
        except ldap.SIZELIMIT_EXCEEDED:
            found = [(base, {})]  # Several fit.
        except ldap.LDAPError as error:
            if isinstance(error, ldap.SERVER_DOWN):
                raise
            _unbind(connection)
            raise
        except BaseException:
            _unbind(connection)
            raise
        self._kept.append(connection)
        return any(name is not None for name, _ in found)  # Without a name it is a referral to somewhere else.

    def _connect(self, ldap: Any) -> Any:
        server = self._server
        connection = ldap.initialize(server.url, bytes_strictness="error")
        try:
            connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
            connection.set_option(ldap.OPT_REFERRALS, 0)  # Where they lead the password would go too.
            connection.set_option(ldap.OPT_NETWORK_TIMEOUT, server.timeout)
            connection.set_option(ldap.OPT_TIMEOUT, server.timeout)
            if server.starttls or server.url.startswith("ldaps:"):
                _demand_tls(ldap, connection, server.trusted_ca)
            if server.starttls:
                connection.start_tls_s()
            if server.bind_dn is not None:
                password = server.password()
                if not password:  # RFC 4513 5.1.2: such a bind succeeds, as nobody.
                    raise LdapFault("the password file is empty")
                connection.simple_bind_s(server.bind_dn, password)
        except BaseException:
            _unbind(connection)
            raise
        return connection


def _demand_tls(ldap: Any, connection: Any, trusted_ca: Path | None) -> None:
    """A trusted chain and the right name, whatever the machine's ldap.conf or the environment says."""
    default = ssl.get_default_verify_paths().cafile
    ca = trusted_ca or next((Path(one) for one in (default, *_CA_FILES) if one and Path(one).is_file()), None)
    if ca is not None:
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(ca))
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
    if hasattr(ldap, "OPT_X_TLS_REQUIRE_SAN"):  # A name in the subject alone is none (RFC 9525 2).
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_SAN, ldap.OPT_X_TLS_DEMAND)
    connection.set_option(ldap.OPT_X_TLS_PROTOCOL_MIN, _TLS_1_2)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # Only now do these count.


def _unbind(connection: Any) -> None:
    try:
        connection.unbind_ext_s()
    except Exception:  # noqa: S110 - it ends, which is all we wanted
        pass


def _words(error: Exception) -> str:
    """What the library says, on one line: its class, its description, the server's own words."""
    facts = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    said = [str(facts[name]) for name in ("desc", "info") if facts.get(name)]
    text = ": ".join(said) or type(error).__name__
    return "".join(letter if letter.isprintable() else " " for letter in text)[:MAX_TOLD]
