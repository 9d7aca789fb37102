"""Addresses of mail, domains, addresses and networks of IP."""

from __future__ import annotations

import ipaddress
import re

from gateway.mail.address import Address, BadAddress, normal_domain, parse_address
from gateway.rules.flaw import BadValue
from gateway.rules.shapes.shape import Several, Single
from gateway.rules.values import Network
from gateway.settings.fault import shown

_DOMAIN = re.compile(r"(?!\d+(?:\.\d+)*\Z)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_TEXT = (("type", "string"),)


def address(text: str) -> Address:
    """A mailbox with its domain. Raises BadValue."""
    try:
        made = parse_address(text)
    except BadAddress as error:
        raise BadValue(shown(text), _right_address(text, str(error))) from error
    if not made.domain:
        raise BadValue(shown(text), f"{text}@ and the domain")
    return made


def _right_address(text: str, why: str) -> str:
    if (inside := re.search(r"<([^<>]*)>", text)) is not None:
        return f"the address alone, {shown(inside[1])}"
    if "@" not in text or text.startswith(("@", "*@")):
        return (
            "an address, such as ida@corp.example; for a whole domain there is recipient_domain_is or sender_domain_is"
        )
    if "," in text or ";" in text:
        return "a list, each address by itself: [ida@corp.example, olaf@corp.example]"
    return f"an address, such as ida@corp.example: {why}"


def domain(text: str) -> str:
    """A domain in lower case and A-labels (RFC 5890). Raises BadValue."""
    try:
        name = normal_domain(text)
    except BadAddress:
        name = ""
    if _DOMAIN.fullmatch(name):
        return name
    bare = text.rpartition("@")[2].removeprefix("*").removeprefix(".")
    right = "a domain, such as corp.example"
    if bare != text and bare:
        right = f"the domain alone, {shown(bare)}; it stands for its subdomains too"
    raise BadValue(shown(text), right)


def network(text: str) -> Network:
    """One address, a range with a hyphen, or a network with a slash, in IPv4 or IPv6. Raises BadValue."""
    right = "an address, a range or a network: 192.0.2.1, 192.0.2.1-192.0.2.9, 192.0.2.0/24, 2001:db8::/32"
    low, hyphen, high = (part.strip() for part in text.partition("-"))
    try:
        if hyphen:
            first, last = ipaddress.ip_address(low), ipaddress.ip_address(high)
            if first.version != last.version or int(first) > int(last):
                raise BadValue(shown(text), "a range from the lower address to the higher, both of one kind")
            return Network(first.version, int(first), int(last), text)
        whole = ipaddress.ip_network(low, strict=False)
    except ValueError as error:
        if isinstance(error, BadValue):
            raise
        raise BadValue(shown(text), right) from error
    if "/" in low and str(whole.network_address) != str(ipaddress.ip_address(low.partition("/")[0])):
        raise BadValue(shown(text), f"{whole}, the network, or the address alone")
    return Network(whole.version, int(whole.network_address), int(whole.broadcast_address), text)


ADDRESS = Single("an address", "an address, such as ida@corp.example", address, _TEXT)
ADDRESSES = Several("addresses", ADDRESS)
DOMAIN = Single("a domain", "a domain, such as corp.example", domain, _TEXT)
DOMAINS = Several("domains", DOMAIN)
NETWORK = Single("a network", "an address, a range or a network of IP", network, _TEXT)
NETWORKS = Several("addresses, ranges (`a-b`) or networks (`a/n`) of IP", NETWORK)
