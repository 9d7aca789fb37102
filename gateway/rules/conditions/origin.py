"""Where a message comes from: the client that connects, or what a trusted host in front of us says of its own."""

from __future__ import annotations

import re
from typing import Final

from gateway.rules.facts import IpAddress, ip_of
from gateway.rules.view import View

MOST_HOPS: Final = 50  # Received fields that are looked at.

# What the host that wrote the field saw of its client (RFC 5321 4.4): an address in brackets behind `from`. The name
# that the client gave itself may look like one; it stands in front of that, or behind `helo=`, as Exim writes it.
_BY = re.compile(r"\sby\s", re.IGNORECASE)
_HELO = re.compile(r"\b(?:helo|ehlo)[= ]\S*", re.IGNORECASE)
_SEEN = re.compile(r"[\[(](?:IPv6:)?([0-9A-Fa-f.:]+)[\])]", re.IGNORECASE)


def client_of(view: View) -> IpAddress | None:
    """The last address in the message's way that is no trusted hop of ours (semantics r20); None where unknown.

    A Received field counts only as long as the host that wrote it is trusted, so nobody outside can claim an address.
    """
    client = view.facts.client_address()
    is_hop = view.facts.organisation.is_hop
    if client is None or not is_hop(client):
        return client
    for value in view.values("received")[:MOST_HOPS]:
        seen = _client_in(value)
        if seen is None:
            break
        client = seen
        if not is_hop(client):
            break
    return client


def _client_in(value: str) -> IpAddress | None:
    """The client's address as a Received field has it."""
    begin = _BY.split(f" {value} ", maxsplit=1)[0].strip()
    if not begin.lower().startswith("from "):
        return None
    begin = _HELO.sub("", begin)
    found = [ip_of(one) for one in _SEEN.findall(begin)]
    return next((one for one in reversed(found) if one is not None), None)
