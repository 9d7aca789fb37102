"""From a candidate to a connection under the connector's TLS terms (RFC 3207, RFC 7435, RFC 9525).

Forced TLS never ends in clear: whatever fails is raised. Leaves out: DANE, MTA-STS.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.connectors.model import Outbound, TlsLevel
from gateway.connectors.tls import STARTTLS_NOT_SUPPORTED, TlsFault, judge, peer_certificate, tls_facts
from gateway.delivery.client import NextHop, Timeouts
from gateway.delivery.hosts import Candidate
from gateway.delivery.pool import Link
from gateway.delivery.said import HopFault
from gateway.world.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What it takes to reach a host. `hostname` is what we call ourselves."""

    clock: Clock
    hostname: str
    timeouts: Timeouts

    async def link(self, candidate: Candidate, outbound: Outbound) -> Link:
        """A connection on which MAIL may be said. Raises TlsFault, HopFault (HopLogin among them), HostRefused."""
        link = await self._link(candidate, outbound)
        if outbound.login is not None:
            try:
                await link.hop.authenticate(outbound.login)
            except BaseException:
                link.hop.abort()
                raise
        return link

    async def _link(self, candidate: Candidate, outbound: Outbound) -> Link:
        hop = await self._connect(candidate, outbound)
        try:
            if outbound.tls.level > TlsLevel.OPPORTUNISTIC:
                return await self._forced(hop, candidate, outbound)
            if not hop.offers.starttls:
                return _link(hop, candidate, outbound)
            try:
                await hop.secure(outbound.tls.context, candidate.host)
                return _link(hop, candidate, outbound)
            except (TlsFault, HopFault) as fault:
                why = str(fault)
                if hop.alive:  # It only said no to STARTTLS; the session goes on in clear.
                    return _link(hop, candidate, outbound, fallback=why)
        except BaseException:
            hop.abort()
            raise
        hop.abort()
        return _link(await self._connect(candidate, outbound), candidate, outbound, fallback=why)  # RFC 7435 3

    async def _connect(self, candidate: Candidate, outbound: Outbound) -> NextHop:
        return await NextHop.connect(
            candidate.address,
            candidate.port,
            clock=self.clock,
            hostname=self.hostname,
            timeouts=self.timeouts,
            source=outbound.source_address,
        )

    async def _forced(self, hop: NextHop, candidate: Candidate, outbound: Outbound) -> Link:
        terms = outbound.tls
        if not hop.offers.starttls:
            raise TlsFault(STARTTLS_NOT_SUPPORTED, "the host does not offer STARTTLS")
        await hop.secure(terms.context, candidate.host)
        shown = peer_certificate(hop.stream)
        if terms.level >= TlsLevel.DOMAIN_VALIDATION:
            # An MX record is no proof of a name: without a domain only a smart host's name, from our settings, counts.
            expected = terms.domain or (candidate.host if outbound.smart_hosts else "")
            judge(shown, expected, allow_cn=terms.allow_certificate_cn)
            return _link(hop, candidate, outbound, authenticated=True)
        named = terms.level >= TlsLevel.CERTIFICATE_VALIDATION
        if named:
            try:
                judge(shown, terms.domain or candidate.host, allow_cn=terms.allow_certificate_cn)
            except TlsFault:
                named = False  # The chain is all that was asked for; the trace tells that the name does not fit.
        return _link(hop, candidate, outbound, authenticated=named)


def _link(
    hop: NextHop, candidate: Candidate, outbound: Outbound, *, authenticated: bool = False, fallback: str | None = None
) -> Link:
    version, cipher = tls_facts(hop.stream) or (None, None)
    return Link(
        hop=hop,
        outbound=outbound,
        host=candidate.host,
        address=candidate.address,
        tls_version=version,
        tls_cipher=cipher,
        authenticated=authenticated,
        fallback=fallback,
    )
