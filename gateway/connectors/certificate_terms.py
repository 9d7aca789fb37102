"""What an inbound connector demands of a client's certificate: name (RFC 9525 6) and chain; judged at MAIL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.connectors.tls import CERTIFICATE_HOST_MISMATCH, TlsFault, judge, names_of, normal_name
from gateway.mail.envelope import Tls
from gateway.mail.reply import CERTIFICATE_NAME, CERTIFICATE_NEEDED, CERTIFICATE_UNTRUSTED, Refused

if TYPE_CHECKING:  # What it needs is large, and only a gateway with such terms pays it.
    from gateway.connectors.client_chain import Trust

CERTIFICATE_MISSING: Final = "certificate-missing"  # RFC 8460 has no word for it: there it is the server who shows one.


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateTerms:
    """`name` is a host name, `*.partner.example` (any one first label) or an IP address; the rest are switches.

    `restrict`: mail from the connector's sender_domains must come with this certificate, whatever its address.
    """

    name: str
    trust: Trust
    restrict: bool = False
    allow_cn: bool = False
    allow_subdomains: bool = False
    allow_server: bool = False

    def judge(self, tls: Tls | None, now: float) -> None:
        """Return if the client showed what is demanded, else raise TlsFault. The name first: it costs less."""
        if tls is None or tls.certificate is None:
            raise TlsFault(CERTIFICATE_MISSING, "the client showed no certificate")
        chain = tls.certificate.chain
        try:
            judge(chain[0], self.name, allow_cn=self.allow_cn)
        except TlsFault:
            if not (self.allow_subdomains and self._below(chain[0])):
                raise
        self.trust.judge(chain, now, server_too=self.allow_server)

    def _below(self, der: bytes) -> bool:
        """Whether a name stands at any depth under the wildcard's domain, as Exchange takes it."""
        if not self.name.startswith("*."):
            return False
        suffix = normal_name(self.name)[1:]
        return any(name.endswith(suffix) for name in names_of(der, allow_cn=self.allow_cn))


def refusal(fault: TlsFault) -> Refused:
    """The answer to MAIL. The words of `fault` are for the log: they stay its cause."""
    reply = CERTIFICATE_UNTRUSTED
    if fault.reason == CERTIFICATE_MISSING:
        reply = CERTIFICATE_NEEDED
    elif fault.reason == CERTIFICATE_HOST_MISMATCH:
        reply = CERTIFICATE_NAME
    refused = Refused(reply)
    refused.__cause__ = fault
    return refused
