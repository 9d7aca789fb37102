"""Inbound connectors: which of them a client comes by (judged at MAIL), and whom it may reach by it (judged at RCPT).

Never an open relay: only an `on_premises` connector reaches domains that are not ours, and it needs addresses.
A connector with certificate terms never gives its mail to one that names the domain less closely.
Leaves out: AUTH, which the session asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from gateway.connectors import patterns, pem
from gateway.connectors.certificate_terms import CertificateTerms, refusal
from gateway.connectors.model import Domains, Inbound
from gateway.connectors.networks import bound
from gateway.connectors.networks import read as read_networks
from gateway.connectors.tls import TlsFault
from gateway.mail.address import Address
from gateway.mail.envelope import Tls
from gateway.mail.reply import (
    ADDRESS_RESTRICTED,
    RELAY_DENIED,
    SENDER_NOT_ALLOWED,
    TLS_REQUIRED,
    TLS_TOO_OLD,
    Refused,
)
from gateway.settings import schema
from gateway.settings.fault import BadSettings, Fault, errors, shown
from gateway.settings.load import Loaded

_KEY = "connectors.inbound"

_REMEMBERED = 4096  # Pairs of client address and sender domain. Forgotten all at once: a flood must not cost more.
_ALWAYS_TAKEN = frozenset({"postmaster", "abuse"})  # RFC 5321 4.5.1, RFC 2142 4
_ROUTING = frozenset("%!@")  # `user%other.example`, `other.example!user`, `"user@other.example"`


class Inbounds(tuple[Inbound, ...]):
    """The connectors in the order of the file. Remembers what it chose: a client says MAIL more than once."""

    def __init__(self, inbounds: Iterable[Inbound] = ()) -> None:
        self.chosen: dict[tuple[str, str | None], Inbound | Refused | None] = {}
        self.asking = any(one.certificate is not None for one in self)

    def named(self, name: str | None) -> Inbound | None:
        """The connector of that name, which may be gone by now."""
        for one in self:  # Asked several times of each message; a generator takes three times as long.
            if one.name == name:
                return one
        return None


def admit(
    inbounds: tuple[Inbound, ...],
    accepted: Domains,
    *,
    sender: Address | None,
    client_address: str,
    tls: Tls | None,
    now: Callable[[], float] = float,
) -> Inbound | None:
    """The connector by which this client hands in mail from `sender` (None: the null reverse path), or None.

    Raises Refused where the connector's terms do not hold. None is no refusal yet: postmaster may be reached without a
    connector; `may_reach` says so at RCPT. `accepted` are the domains of ours; `now` is asked where a certificate is
    judged.
    """
    domain = None if sender is None else sender.domain
    found: Inbound | Refused | None
    if tls is not None and tls.certificate is not None:
        # Not remembered here: the certificate's dates may end it, and what was judged lies with the terms.
        found = _choose(inbounds, domain, client_address, tls, now())
    elif isinstance(inbounds, Inbounds):
        found = _remembered(inbounds, domain, client_address)
    else:
        found = _choose(inbounds, domain, client_address)
    if found is None:
        return None
    if isinstance(found, Refused):
        # A new one: a remembered exception would keep its traceback and all in it alive.
        if tls is None and isinstance(found.__cause__, TlsFault):
            raise Refused(TLS_REQUIRED)  # The certificate can come over TLS alone.
        raise Refused(found.reply) from found.__cause__
    if tls is None:
        if found.require_tls:
            raise Refused(TLS_REQUIRED)
    elif found.minimum_tls == "1.3" and tls.version in ("TLSv1.2", "TLSv1.1", "TLSv1"):
        raise Refused(TLS_TOO_OLD)
    return found


def _remembered(inbounds: Inbounds, domain: str | None, client_address: str) -> Inbound | Refused | None:
    key = (client_address, domain)
    chosen = inbounds.chosen
    if key in chosen:
        return chosen[key]
    if len(chosen) >= _REMEMBERED:
        chosen.clear()
    found = chosen[key] = _choose(inbounds, domain, client_address)
    return found


def is_always_taken(recipient: Address) -> bool:
    """Whether it is postmaster's or abuse's; in a domain of ours nobody may refuse it."""
    return recipient.local.strip('"').lower() in _ALWAYS_TAKEN


def may_reach(inbound: Inbound | None, accepted: Domains, recipient: Address) -> None:
    """Raises Refused unless a client that came by `inbound` may send to `recipient`.

    Postmaster and abuse of ours are reached by everybody. `accepted` are the domains of ours.
    """
    ours = not recipient.domain or accepted.closeness(recipient.domain) is not None
    if ours and is_always_taken(recipient):
        return
    if inbound is None:
        raise Refused(SENDER_NOT_ALLOWED if ours else RELAY_DENIED)
    if not inbound.on_premises and (not ours or _ROUTING.intersection(recipient.local)):
        # A server behind us may carry such a route out: then we would have relayed.
        raise Refused(RELAY_DENIED)
    if inbound.recipient_domains is not None and inbound.recipient_domains.closeness(recipient.domain) is None:
        raise Refused(RELAY_DENIED)


def _choose(
    inbounds: tuple[Inbound, ...], domain: str | None, client_address: str, tls: Tls | None = None, now: float = 0.0
) -> Inbound | Refused | None:
    address = _address(client_address)
    if domain is None:
        return _for_null(inbounds, address, tls, now)
    best: tuple[int, bool, bool, int] = (-1, False, False, 0)
    chosen: Inbound | None = None
    restricted = -1
    denied = _Denied()
    for number, inbound in enumerate(inbounds):
        closeness = inbound.sender_domains.closeness(domain)
        if closeness is None:
            continue
        if _nearness(inbound, address) is None:
            if inbound.restrict_to_networks:
                restricted = max(restricted, closeness)
            if inbound.certificate is not None and inbound.certificate.restrict:
                denied.note(inbound.certificate, closeness, tls, now)
            continue
        if inbound.accepted_senders is not None and inbound.accepted_senders.closeness(domain) is None:
            continue
        if inbound.certificate is not None and denied.note(inbound.certificate, closeness, tls, now):
            continue
        rank = (closeness, inbound.certificate is not None, bool(inbound.networks), -number)
        if rank > best:
            best, chosen = rank, inbound
    if denied.fault is not None and denied.outranks(best[0], named=best[1]):
        return refusal(denied.fault)
    # Who is as close and names the address was meant beside the restricted one: two lists of one partner's addresses.
    if restricted > best[0] or (restricted == best[0] and restricted >= 0 and not best[2]):
        return Refused(ADDRESS_RESTRICTED)
    return chosen


class _Denied:
    """The closest connector whose certificate terms do not hold, and why; of equals one that restricts."""

    def __init__(self) -> None:
        self.fault: TlsFault | None = None
        self._rank = (-1, False)

    def note(self, terms: CertificateTerms, closeness: int, tls: Tls | None, now: float) -> bool:
        """Judge; whether the terms do not hold."""
        try:
            terms.judge(tls, now)
        except TlsFault as fault:
            if (closeness, terms.restrict) > self._rank:
                self._rank, self.fault = (closeness, terms.restrict), fault.with_traceback(None)
            return True
        return False

    def outranks(self, closeness: int, *, named: bool) -> bool:
        """Whether mail may not go by a connector of that closeness. `named`: it has a certificate, and that holds.

        Never by a less close one. By an equally close one it may, unless all mail of the domain is to come with the
        certificate: then only by one that is for another certificate of the same domain.
        """
        denied, restricts = self._rank
        return closeness < denied or (closeness == denied and restricts and not named)


def _for_null(
    inbounds: tuple[Inbound, ...], address: IPv4Address | IPv6Address | None, tls: Tls | None, now: float
) -> Inbound | None:
    """By certificate, then by address: the closest network, then who is for all senders, then the order of the file."""
    best: tuple[bool, int, bool, int] | None = None
    chosen: Inbound | None = None
    for number, inbound in enumerate(inbounds):
        nearness = _nearness(inbound, address)
        if nearness is None:
            continue
        if inbound.certificate is not None and _Denied().note(inbound.certificate, 0, tls, now):
            continue
        rank = (inbound.certificate is not None, nearness, "*" in inbound.sender_domains.patterns, -number)
        if best is None or rank > best:
            best, chosen = rank, inbound
    return chosen


def _nearness(inbound: Inbound, address: IPv4Address | IPv6Address | None) -> int | None:
    """The prefix length of the closest network with `address` in it; -1 where any address will do; None: not for it."""
    if not inbound.networks:
        return -1
    if address is None:
        return None
    return max((one.prefixlen for one in inbound.networks if address in one), default=None)


@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """A client's address; an IPv4-mapped one (RFC 4291 2.5.5.2), as a listener on [::] may see it, counts as IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def inbounds(loaded: Loaded) -> Inbounds:
    """The enabled inbound connectors, in the order of the file. Raises BadSettings with all their faults."""
    faults: list[Fault] = []
    made = read_inbounds(loaded, patterns.read_accepted(loaded, []), faults)
    if errors(faults):
        raise BadSettings(faults)
    return made


def read_inbounds(loaded: Loaded, accepted: Domains, faults: list[Fault]) -> Inbounds:
    """Like `inbounds`, but faults and warnings are added to `faults`, and connectors with errors left out."""
    sections = loaded.settings.connectors.inbound
    patterns.unique(loaded, _KEY, (section.name for section in sections), faults)
    made = []
    for number, section in enumerate(sections):
        before = len(errors(faults))
        one = _read(loaded, f"{_KEY}[{number}]", section, accepted, faults)
        if section.enabled and len(errors(faults)) == before:
            made.append(one)
    if not sections:
        right = "at least one; until then nobody may hand in mail but to postmaster and abuse"
        faults.append(loaded.warning(_KEY, "no connector", right))
    return Inbounds(made)


def _read(loaded: Loaded, key: str, section: schema.Inbound, accepted: Domains, faults: list[Fault]) -> Inbound:
    networks = read_networks(loaded, f"{key}.sender_ip_addresses", section.sender_ip_addresses, faults)
    sender_domains = patterns.domains(loaded, f"{key}.sender_domains", section.sender_domains, faults)
    if not section.sender_domains:
        faults.append(loaded.fault(f"{key}.sender_domains", "an empty list", 'domains, or ["*"] for all'))
    recipients = patterns.domains(loaded, f"{key}.recipient_domains", section.recipient_domains, faults)
    associated = _associated(loaded, f"{key}.associated_accepted_domains", section, accepted, faults)
    on_premises = section.type == "on_premises"
    if on_premises:
        _closed(loaded, f"{key}.sender_ip_addresses", section, networks, faults)
    else:
        _within(loaded, f"{key}.recipient_domains", section, accepted, faults)
    if section.restrict_domains_to_ip_addresses and not section.sender_ip_addresses:
        right = "the addresses to which restrict_domains_to_ip_addresses restricts them"
        faults.append(loaded.fault(f"{key}.sender_ip_addresses", "nothing", right))
    certificate = _certificate(loaded, key, section, faults)
    require_tls = not on_premises if section.require_tls is None else section.require_tls
    if require_tls and not networks and certificate is None and "*" in sender_domains.patterns:
        right = "false on a public MX (RFC 3207 4): the connector is for everybody, so nobody may come in clear"
        faults.append(loaded.warning(f"{key}.require_tls", "true", right))
    if section.minimum_tls is not None and not require_tls:
        right = "to have require_tls = true beside it; as it stands, who comes in clear is let in"
        faults.append(loaded.warning(f"{key}.minimum_tls", shown(section.minimum_tls), right))
    return Inbound(
        name=section.name,
        on_premises=on_premises,
        sender_domains=sender_domains,
        networks=networks,
        restrict_to_networks=section.restrict_domains_to_ip_addresses,
        require_tls=require_tls,
        minimum_tls=section.minimum_tls,
        accepted_senders=associated if section.associated_accepted_domains else None,
        recipient_domains=recipients if section.recipient_domains else None,
        certificate=certificate,
    )


def _certificate(loaded: Loaded, key: str, section: schema.Inbound, faults: list[Fault]) -> CertificateTerms | None:
    """The certificate terms; None where there are none, or where they are at fault."""
    text = section.tls_sender_certificate_name
    if text is None:
        if section.restrict_domains_to_certificate:
            right = "the name in the certificate to which restrict_domains_to_certificate restricts them"
            faults.append(loaded.fault(f"{key}.tls_sender_certificate_name", "nothing", right))
        elif section.trusted_ca is not None:
            right = "tls_sender_certificate_name beside it; otherwise no certificate is judged"
            faults.append(loaded.warning(f"{key}.trusted_ca", shown(section.trusted_ca), right))
        return None
    name = _certificate_name(text)
    if name is None:
        right = 'a host name or an IP address; a wildcard is its whole first label, "*.partner.example"'
        faults.append(loaded.fault(f"{key}.tls_sender_certificate_name", shown(text), right))
        return None
    from gateway.connectors.client_chain import Trust  # Large: only a gateway with such terms pays it.

    try:
        trust = Trust(None if section.trusted_ca is None else loaded.resolve(section.trusted_ca))
    except pem.PemFault as fault:
        faults.append(loaded.fault(f"{key}.trusted_ca", fault.found, fault.right))
        return None
    except OSError as error:
        faults.append(loaded.fault(f"{key}.trusted_ca", f"nothing, and {error}", "a PEM file with trusted CAs"))
        return None
    return CertificateTerms(
        name=name,
        trust=trust,
        restrict=section.restrict_domains_to_certificate,
        allow_cn=section.allow_certificate_cn,
        allow_subdomains=section.allow_certificate_subdomains,
        allow_server=section.allow_server_certificate,
    )


def _certificate_name(text: str) -> str | None:
    try:
        return str(ip_address(text))  # For a certificate with an iPAddress name.
    except ValueError:
        return patterns.pattern(text, everything=False)


def _closed(
    loaded: Loaded,
    key: str,
    section: schema.Inbound,
    networks: tuple[IPv4Network | IPv6Network, ...],
    faults: list[Fault],
) -> None:
    """An on_premises connector for everybody, or for a large part of the internet, would be an open relay."""
    right = "the addresses of your own servers: from anywhere else this would be an open relay"
    if not section.sender_ip_addresses and section.tls_sender_certificate_name is None:
        faults.append(loaded.fault(key, "nothing", right))
    bound(loaded, key, networks, right, faults)


def _within(loaded: Loaded, key: str, section: schema.Inbound, accepted: Domains, faults: list[Fault]) -> None:
    """Add a warning for each of a partner's recipient_domains that is not ours: it reaches accepted_domains alone."""
    if not accepted.patterns:
        return  # Told already.
    for number, text in enumerate(section.recipient_domains):
        one = patterns.pattern(text)
        if one is not None and not _meets(one, accepted):
            right = "one of accepted_domains: a partner reaches no other, so this has no effect"
            faults.append(loaded.warning(f"{key}[{number}]", shown(text), right, beside=patterns.accepted_keys(loaded)))


def _meets(pattern: str, accepted: Domains) -> bool:
    """Whether any domain fits both `pattern` and `accepted`."""
    if pattern in accepted.patterns or accepted.closeness(pattern) is not None:
        return True
    return any(Domains((pattern,)).closeness(one) is not None for one in accepted.patterns)


def _associated(loaded: Loaded, key: str, section: schema.Inbound, accepted: Domains, faults: list[Fault]) -> Domains:
    made = patterns.domains(loaded, key, section.associated_accepted_domains, faults, everything=False)
    for number, text in enumerate(section.associated_accepted_domains):
        one = patterns.pattern(text, everything=False)
        if one is not None and one not in accepted.patterns and accepted.closeness(one) is None:
            beside = patterns.accepted_keys(loaded)
            faults.append(loaded.fault(f"{key}[{number}]", shown(text), "one of accepted_domains", beside=beside))
    return made
