"""Outbound connectors out of settings, and which of them a domain's mail goes by."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import Final

from gateway.connectors import patterns, pem
from gateway.connectors.login import LoginFault, read_login
from gateway.connectors.model import Deliver, Domains, Login, Outbound, TlsLevel, TlsTerms
from gateway.connectors.tls import outbound_context
from gateway.settings import schema
from gateway.settings.fault import BadSettings, Fault, errors, shown
from gateway.settings.load import Loaded
from gateway.settings.place import BadPlace, place

MAILBOXES_AT_ONCE: Final = 64  # Deliveries into mailboxes, in each worker, where the settings name no number.

_KEY = "connectors.outbound"


def outbounds(loaded: Loaded) -> tuple[Outbound, ...]:
    """The enabled outbound connectors, in the order of the file. Raises BadSettings with all their faults.

    Reads certificates and keys from disk.
    """
    faults: list[Fault] = []
    made = read_outbounds(loaded, faults)
    if errors(faults):
        raise BadSettings(faults)
    return made


def read_outbounds(loaded: Loaded, faults: list[Fault]) -> tuple[Outbound, ...]:
    """Like `outbounds`, but faults and warnings are added to `faults`, and connectors with errors left out."""
    sections = loaded.settings.connectors.outbound
    patterns.unique(loaded, _KEY, (section.name for section in sections), faults)
    made = (_Reader(loaded, f"{_KEY}[{number}]", section, faults).read() for number, section in enumerate(sections))
    kept = tuple(one for one in made if one is not None)
    _twice(loaded, faults)
    if not sections:
        faults.append(loaded.warning(_KEY, "no connector", "at least one; until then no mail can go anywhere"))
    return kept


def _twice(loaded: Loaded, faults: list[Fault]) -> None:
    """Add a warning for each pattern that an earlier connector has too: `choose` gives all its mail to that one."""
    holders: dict[str, int] = {}
    sections = loaded.settings.connectors.outbound
    for number, section in enumerate(sections):
        if not section.enabled:
            continue
        for index, text in enumerate(section.recipient_domains):
            one = patterns.pattern(text)
            if one is None or (first := holders.setdefault(one, number)) == number:
                continue
            here, there = shown(section.name), shown(sections[first].name)
            found = f"{shown(text)}, which {_KEY}[{first}] has already"
            right = f"to name it once: as it stands {there} counts, the first in the file, and {here} gets none of it"
            faults.append(loaded.warning(f"{_KEY}[{number}].recipient_domains[{index}]", found, right))


def choose(outbounds: tuple[Outbound, ...], domain: str) -> Outbound | None:
    """The connector for `domain` (lower case, A-labels): the most specific wins, the first of the file a tie."""
    best: Outbound | None = None
    closest = -1
    for outbound in outbounds:
        closeness = outbound.recipient_domains.closeness(domain)
        if closeness is not None and closeness > closest:
            best, closest = outbound, closeness
    return best


def smart_host(text: str, port: int) -> tuple[str, int]:
    """Host and port of HOST[:PORT], `port` where none stands there. Raises BadPlace.

    The host is a name in A-labels or an IP address without brackets.
    """
    host, port = place(text, port)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        name = patterns.domain(host)
    if name is None:
        raise BadPlace('a host name or an IP address, such as "mx.partner.example:25"')
    return name, port


class _Reader:
    """Makes one connector and gathers what is wrong with its section."""

    def __init__(self, loaded: Loaded, key: str, section: schema.Outbound, faults: list[Fault]) -> None:
        self.loaded = loaded
        self.key = key
        self.section = section
        self.faults = faults

    def read(self) -> Outbound | None:
        """The connector, or None where it is disabled or has errors."""
        before = len(errors(self.faults))
        recipient_domains = patterns.domains(
            self.loaded, f"{self.key}.recipient_domains", self.section.recipient_domains, self.faults
        )
        folder = self._folder()
        smart_hosts = self._smart_hosts()
        self._way()
        self._source_address()
        tls = self._tls()
        login = self._login()
        if tls is None or not self.section.enabled or len(errors(self.faults)) > before:
            return None
        return self._made(recipient_domains, folder, smart_hosts, tls, login)

    def _made(
        self,
        domains: Domains,
        folder: Path | None,
        smart_hosts: tuple[tuple[str, int], ...],
        tls: TlsTerms,
        login: Login | None,
    ) -> Outbound:
        section = self.section
        return Outbound(
            name=section.name,
            recipient_domains=domains,
            deliver=Deliver(section.deliver),
            folder=folder,
            smart_hosts=smart_hosts,
            port=section.port,
            tls=tls,
            source_address=section.source_address,
            concurrency=self._concurrency(),
            messages_per_minute=section.messages_per_minute,
            messages_per_connection=section.messages_per_connection,
            login=login,
            deliver_decrypted=section.deliver_decrypted,
        )

    def _bad(self, name: str, found: str, right: str, *beside: str) -> None:
        others = tuple(f"{self.key}.{other}" for other in beside)
        self.faults.append(self.loaded.fault(f"{self.key}.{name}", found, right, beside=others))

    def _doubtful(self, name: str, found: str, right: str, *beside: str) -> None:
        others = tuple(f"{self.key}.{other}" for other in beside)
        self.faults.append(self.loaded.warning(f"{self.key}.{name}", found, right, beside=others))

    def _folder(self) -> Path | None:
        text = self.section.folder
        if self.section.deliver != "folder":
            if text is not None:
                self._bad("folder", shown(text), 'to leave it out, or deliver = "folder"', "deliver")
            return None
        if not text:
            self._bad("folder", "nothing" if text is None else shown(text), 'a folder, such as "outbox"')
            return None
        return self.loaded.resolve(text)

    def _smart_hosts(self) -> tuple[tuple[str, int], ...]:
        hosts = []
        for number, text in enumerate(self.section.smart_hosts):
            try:
                hosts.append(smart_host(text, self.section.port))
            except BadPlace as error:
                self._bad(f"smart_hosts[{number}]", shown(text), str(error))
        return tuple(hosts)

    def _way(self) -> None:
        """Exactly one way for the mail."""
        section = self.section
        if section.deliver != "smtp":
            right = f"to leave it out: deliver is {shown(section.deliver)}"
            if section.smart_hosts:
                self._bad("smart_hosts", shown(section.smart_hosts), right, "deliver")
            if section.use_mx:
                self._bad("use_mx", "true", right, "deliver")
            if section.deliver == "mailbox" and "*" in section.recipient_domains:
                right = "the domains whose mailboxes are here; as it stands nobody anywhere else can be written to"
                self._doubtful("recipient_domains", '"*" with deliver = "mailbox"', right)
        else:
            if section.smart_hosts and section.use_mx:
                self._bad("use_mx", "true beside smart_hosts", "one of the two")
            elif not section.smart_hosts and not section.use_mx:
                self._bad("smart_hosts", "nothing", 'smart_hosts = ["HOST:PORT"], or use_mx = true')

    def _concurrency(self) -> int:
        """Attempts at once. Into mailboxes they cost no connection, and share their commits: the more the better."""
        section = self.section
        if section.deliver == "mailbox" and "concurrency" not in section.model_fields_set:
            return MAILBOXES_AT_ONCE
        return section.concurrency

    def _source_address(self) -> None:
        text = self.section.source_address
        if text is not None:
            try:
                ipaddress.ip_address(text)
            except ValueError:
                self._bad("source_address", shown(text), "an IP address of this machine")

    def _login(self) -> Login | None:
        """The login, where there is one that may be shown to these hosts."""
        section = self.section
        if section.auth_user is None:
            if section.auth_password_file is not None:
                self._bad("auth_user", "nothing beside auth_password_file", "the user name that goes with it")
            return None
        if section.deliver != "smtp" or not section.smart_hosts:
            # An MX record names whom it likes; a password is for hosts that the administrator named.
            right = 'smart_hosts = ["HOST:PORT"], or to leave it out'
            self._bad("auth_user", "a login without smart_hosts", right, "deliver", "smart_hosts")
        level = TlsLevel[section.tls_settings.upper()]
        right = 'tls_settings = "domain_validation"'
        if level is TlsLevel.OPPORTUNISTIC:
            right = f"{right}: a password never goes in clear"
            self._bad("auth_user", "a login where TLS is not demanded", right, "tls_settings")
        elif level < TlsLevel.DOMAIN_VALIDATION:
            found = f"a login with {shown(section.tls_settings)}"
            right = f"{right}; as it stands whoever steps in between learns the password"
            self._doubtful("auth_user", found, right, "tls_settings")
        if section.auth_password_file is None:
            self._bad("auth_password_file", "nothing beside auth_user", "a file that holds the password alone")
            return None
        try:
            return read_login(section.auth_user, self.loaded.resolve(section.auth_password_file))
        except LoginFault as fault:
            self._bad(fault.key, fault.found, fault.right)
            return None

    def _tls(self) -> TlsTerms | None:
        section = self.section
        level = TlsLevel[section.tls_settings.upper()]
        domain = self._tls_domain(level)
        if section.deliver != "smtp" and level > TlsLevel.OPPORTUNISTIC:
            right = f"to leave it out: a {section.deliver} knows no TLS"
            self._bad("tls_settings", shown(section.tls_settings), right, "deliver")
        trusted_ca = self._trusted_ca(level)
        certificate, key = self._client_certificate()
        try:
            context = outbound_context(
                level,
                trusted_ca=trusted_ca,
                minimum_tls=section.minimum_tls,
                client_certificate=certificate,
                client_key=key,
                fips=self.loaded.settings.security.fips,
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError.
            reason = error.reason if isinstance(error, ssl.SSLError) else type(error).__name__
            self._bad("tls_settings", f"that TLS can't be set up ({reason})", "certificates that OpenSSL takes")
            return None
        return TlsTerms(level=level, context=context, domain=domain, allow_certificate_cn=section.allow_certificate_cn)

    def _tls_domain(self, level: TlsLevel) -> str | None:
        text = self.section.tls_domain
        if text is None:
            if level is TlsLevel.DOMAIN_VALIDATION and self.section.use_mx:
                # A name out of an insecure MX lookup would let whoever forges DNS choose the certificate.
                right = 'with use_mx, the name in the certificate, such as "*.partner.example"'
                self._bad("tls_domain", "nothing", right)
            return None
        if level is not TlsLevel.DOMAIN_VALIDATION:
            right = 'tls_settings = "domain_validation"; otherwise no name is judged'
            self._doubtful("tls_domain", shown(text), right, "tls_settings")
        try:
            return str(ipaddress.ip_address(text))  # For a certificate with an iPAddress name.
        except ValueError:
            name = patterns.pattern(text, everything=False)
        if name is None:
            right = 'a host name; a wildcard is its whole first label, "*.partner.example"'
            self._bad("tls_domain", shown(text), right)
        return name

    def _trusted_ca(self, level: TlsLevel) -> Path | None:
        """The file, where it is good."""
        text = self.section.trusted_ca
        if text is None:
            return None
        if level < TlsLevel.CERTIFICATE_VALIDATION:
            right = 'tls_settings = "certificate_validation" or more; otherwise no certificate is judged'
            self._doubtful("trusted_ca", shown(text), right)
        path = self.loaded.resolve(text)
        try:
            pem.certificates(path)
        except pem.PemFault as fault:
            self._bad("trusted_ca", fault.found, fault.right)
            return None
        return path

    def _client_certificate(self) -> tuple[Path | None, Path | None]:
        """Certificate and key, where both are good."""
        certificate, key = self.section.client_certificate, self.section.client_key
        if certificate is None:
            if key is not None:
                self._bad("client_certificate", "nothing beside client_key", "the certificate's PEM file")
            return None, None
        here = self.loaded.resolve(certificate)
        there = here if key is None else self.loaded.resolve(key)  # Both may stand in one file.
        try:
            pem.certificates(here)
        except pem.PemFault as fault:
            self._bad("client_certificate", fault.found, fault.right)
            return None, None
        try:
            pem.pair(here, there)
        except pem.PemFault as fault:
            self._bad("client_key", fault.found, fault.right)
            return None, None
        return here, there
