"""From what a next hop said to what becomes of each recipient (RFC 5321 4.2, 4.5.3.1.10; RFC 3463). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gateway.connectors.tls import TlsFault
from gateway.delivery.client import HostRefused, Transaction
from gateway.delivery.outcome import Result, Verdict
from gateway.delivery.said import HopFault, HopLost, Said
from gateway.mail.delivery import Success, Target

NO_TLS = "4.4.317"  # Forced TLS that can't be had, as Exchange has it
BAD_CERTIFICATE = "4.7.320"
NOT_TAKING_MAIL = "4.3.2"  # RFC 3463: the system takes no messages now
_LONGEST_REASON = 200  # It stands in lists; the reply beside it has the whole.


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
    reason, reply = _ours(451, fault.enhanced, str(fault))
    return Result(
        address=target.address, verdict=Verdict.LATER, reply=reply, enhanced=fault.enhanced, reason=reason, host=host
    )


def of_host(targets: Iterable[Target], fault: HopFault | HostRefused | TlsFault, host: str) -> tuple[Result, ...]:
    """What it means for all recipients that no host took as much as MAIL: they wait."""
    reason: str | None
    if isinstance(fault, TlsFault):
        enhanced = BAD_CERTIFICATE if fault.about_certificate else NO_TLS
        _, reply = _ours(450, enhanced, str(fault))
        reason = fault.reason
    elif isinstance(fault, HostRefused):
        # A refused greeting or EHLO is about us or the moment, not about the recipient: it waits even after 5yz.
        said = fault.said
        enhanced = (said.enhanced if 400 <= said.code < 500 else None) or NOT_TAKING_MAIL
        reason, reply = None, said.line
    else:
        enhanced = fault.enhanced
        reason, reply = _ours(451, enhanced, str(fault))
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
    """The same for all. Without `reason` the reply is the host's own."""
    return tuple(
        Result(address=target.address, verdict=verdict, reply=reply, enhanced=enhanced, reason=reason, host=host)
        for target in targets
    )


def of_ours(
    targets: Iterable[Target], verdict: Verdict, code: int, enhanced: str, text: str, host: str | None = None
) -> tuple[Result, ...]:
    """The same for all, where no host said it but we do. `text` is a sentence that begins with a small letter."""
    reason, reply = _ours(code, enhanced, text)
    return of_all(targets, verdict, enhanced, reply, reason=reason, host=host)


def with_success(results: Sequence[Result], targets: Sequence[Target], how: Success) -> tuple[Result, ...]:
    """`results` with `how` at each recipient who has it and whose sender asked to hear of that (RFC 3461 4.1)."""
    asking = {target.address.text for target in targets if target.wants("SUCCESS")}
    return tuple(
        replace(result, success=how) if result.verdict is Verdict.SENT and result.address.text in asking else result
        for result in results
    )


def _ours(code: int, enhanced: str, text: str) -> tuple[str, str]:
    """A sentence of ours as reason and as reply."""
    return text[:_LONGEST_REASON], f"{code} {enhanced} {text[:1].upper()}{text[1:]}"
