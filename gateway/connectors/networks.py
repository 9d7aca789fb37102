"""Addresses and networks as settings name them, and the bound on how many strangers they may take in."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded

Network = IPv4Network | IPv6Network

_WIDEST = {4: 8, 6: 16}  # Prefix lengths: nobody's own machines have a public network larger than these.
_PRIVATE = (  # The wide ones: private, loopback, unique local and link-local addresses.
    *(IPv4Network("10.0.0.0/8"), IPv4Network("127.0.0.0/8")),
    *(IPv6Network("fc00::/7"), IPv6Network("fe80::/10")),
)


def read(loaded: Loaded, key: str, texts: list[str], faults: list[Fault]) -> tuple[Network, ...]:
    """The networks of the list under `key`. What is none is added to `faults` and left out."""
    made = []
    for number, text in enumerate(texts):
        try:
            made.append(network(text))
        except ValueError:
            faults.append(loaded.fault(f"{key}[{number}]", shown(text), _right(text)))
    return tuple(made)


def network(text: str) -> Network:
    """An address or a network. Raises ValueError, also for one with bits behind its prefix.

    An IPv4-mapped one (RFC 4291 2.5.5.2) is an IPv4 network, as clients' addresses are taken.
    """
    made = IPv6Network(text) if ":" in text else IPv4Network(text)
    if isinstance(made, IPv6Network) and made.prefixlen >= 96 and (mapped := made.network_address.ipv4_mapped):
        return IPv4Network((mapped, made.prefixlen - 96))
    return made


def bound(loaded: Loaded, key: str, networks: tuple[Network, ...], right: str, faults: list[Fault]) -> None:
    """Add a fault for whatever takes in a large part of the internet, which trusts everybody there."""
    # Also where several networks make up a larger one, such as 0.0.0.0/1 and 128.0.0.0/1.
    public = [one for one in networks if not _private(one)]
    four = collapse_addresses(one for one in public if isinstance(one, IPv4Network))
    six = collapse_addresses(one for one in public if isinstance(one, IPv6Network))
    whole: list[Network] = [*four, *six]
    for one in whole:
        if one.prefixlen == 0:
            faults.append(loaded.fault(key, f"the whole internet ({one})", right))
        elif one.prefixlen < (widest := _WIDEST[one.version]):
            faults.append(loaded.fault(key, f"{one}, a public network larger than /{widest}", right))


def _private(network: Network) -> bool:
    return any(
        network.version == one.version and one.prefixlen <= network.prefixlen and network.network_address in one
        for one in _PRIVATE
    )


def _right(text: str) -> str:
    try:
        meant = IPv6Network(text, strict=False) if ":" in text else IPv4Network(text, strict=False)
    except ValueError:
        return 'an IP address or a network, such as "192.0.2.7", "192.0.2.0/24" or "2001:db8::/32"'
    return f'"{meant}": behind the prefix there are zeros alone'
