"""To which hosts a delivery may go, in order (RFC 5321 5.1, RFC 7505).

Leaves out: finding ourselves among the MX hosts; the count of Received lines ends such loops.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from itertools import zip_longest

from gateway.connectors.model import Outbound
from gateway.delivery.outcome import Verdict
from gateway.world.chance import Chance
from gateway.world.names import Names, NamesUnavailable, NoSuchName

MAX_HOSTS = 5  # Of one destination; a domain with twenty dead hosts must not hold a connection's place for hours.
MAX_ADDRESSES = 10  # Of all its hosts together.


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address to try. `host` is the name that leads there, or the literal."""

    host: str
    address: str
    port: int


class NoHost(Exception):
    """There is nobody to try. `code` and `enhanced` (RFC 3463) are those of a reply, the text is a sentence of ours."""

    def __init__(self, verdict: Verdict, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.verdict = verdict
        self.code = code
        self.enhanced = enhanced


def _later(enhanced: str, text: str) -> NoHost:
    return NoHost(Verdict.LATER, 451, enhanced, text)


def _never(code: int, enhanced: str, text: str) -> NoHost:
    return NoHost(Verdict.NEVER, code, enhanced, text)


async def candidates(
    outbound: Outbound, destination: str, names: Names, chance: Chance
) -> AsyncGenerator[Candidate, None]:
    """The addresses to try, best first, looked up as they are needed. Raises NoHost, before the first or never."""
    hosts = await _hosts(outbound, destination, names, chance)
    passing: NamesUnavailable | None = None
    found = 0
    for host, port in hosts[:MAX_HOSTS]:
        try:
            addresses = await names.addresses(host)
        except NoSuchName:
            continue
        except NamesUnavailable as fault:
            passing = fault
            continue
        for address in _alternating(addresses):
            if found == MAX_ADDRESSES:
                return
            found += 1
            yield Candidate(host, address, port)
    if found:
        return
    if passing is not None:
        raise _later("4.4.3", str(passing)) from passing
    if outbound.smart_hosts:
        # A slip in the settings must not bounce the mail of a whole organisation.
        told = ", ".join(host for host, _ in hosts)
        raise _later("4.4.4", f"no smart host of connector {outbound.name} has an address: {told}")
    raise _never(550, "5.4.4", f"no mail host of {destination} has an address")


async def _hosts(outbound: Outbound, destination: str, names: Names, chance: Chance) -> list[tuple[str, int]]:
    """Host names or literals with their ports. Raises NoHost."""
    if outbound.smart_hosts:
        return list(outbound.smart_hosts)
    if destination.startswith("["):  # user@[192.0.2.1], user@[IPv6:2001:db8::1] (RFC 5321 4.1.3)
        return [(destination[1:-1].removeprefix("ipv6:"), outbound.port)]
    try:
        records = await names.mx(destination)
    except NoSuchName as fault:
        raise _never(550, "5.1.2", f"the domain {destination} does not exist") from fault
    except NamesUnavailable as fault:
        raise _later("4.4.3", str(fault)) from fault
    if not records:
        return [(destination, outbound.port)]  # The domain is its own mail host (RFC 5321 5.1).
    named = [record for record in records if record.host]
    if not named:  # RFC 7505 3 and 4.1
        raise _never(556, "5.1.10", f"the domain {destination} takes no mail (null MX)")
    # Among equals chance decides, so that they share the load (RFC 5321 5.1).
    named.sort(key=lambda record: (record.preference, chance.between(0, 1)))
    return [(record.host, outbound.port) for record in named]


def _alternating(addresses: Iterable[str]) -> list[str]:
    """One of each family in turn: where IPv6 does not work, IPv4 is not behind all of it, nor cut off by the limit."""
    six = [address for address in addresses if ":" in address]
    four = [address for address in addresses if ":" not in address]
    return [one for both in zip_longest(six, four) for one in both if one is not None]
