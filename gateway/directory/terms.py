"""Sources of recipients out of settings, as values.

Leaves out: which domain and which connector goes by which source; `app` joins that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from gateway.directory.filters import BadFilter, Filter
from gateway.mail.address import Address, BadAddress, parse_address
from gateway.settings import schema
from gateway.settings.fault import Fault, errors, shown
from gateway.settings.load import Loaded
from gateway.settings.place import BadPlace, place

NOTHING = "none"  # Instead of a source: nobody is asked.
MAILBOXES = "mailboxes"  # Instead of a source: whoever has a mailbox here.
MAX_SECRET = 4096  # Octets of a password file.
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_PORTS = {"ldap": 389, "ldaps": 636}

# Which keys belong to which kind of source; the rest is for all.
_OWN = {
    "file": ("list", "directory"),
    "subaddress": ("list", "directory", "ldap"),
    "url": ("ldap",),
    "base": ("ldap",),
    "filter": ("ldap",),
    "bind_dn": ("ldap",),
    "password_file": ("ldap",),
    "trusted_ca": ("ldap",),
    "allow_clear": ("ldap",),
    "connector": ("next_hop",),
    "sender": ("next_hop",),
    "remember_known": ("ldap", "next_hop"),
    "remember_unknown": ("ldap", "next_hop"),
    "remember_while_away": ("ldap", "next_hop"),
    "timeout": ("ldap", "next_hop"),
    "questions_at_once": ("ldap", "next_hop"),
    "questions_per_minute": ("ldap", "next_hop"),
}


class WhenUnsure(StrEnum):
    """What becomes of a recipient of whom the source can't say now whether he exists."""

    ACCEPT = "accept"
    DEFER = "defer"


class By(StrEnum):
    """The kinds of sources."""

    LIST = "list"
    DIRECTORY = "directory"
    LDAP = "ldap"
    NEXT_HOP = "next_hop"
    MAILBOXES = "mailboxes"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskTerms:
    """How a source that lies elsewhere is asked. Times in seconds.

    A yes counts for `known`, and for `away` while nobody can be asked; a no counts for `unknown`.
    """

    known: float
    unknown: float
    away: float
    timeout: float
    at_once: int
    per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapTerms:
    """Where an LDAP server is and how it is asked. `starttls`: with `ldap:`, TLS before anything else is said."""

    url: str
    starttls: bool
    trusted_ca: Path | None
    bind_dn: str | None
    password_file: Path | None
    base: str
    filter: Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source. `name` is for log, status and metrics; `key` says where in the settings it stands."""

    name: str
    key: str
    by: By
    when_unsure: WhenUnsure
    ask: AskTerms
    file: Path | None = None
    separator: str | None = None
    ldap: LdapTerms | None = None
    connector: str | None = None
    sender: Address | None = None


def hosted_source() -> Source:
    """The mailboxes here. They are at hand, so nothing of them is remembered."""
    ask = AskTerms(known=0.0, unknown=0.0, away=0.0, timeout=0.0, at_once=1, per_minute=1)
    return Source(name=MAILBOXES, key=MAILBOXES, by=By.MAILBOXES, when_unsure=WhenUnsure.DEFER, ask=ask)


def read_source(
    loaded: Loaded, key: str, name: str, section: schema.RecipientSource, faults: list[Fault]
) -> Source | None:
    """The source that stands at `key`, or None where it has errors; they are added to `faults`.

    Reads no file of recipients; of a password only that it is there.
    """
    return _Reader(loaded, key, name, section, faults).read()


class _Reader:
    """Makes one source and gathers what is wrong with its section."""

    def __init__(
        self, loaded: Loaded, key: str, name: str, section: schema.RecipientSource, faults: list[Fault]
    ) -> None:
        self.loaded = loaded
        self.key = key
        self.name = name
        self.section = section
        self.faults = faults

    def read(self) -> Source | None:
        section = self.section
        before = len(errors(self.faults))
        self._foreign()
        by = By(section.by)
        made = Source(
            name=self.name,
            key=self.key,
            by=by,
            when_unsure=WhenUnsure(section.when_unsure),
            ask=self._ask(),
            file=self._file() if by in (By.LIST, By.DIRECTORY) else None,
            separator=self._separator(),
            ldap=self._ldap() if by is By.LDAP else None,
            connector=self._connector(),
            sender=self._sender(),
        )
        return None if len(errors(self.faults)) > before else made

    def _bad(self, name: str, found: str, right: str) -> None:
        self.faults.append(self.loaded.fault(f"{self.key}.{name}", found, right))

    def _foreign(self) -> None:
        """What is set for another kind of source would seem to do something."""
        for name in sorted(self.section.model_fields_set & _OWN.keys()):
            value = getattr(self.section, name)
            if self.section.by not in _OWN[name] and value is not None:
                right = f"to leave it out: it belongs to by = {' or '.join(shown(one) for one in _OWN[name])}"
                self._bad(name, f"{value:.10g}" if isinstance(value, float) else shown(value), right)

    def _ask(self) -> AskTerms:
        section = self.section
        return AskTerms(
            known=section.remember_known,
            unknown=section.remember_unknown,
            away=max(section.remember_while_away, section.remember_known),
            timeout=section.timeout,
            at_once=section.questions_at_once,
            per_minute=section.questions_per_minute,
        )

    def _file(self) -> Path | None:
        if not self.section.file:
            example = "recipients.txt" if self.section.by == "list" else "people.yaml"
            self._bad("file", "nothing" if self.section.file is None else '""', f'a file, such as "{example}"')
            return None
        return self.loaded.resolve(self.section.file)

    def _separator(self) -> str | None:
        text = self.section.subaddress
        if text is None:
            return None
        if len(text) != 1 or text not in "+-=_#.":
            self._bad("subaddress", shown(text), 'one letter, such as "+"')
        return text

    def _sender(self) -> Address | None:
        text = self.section.sender
        if not text:
            return None
        try:
            sender = parse_address(text)
        except BadAddress:
            sender = None
        if sender is None or not sender.domain or not sender.is_ascii:
            self._bad("sender", shown(text), 'an address in ASCII, or "" for the null sender')
        return sender

    def _connector(self) -> str | None:
        name = self.section.connector
        if name is None or self.section.by != "next_hop":
            return None
        for one in self.loaded.settings.connectors.outbound:
            if one.name != name:
                continue
            if not one.enabled:
                self._bad("connector", f"{shown(name)}, which is not enabled", "an outbound connector that is")
            elif one.deliver != "smtp":
                self._bad("connector", f"{shown(name)}, which does not speak SMTP", "one that does")
            return name
        self._bad("connector", shown(name), "the name of an outbound connector")
        return name

    # -- LDAP -----------------------------------------------------------------------------------------------------

    def _ldap(self) -> LdapTerms | None:
        section = self.section
        url, starttls = self._url()
        for name in ("base", "filter"):
            if not getattr(section, name):
                example = {"base": "dc=corp,dc=example", "filter": "(mail={address})"}[name]
                self._bad(name, "nothing", f'what is searched, such as "{example}"')
        try:
            template = Filter.of(section.filter or "(mail={address})")
        except BadFilter as error:
            self._bad("filter", shown(section.filter), str(error))
            return None
        return LdapTerms(
            url=url,
            starttls=starttls,
            trusted_ca=None if section.trusted_ca is None else self._readable("trusted_ca", section.trusted_ca),
            bind_dn=section.bind_dn or None,
            password_file=self._password(),
            base=section.base or "",
            filter=template,
        )

    def _url(self) -> tuple[str, bool]:
        """The address of the server alone, and whether STARTTLS comes first."""
        text = self.section.url
        right = 'a server\'s address, such as "ldaps://dc1.corp.example"'
        if not text:
            self._bad("url", "nothing", right)
            return "", False
        try:
            parts = urlsplit(text)
            host, port = place(parts.netloc, _PORTS.get(parts.scheme, 0))
        except (ValueError, BadPlace):
            self._bad("url", shown(text), right)
            return "", False
        if parts.scheme not in _PORTS or parts.path.strip("/") or parts.query or parts.fragment:
            self._bad("url", shown(text), right)
        clear = parts.scheme == "ldap" and self.section.allow_clear
        near = bool(_LOOPBACK.fullmatch(host))
        if clear and not near and self.section.bind_dn is not None:
            found = "true beside bind_dn"
            warning = self.loaded.warning(f"{self.key}.allow_clear", found, "TLS: the password goes over the net")
            self.faults.append(warning)
        shown_host = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown_host}:{port}", parts.scheme == "ldap" and not clear and not near

    def _password(self) -> Path | None:
        section = self.section
        if section.bind_dn and not section.password_file:
            # RFC 4513 5.1.2: a bind with a name and no password succeeds, as nobody.
            self._bad("password_file", "nothing beside bind_dn", "a file with its password, of mode 0600")
            return None
        if section.password_file and not section.bind_dn:
            self._bad("bind_dn", "nothing beside password_file", "the name whose password it is")
            return None
        if not section.password_file:
            return None
        path = self._readable("password_file", section.password_file)
        if path is not None and _is_blank(path):
            self._bad("password_file", f"an empty file {path}", "a file with the password in its first line")
        return path

    def _readable(self, name: str, text: str) -> Path | None:
        path = self.loaded.resolve(text)
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            found = f"that {path} can't be read: {error.strerror or type(error).__name__}"
            self._bad(name, found, "a file that the gateway may read")
            return None
        return path


def _is_blank(path: Path) -> bool:
    try:
        return not secret_in(path)
    except (OSError, ValueError):
        return True


def secret_in(path: Path) -> str:
    """The password in the first line of a file. Blocks. Raises OSError, ValueError; neither holds anything of it."""
    with path.open("rb") as stream:
        octets = stream.read(MAX_SECRET)
    try:
        return octets.partition(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise ValueError("the password is not UTF-8") from None
