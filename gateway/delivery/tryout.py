"""One host tried step by step under a connector's terms, for a person who wants to see where it fails.

The steps are those of a real delivery, by the same client, contexts and judgements; nothing is kept or queued.
Leaves out: kept connections, the second try in clear, which is only told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.connectors.described import described, names_shown
from gateway.connectors.model import Outbound, TlsLevel
from gateway.connectors.tls import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_HOST_MISMATCH,
    CERTIFICATE_NOT_TRUSTED,
    STARTTLS_NOT_SUPPORTED,
    TlsFault,
    judge,
    outbound_context,
    peer_certificate,
    tls_facts,
)
from gateway.delivery.client import HostRefused, NextHop, Timeouts
from gateway.delivery.hosts import Candidate
from gateway.delivery.said import HopFault, HopLogin, Said
from gateway.mail.message import Held
from gateway.world.clock import Clock, rfc3339

PATIENCE: Final = Timeouts(
    connect=15, greeting=30, tls=30, ehlo=60, mail=60, rcpt=60, data=60, block=60, final=120, quit=5
)
_ADVICE: Final = {
    STARTTLS_NOT_SUPPORTED: "STARTTLS at the host, or a connector whose tls_settings do not demand it",
    CERTIFICATE_EXPIRED: "a new certificate at the host; until then mail waits",
    CERTIFICATE_HOST_MISMATCH: "a certificate for that name at the host, or the certificate's own name in tls_domain",
    CERTIFICATE_NOT_TRUSTED: "a server's certificate from a CA that is trusted here, or the host's CA in trusted_ca; "
    "a chain that lacks its intermediate fails like this too",
}
_IN_SUBJECT_ALONE: Final = "a certificate with the name in its subjectAltName at the host, or allow_certificate_cn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What was done, how it went and how long it took. `ok` is None where it neither holds nor fails: a note.

    `right` says what would be right where it fails; `facts` are for programs.
    """

    name: str
    ok: bool | None
    result: str
    seconds: float = 0.0
    right: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class Overheard(NextHop):
    """Keeps what is said before the first transaction."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hostname: str, timeouts: Timeouts) -> None:
        super().__init__(loop, hostname, timeouts)
        self.heard: list[Said] = []
        self.connected: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The address answers."""
        super().connection_made(transport)
        if self.connected is None:
            self.connected = self._loop.time()

    async def _replies(self, count: int, seconds: float) -> list[Said]:
        said = await super()._replies(count, seconds)
        self.heard += said
        return said

    async def greet(self, sender: bytes) -> Said:
        """MAIL and RSET: whether we may send at all. Raises HopFault."""
        said = await self._ask(b"MAIL FROM:<%b>\r\n" % sender, self._timeouts.mail)
        await self._ask(b"RSET\r\n", self._timeouts.mail)
        return said


@dataclass(slots=True, kw_only=True)
class Tryout:
    """`sender` and `recipient` are addresses as they go over the wire; `message`: sent where given, CR LF clean."""

    clock: Clock
    hostname: str
    outbound: Outbound
    sender: bytes
    recipient: bytes | None = None
    message: bytes | None = None
    timeouts: Timeouts = PATIENCE
    steps: list[Step] = field(default_factory=list)
    _began: float = 0.0

    async def run(self, candidate: Candidate) -> list[Step]:
        """The steps at this address, up to the first that fails, and QUIT."""
        hop = await self._connect(candidate)
        if hop is None:
            return self.steps
        try:
            if await self._secure(hop, candidate) and await self._log_in(hop):
                await self._transaction(hop)
        except HopFault as fault:
            self._failed("session", str(fault))
        except HostRefused as refused:
            self._failed("session", refused.said.line)
        finally:
            self._start()
            await hop.quit()
        return self.steps

    # -- steps --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._began = self.clock.monotonic()

    def _note(self, name: str, ok: bool | None, result: str, right: str = "", **facts: Any) -> bool:
        seconds = self.clock.monotonic() - self._began
        self.steps.append(Step(name=name, ok=ok, result=result, seconds=seconds, right=right, facts=facts))
        self._start()
        return ok is not False

    def _failed(self, name: str, result: str, right: str = "", **facts: Any) -> bool:
        return self._note(name, False, result, right, **facts)

    async def _connect(self, candidate: Candidate) -> Overheard | None:
        self._start()
        where = f"{candidate.host} at {candidate.address} port {candidate.port}"
        try:
            hop = await self._dialled(candidate)
        except HopFault as fault:
            right = "a host that answers there; look at its address, its port and the firewalls between"
            self._failed("connect", str(fault), right, host=candidate.host, address=candidate.address)
            return None
        except HostRefused as refused:
            right = "220 from the host: it refuses us before it hears whose mail it is"
            self._failed("banner", refused.said.line, right, host=candidate.host, address=candidate.address)
            return None
        self._note("connect", True, where, host=candidate.host, address=candidate.address, port=candidate.port)
        self._note("banner", True, hop.heard[0].line, reply=hop.heard[0].line)
        offered = [line.strip() for line in hop.heard[-1].text.split("\n")[1:]]
        told = ", ".join(offered) or "nothing: it knows no EHLO, or has no extensions"
        self._note("ehlo", True, f"offers {told}", offers=offered)
        return hop

    async def _dialled(self, candidate: Candidate) -> Overheard:
        hop = await Overheard.connect(
            candidate.address,
            candidate.port,
            clock=self.clock,
            hostname=self.hostname,
            timeouts=self.timeouts,
            source=self.outbound.source_address,
        )
        assert isinstance(hop, Overheard)  # noqa: S101 - `connect` makes its own class
        return hop

    async def _secure(self, hop: Overheard, candidate: Candidate) -> bool:
        """STARTTLS and the certificate. Whether mail would go on from there."""
        terms = self.outbound.tls
        forced = terms.level > TlsLevel.OPPORTUNISTIC
        if not hop.offers.starttls:
            words = "the host does not offer STARTTLS"
            if forced:
                return self._failed("starttls", words, _ADVICE[STARTTLS_NOT_SUPPORTED], reason=STARTTLS_NOT_SUPPORTED)
            return self._note("starttls", None, f"{words}; mail goes in clear, as tls_settings allows")
        try:
            await hop.secure(terms.context, candidate.host)
        except TlsFault as fault:
            words = f"{fault.reason}: {fault}"
            right = _ADVICE.get(fault.reason, "TLS as the host and minimum_tls both have it")
            if not forced:
                words += "; a delivery would be tried once more in clear, as tls_settings allows"
            self._note("starttls", False if forced else None, words, right if forced else "", reason=fault.reason)
            if fault.about_certificate:
                await self._show_rejected(candidate)
            return not forced and hop.alive
        version, cipher = tls_facts(hop.stream) or ("unknown", "unknown")
        self._note("starttls", True, f"{version} with {cipher}", version=version, cipher=cipher)
        return self._judge(peer_certificate(hop.stream), candidate)

    def _judge(self, der: bytes | None, candidate: Candidate) -> bool:
        """The certificate by the terms, as a delivery judges it."""
        terms = self.outbound.tls
        words, facts = _told(der)
        if terms.level < TlsLevel.CERTIFICATE_VALIDATION:
            return self._note("certificate", None, f"{words}; not judged, as tls_settings has it", **facts)
        expected = terms.domain or candidate.host
        if terms.level >= TlsLevel.DOMAIN_VALIDATION and not terms.domain and not self.outbound.smart_hosts:
            expected = ""
        try:
            judge(der, expected, allow_cn=terms.allow_certificate_cn)
        except TlsFault as fault:
            if terms.level >= TlsLevel.DOMAIN_VALIDATION:
                right = _ADVICE.get(fault.reason, "a certificate that can be read")
                if fault.reason == CERTIFICATE_HOST_MISMATCH and not facts["names"]:
                    right = _IN_SUBJECT_ALONE
                return self._failed("certificate", f"{fault.reason}: {fault}; it is {words}", right, **facts)
            return self._note("certificate", None, f"trusted, but {fault}, which tls_settings allows: {words}", **facts)
        return self._note("certificate", True, f"trusted, and names {expected}: {words}", **facts)

    async def _show_rejected(self, candidate: Candidate) -> None:
        """The certificate over which the handshake failed: without it nobody can tell what would be right."""
        context = outbound_context(
            TlsLevel.OPPORTUNISTIC, trusted_ca=None, minimum_tls="1.2", client_certificate=None, client_key=None
        )
        try:
            hop = await self._dialled(candidate)
            try:
                await hop.secure(context, candidate.host)
                words, facts = _told(peer_certificate(hop.stream))
                self._note("certificate", None, f"the rejected one is {words}", **facts)
            finally:
                await hop.quit()
        except (HopFault, HostRefused, TlsFault) as fault:
            self._note("certificate", None, f"it can't be shown: {fault}")

    async def _log_in(self, hop: Overheard) -> bool:
        login = self.outbound.login
        if login is None:
            return True
        try:
            await hop.authenticate(login)
        except HopLogin as fault:
            right = "auth_user and auth_password_file as the host's administrator gave them"
            return self._failed("auth", f"{fault}{': ' + fault.said if fault.said else ''}", right)
        return self._note("auth", True, f"logged in as {login.user}")

    async def _transaction(self, hop: Overheard) -> None:
        shown = self.sender.decode("utf-8", "replace")
        if self.recipient is None:
            said = await hop.greet(self.sender)
            self._replied("mail", f"MAIL FROM:<{shown}>", said)
            return
        if self.message is None:
            mail, rcpt = await hop.rehearse(self.sender, self.recipient, b"")
        else:
            done = await hop.transact(self.sender, (self.recipient,), b"", Held(self.message))
            if done.mail is None:
                raise done.fault or HopFault("the connection ended")
            mail, rcpt = done.mail, done.recipients[0]
        if not self._replied("mail", f"MAIL FROM:<{shown}>", mail) or rcpt is None:
            return
        to = self.recipient.decode("utf-8", "replace")
        if not self._replied("rcpt", f"RCPT TO:<{to}>", rcpt) or self.message is None:
            return
        if done.final is None:
            self._failed("message", str(done.fault or "the host did not answer"))
        else:
            self._replied("message", "the test message", done.final)

    def _replied(self, name: str, asked: str, said: Said) -> bool:
        right = "" if said.good else "the host to take it; its words say why it does not"
        return self._note(name, said.good, f"{asked}: {said.line}", right, reply=said.line)


def _told(der: bytes | None) -> tuple[str, dict[str, Any]]:
    """A certificate in words and as facts."""
    if der is None:
        return "none at all", {}
    facts = described((der,))
    names = names_shown(der)
    until = "an unreadable date" if facts.until is None else rfc3339(facts.until)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    words = f"for {shown or facts.name + ' in its subject alone'}, from {facts.issuer}, until {until}"
    return words, {"names": list(names[:100]), "issuer": facts.issuer, "until": None if facts.until is None else until}
