"""DNS by dnspython (RFC 1035): a stub that asks the given resolvers by UDP, then TCP, and keeps answers by their TTL.

Leaves out: DNSSEC and TLSA, which come with DANE.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gateway.world.clock import Clock
from gateway.world.hosts_file import HostsFile
from gateway.world.names import MAX_TEXT, MAX_TEXTS, Mx, NamesUnavailable, NoSuchName

if TYPE_CHECKING:
    import dns.asyncresolver
    import dns.message
    import dns.name
    import dns.resolver

MAX_KEPT = 10_000  # Answers in the cache, the least used one goes first.
LONGEST = 86_400.0  # Seconds; a mistaken TTL of years must not outlive a day.
NEGATIVE = (300.0, 3600.0)  # Seconds that "there is none" is kept: the SOA's minimum (RFC 2308 5) within these.
LARGE = 8192  # Octets of an answer with TXT; a larger one is not kept, or strangers could fill our memory.
FAILED = 5.0  # Seconds that a failure is kept, so that one dead zone is not asked for each message (RFC 9520 3.2).
ONE_TRY = 2.0  # Seconds for one packet to one resolver.
_LOCALHOST = ("127.0.0.1", "::1")  # RFC 6761 6.3


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known of a name and type, and until when (monotonic). A fault is kept by its kind and words."""

    until: float
    values: tuple[str, ...] | tuple[Mx, ...] | tuple[bytes, ...] = ()
    fault: type[NoSuchName] | type[NamesUnavailable] | None = None
    words: str = ""


class SystemNames:
    """Names by DNS, with a cache of its own. Concurrent questions for one name share one look-up.

    `resolvers` are ADDRESS:PORT or [ADDRESS]:PORT, empty for those of /etc/resolv.conf; `timeout` is in seconds for one
    question, all resolvers and tries together. Raises ValueError for a resolver that is none.
    """

    def __init__(
        self, resolvers: Sequence[str], timeout: float, clock: Clock, *, hosts: Path = Path("/etc/hosts")
    ) -> None:
        self._servers = tuple(_server(text) for text in resolvers)
        self._timeout = timeout
        self._clock = clock
        self._hosts = HostsFile(hosts, clock)
        self._stub: dns.asyncresolver.Resolver | None = None
        self._kept: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[_Answer]] = {}

    async def mx(self, domain: str) -> tuple[Mx, ...]:
        """The MX records, lowest preference first; a null MX has host "". Raises NoSuchName, NamesUnavailable."""
        answer = await self._answer(_plain(domain), "MX")
        if answer.fault is not None:
            raise answer.fault(answer.words)
        return tuple(one for one in answer.values if isinstance(one, Mx))

    async def addresses(self, host: str) -> tuple[str, ...]:
        """IPv6, then IPv4 addresses; the hosts file comes first. Raises NoSuchName, NamesUnavailable."""
        host = _plain(host)
        if (literal := _literal(host)) is not None:
            return (literal,)
        if host == "localhost" or host.endswith(".localhost"):
            return _LOCALHOST
        if listed := await self._hosts.addresses(host):
            return listed
        six, four = await asyncio.gather(self._answer(host, "AAAA"), self._answer(host, "A"))
        found = tuple(str(one) for one in (*six.values, *four.values))
        faults = [answer for answer in (six, four) if answer.fault is not None]
        if found or not faults:
            return found
        # NXDOMAIN for one type and silence for the other: the passing fault wins, since nothing may bounce by mistake.
        worst = next((answer for answer in faults if answer.fault is NamesUnavailable), None)
        if worst is None and len(faults) < 2:
            return ()  # One type says the name exists, the other that it does not: then it has no address.
        told = worst or faults[0]
        raise (told.fault or NamesUnavailable)(told.words)

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The TXT records (RFC 1035 3.3.14). Raises NoSuchName, NamesUnavailable."""
        answer = await self._answer(_plain(name), "TXT")
        if answer.fault is not None:
            raise answer.fault(answer.words)
        return cast("tuple[bytes, ...]", answer.values)  # As `_values` made them for this type.

    def txt_at_hand(self, name: str) -> tuple[bytes, ...] | None:
        """See Names."""
        key = (_plain(name), "TXT")
        kept = self._kept.get(key)
        if kept is None or kept.fault is not None or kept.until <= self._clock.monotonic():
            return None
        self._kept.move_to_end(key)
        return cast("tuple[bytes, ...]", kept.values)

    async def close(self) -> None:
        """Stop what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, name: str, kind: str) -> _Answer:
        key = (name, kind)
        kept = self._kept.get(key)
        if kept is not None:
            if kept.until > self._clock.monotonic():
                self._kept.move_to_end(key)
                return kept
            del self._kept[key]
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._ask(name, kind))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)  # Who gives up waiting does not take the answer from the others.

    async def _ask(self, name: str, kind: str) -> _Answer:
        answer = await self._look_up(name, kind)
        if answer.until > self._clock.monotonic():
            self._kept[name, kind] = answer
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return answer

    async def _look_up(self, name: str, kind: str) -> _Answer:
        """Ask; whatever goes wrong becomes an answer too."""
        import dns.exception
        import dns.name
        import dns.resolver

        try:
            if not name:
                raise dns.name.EmptyLabel
            question = dns.name.from_text(name + ".")
        except (dns.exception.DNSException, UnicodeError):
            return self._fault(NoSuchName, f"{name} is no domain name", NEGATIVE[0])
        try:
            if self._stub is None:
                self._stub = await asyncio.to_thread(self._make_stub)
            found = await self._stub.resolve(
                question, kind, raise_on_no_answer=False, search=False, lifetime=self._timeout
            )
        except dns.resolver.NXDOMAIN as error:
            return self._fault(NoSuchName, f"{name} does not exist", _negative(_denial(error, question)))
        except (dns.exception.DNSException, OSError, EOFError) as error:
            why = "no resolver answered in time" if isinstance(error, dns.exception.Timeout) else "the resolvers failed"
            return self._fault(NamesUnavailable, f"no answer about {name} ({kind}): {why}", FAILED)
        if found.rrset is None:
            return _Answer(self._clock.monotonic() + _negative(found.response))
        ttl = min(float(found.chaining_result.minimum_ttl), LONGEST)
        values = _values(found, kind)
        if kind == "TXT" and sum(len(one) for one in values if isinstance(one, bytes)) > LARGE:
            ttl = 0.0
        return _Answer(self._clock.monotonic() + ttl, values)

    def _fault(self, kind: type[NoSuchName] | type[NamesUnavailable], words: str, seconds: float) -> _Answer:
        return _Answer(self._clock.monotonic() + seconds, (), kind, words)

    def _make_stub(self) -> dns.asyncresolver.Resolver:
        # Imported at the first question: a gateway that has smart hosts alone never pays the memory.
        import dns.asyncresolver
        import dns.nameserver

        stub = dns.asyncresolver.Resolver(configure=not self._servers)
        if self._servers:
            stub.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._servers]
        stub.cache = None
        stub.timeout = min(ONE_TRY, self._timeout)
        stub.use_edns(0, 0, 1232)
        return stub


def _server(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))), int(port)
    except ValueError as error:
        raise ValueError(f"{text!r} is no resolver; write ADDRESS:PORT, such as 127.0.0.1:53 or [::1]:53") from error


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _denial(error: dns.resolver.NXDOMAIN, question: dns.name.Name) -> dns.message.Message | None:
    """The response that said NXDOMAIN."""
    responses: dict[dns.name.Name, dns.message.Message] = error.kwargs.get("responses", {})
    return responses.get(question)


def _negative(response: dns.message.Message | None) -> float:
    """Seconds for which "there is none" holds (RFC 2308 5): the SOA's minimum, or its own TTL if that is less."""
    import dns.rdatatype

    for rrset in response.authority if response is not None else ():
        if rrset.rdtype == dns.rdatatype.SOA and len(rrset):
            return min(max(float(min(rrset.ttl, rrset[0].minimum)), NEGATIVE[0]), NEGATIVE[1])
    return NEGATIVE[0]


def _values(found: dns.resolver.Answer, kind: str) -> tuple[str, ...] | tuple[Mx, ...] | tuple[bytes, ...]:
    records = list(found)
    if kind == "TXT":
        # One record is one text, in strings of 255 octets because the wire has no longer ones.
        return tuple(b"".join(one.strings)[:MAX_TEXT] for one in records[:MAX_TEXTS])
    if kind == "MX":
        hosts = (Mx(int(one.preference), one.exchange.to_text(omit_final_dot=True).lower()) for one in records)
        return tuple(sorted((Mx(mx.preference, "" if mx.host == "." else mx.host) for mx in hosts), key=_preference))
    return tuple(str(one.address) for one in records)


def _preference(mx: Mx) -> int:
    return mx.preference
