"""From what a next hop said to what becomes of each recipient (RFC 5321 4.2, 4.5.3.1.10; RFC 3463). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.connectors.tls import TlsFault
from gateway.delivery.client import HostRefused, Transaction
from gateway.delivery.outcome import Result, Verdict
from gateway.delivery.said import HopFault, HopLost, Said
from gateway.mail.delivery import Target

NO_TLS = "4.4.317"  # Forced TLS that can't be had, as Exchange has it
BAD_CERTIFICATE = "4.7.320"
NOT_TAKING_MAIL = "4.3.2"  # RFC 3463: the system takes no messages now


def of_reply(target: Target, said: Said, host: str) -> Result:
    """What one reply means for one recipient."""
    if said.good:
        return Result(
            address=target.address, verdict=Verdict.SENT, reply=said.line, enhanced=said.enhanced or "2.0.0", host=host
        )
    verdict = Verdict.NEVER if said.lasting else Verdict.LATER
    enhanced = said.enhanced if said.code >= 400 else None
    kind = "5.0.0" if said.lasting else "4.0.0"
    return Result(address=target.address, verdict=verdict, reply=said.line, enhanced=enhanced or kind, host=host)


def of_transaction(done: Transaction, targets: Sequence[Target], host: str) -> tuple[Result, ...]:
    """Each recipient's own result. MAIL must have been answered."""
    mail = done.mail
    if mail is None:
        raise ValueError("a transaction whose MAIL was not answered has no results")
    if not mail.good:
        return tuple(of_reply(target, mail, host) for target in targets)
    taken = any(said is not None and said.good for said in done.recipients)
    results = []
    for target, said in zip(targets, done.recipients, strict=True):
        if said is not None and not said.good:
            results.append(_of_rcpt(target, said, host, others=taken))
        elif said is not None and done.final is not None:
            results.append(of_reply(target, done.final, host))
        else:
            results.append(_of_fault(target, done.fault or HopLost("the connection ended"), host))
    return tuple(results)


def _of_rcpt(target: Target, said: Said, host: str, *, others: bool) -> Result:
    if said.code == 552 and others and said.enhanced in (None, "5.5.3"):
        # Old hosts say 552 for "too many recipients"; that one is to be tried again (RFC 5321 4.5.3.1.10).
        return Result(address=target.address, verdict=Verdict.LATER, reply=said.line, enhanced="4.5.3", host=host)
    return of_reply(target, said, host)


def _of_fault(target: Target, fault: HopFault, host: str) -> Result:
    reply = f"451 {fault.enhanced} {_sentence(fault)}"
    return Result(address=target.address, verdict=Verdict.LATER, reply=reply, enhanced=fault.enhanced, host=host)


def of_host(targets: Iterable[Target], fault: HopFault | HostRefused | TlsFault, host: str) -> tuple[Result, ...]:
    """What it means for all recipients that no host took as much as MAIL: they wait."""
    reason = None
    if isinstance(fault, TlsFault):
        reason = fault.reason
        enhanced = BAD_CERTIFICATE if fault.about_certificate else NO_TLS
        reply = f"450 {enhanced} {_sentence(fault)}"
    elif isinstance(fault, HostRefused):
        # A refused greeting or EHLO is about us or the moment, not about the recipient: it waits even after 5yz.
        said = fault.said
        enhanced = (said.enhanced if 400 <= said.code < 500 else None) or NOT_TAKING_MAIL
        reply = said.line
    else:
        enhanced = fault.enhanced
        reply = f"451 {enhanced} {_sentence(fault)}"
    return of_all(targets, Verdict.LATER, enhanced, reply, reason=reason, host=host)


def of_all(
    targets: Iterable[Target],
    verdict: Verdict,
    enhanced: str,
    reply: str,
    *,
    reason: str | None = None,
    host: str | None = None,
) -> tuple[Result, ...]:
    """The same for all."""
    return tuple(
        Result(address=target.address, verdict=verdict, reply=reply, enhanced=enhanced, reason=reason, host=host)
        for target in targets
    )


def _sentence(fault: Exception) -> str:
    text = str(fault)
    return text[:1].upper() + text[1:]
