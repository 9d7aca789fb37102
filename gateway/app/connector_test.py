"""`gateway connector test`: one connector tried step by step, without a running gateway. What it finds is JSON."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict, dataclass
from typing import Any

from gateway.app.terms import Policy, policy
from gateway.connectors.described import described
from gateway.connectors.inbound import admit
from gateway.connectors.model import Deliver, Inbound, Outbound
from gateway.connectors.outbound import choose
from gateway.delivery.hosts import Candidate, NoHost, candidates
from gateway.delivery.tryout import Step, Tryout
from gateway.mail.address import Address
from gateway.mail.date import rfc5322_date
from gateway.mail.envelope import Tls
from gateway.mail.reply import Refused
from gateway.settings.load import Loaded
from gateway.world.chance import Chance
from gateway.world.clock import Clock, rfc3339
from gateway.world.names import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be tried. `from_address`: the client's address, for inbound connectors; `send`: a real message."""

    name: str
    recipient: Address | None = None
    sender: Address | None = None
    send: bool = False
    inbound: bool = False
    from_address: str | None = None


class NoConnector(Exception):
    """There is none of that name; the words say which there are."""


async def connector_test(loaded: Loaded, wish: Wish, *, names: Names, clock: Clock, chance: Chance) -> dict[str, Any]:
    """The report: {"connector", "direction", "ok", "steps": [...]}. Raises NoConnector, BadSettings, OSError."""
    began = clock.monotonic()
    terms = await asyncio.to_thread(policy, loaded)
    first = Step(name="settings", ok=True, result=f"{loaded.path} is right", seconds=clock.monotonic() - began)
    outbound = next((one for one in terms.outbounds if one.name == wish.name), None)
    inbound = terms.inbounds.named(wish.name)
    if inbound is not None and (outbound is None or wish.inbound):
        steps = [first, *_inbound(loaded, terms, inbound, wish, clock)]
        return _report(wish.name, "inbound", steps, all(step.ok is not False for step in steps))
    if outbound is None or wish.inbound:
        raise NoConnector(_missing(loaded, wish))
    steps = [first]
    ok = await _outbound(terms, outbound, wish, steps, names, clock, chance)
    return _report(wish.name, "outbound", steps, ok)


def _report(name: str, direction: str, steps: list[Step], ok: bool) -> dict[str, Any]:
    return {
        "connector": name,
        "direction": direction,
        "ok": ok,
        "steps": [{**asdict(step), "seconds": round(step.seconds, 4)} for step in steps],
    }


def _missing(loaded: Loaded, wish: Wish) -> str:
    sections = loaded.settings.connectors
    off = [one.name for one in sections.inbound if not one.enabled]
    off += [one.name for one in sections.outbound if not one.enabled]
    if wish.name in off:
        return f"the connector {wish.name} is not enabled; right would be enabled = true in {loaded.path}"
    names = [one.name for one in sections.inbound] + [one.name for one in sections.outbound]
    there = ", ".join(names) or "none"
    return f"there is no connector {wish.name!r} in {loaded.path}; there are: {there}"


# -- outbound ---------------------------------------------------------------------------------------------------------


async def _outbound(
    terms: Policy, outbound: Outbound, wish: Wish, steps: list[Step], names: Names, clock: Clock, chance: Chance
) -> bool:
    """Whether a delivery would get through: at one address at least."""
    domain = _destination(terms, outbound, wish, steps)
    if domain is None:
        return False
    if outbound.deliver is Deliver.FOLDER:
        steps.append(await asyncio.to_thread(_folder, outbound))
        return steps[-1].ok is True
    if outbound.deliver is Deliver.MAILBOX:
        return True  # Whether somebody has a mailbox, `gateway mailbox list` tells.
    fits = all(step.ok is not False for step in steps)
    tried: list[bool] = []
    began = clock.monotonic()
    try:
        found = [one async for one in candidates(outbound, domain, names, chance)]
    except NoHost as fault:
        right = "a name that DNS knows, in smart_hosts or as the domain's MX"
        steps.append(Step(name="dns", ok=False, result=str(fault), seconds=clock.monotonic() - began, right=right))
        return False
    steps.append(_found(found, clock.monotonic() - began))
    for candidate in found:
        wanted = not any(tried)  # One message is enough.
        done = await Tryout(
            clock=clock,
            hostname=terms.hostname,
            outbound=outbound,
            sender=_wire(_sender(terms, wish)),
            recipient=None if wish.recipient is None else _wire(wish.recipient),
            message=_message(terms, wish, clock) if wish.send and wanted else None,
        ).run(candidate)
        steps += done
        tried.append(all(step.ok is not False for step in done))
    return fits and any(tried)


def _wire(address: Address | None) -> bytes:
    return b"" if address is None else address.text.encode()


def _sender(terms: Policy, wish: Wish) -> Address | None:
    if wish.sender is not None:
        return wish.sender
    return Address(f"postmaster@{terms.home}", terms.home) if terms.home else None


def _message(terms: Policy, wish: Wish, clock: Clock) -> bytes:
    sender = _sender(terms, wish)
    mine = sender.text if sender else f"postmaster@{terms.hostname}"
    theirs = "" if wish.recipient is None else wish.recipient.text
    lines = (
        f"From: <{mine}>",
        f"To: <{theirs}>",
        f"Subject: Test of the connector {wish.name}",
        f"Date: {rfc5322_date(clock.now())}",
        f"Message-ID: <connector-test.{int(clock.now() * 1000)}@{terms.hostname}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "This message was sent by `gateway connector test`. If you can read it, the connector works.",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


def _destination(terms: Policy, outbound: Outbound, wish: Wish, steps: list[Step]) -> str | None:
    """The domain to which mail is tried; None where there is none to try."""
    if wish.recipient is not None:
        domain = wish.recipient.domain
        chosen = choose(terms.outbounds, domain)
        if chosen is outbound:
            steps.append(Step(name="route", ok=True, result=f"mail for {domain} goes by this connector"))
        else:
            by = "by no connector" if chosen is None else f"by {chosen.name}"
            right = f"{domain} in its recipient_domains, closer than any other connector has it"
            steps.append(Step(name="route", ok=False, result=f"mail for {domain} goes {by}", right=right))
        return domain
    patterns = outbound.recipient_domains.patterns
    steps.append(Step(name="route", ok=True, result=f"it is for {', '.join(patterns)}"))
    named = next((pattern for pattern in patterns if "*" not in pattern), None)
    if named is not None or outbound.smart_hosts or outbound.deliver is not Deliver.SMTP:
        return named or "*"
    right = "--to ADDRESS: which hosts it goes to depends on the domain"
    steps.append(Step(name="dns", ok=False, result="the connector names no single domain to look up", right=right))
    return None


def _found(found: list[Candidate], seconds: float) -> Step:
    hosts: dict[str, list[str]] = {}
    for one in found:
        hosts.setdefault(one.host, []).append(one.address)
    told = "; ".join(f"{host}: {', '.join(addresses)}" for host, addresses in hosts.items())
    return Step(name="dns", ok=True, result=told, seconds=seconds, facts={"hosts": hosts})


def _folder(outbound: Outbound) -> Step:
    folder = outbound.folder
    if folder is not None and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Step(name="folder", ok=True, result=f"{folder} takes files")
    if folder is not None and not folder.exists():
        return Step(name="folder", ok=True, result=f"{folder} is not there yet; the first delivery makes it")
    right = "a folder in which the gateway's user may write"
    return Step(name="folder", ok=False, result=f"{folder} takes no files", right=right)


# -- inbound ----------------------------------------------------------------------------------------------------------


def _inbound(loaded: Loaded, terms: Policy, inbound: Inbound, wish: Wish, clock: Clock) -> list[Step]:
    """Whom it is for and what it demands; where there is an address, what that client would meet."""
    networks = ", ".join(map(str, inbound.networks)) or "any address"
    kind = "our own servers, which may relay outward" if inbound.on_premises else "partners, who reach our domains"
    senders = ", ".join(inbound.sender_domains.patterns)
    steps = [Step(name="whom", ok=True, result=f"for {kind}: mail from {senders}, from {networks}")]
    demands = ["TLS" if inbound.require_tls else "no TLS"]
    if inbound.minimum_tls is not None:
        demands.append(f"TLS {inbound.minimum_tls} at least")
    if inbound.restrict_to_networks:
        demands.append("those addresses for all mail of those domains")
    steps.append(Step(name="demands", ok=True, result=", ".join(demands)))
    if inbound.certificate is not None:
        steps += _certificates(loaded, inbound, clock)
    if wish.from_address is not None:
        steps.append(_met(terms, inbound, wish, clock))
    return steps


def _certificates(loaded: Loaded, inbound: Inbound, clock: Clock) -> list[Step]:
    certificate = inbound.certificate
    if certificate is None:
        return []
    scope = "all mail of those domains" if certificate.restrict else "whoever comes by it"
    steps = [Step(name="certificate", ok=True, result=f"{scope} must show a certificate for {certificate.name}")]
    asking = [one.listen for one in loaded.settings.listeners if one.tls != "none" and one.kind == "relay"]
    right = 'a listener of kind "relay" with tls = "starttls" or "implicit"'
    told = f"asked for at {', '.join(asking)}" if asking else "no listener asks for one, so nobody can show it"
    steps.append(Step(name="listeners", ok=bool(asking), result=told, right="" if asking else right))
    if not certificate.trust.anchors:
        steps.append(Step(name="trusted", ok=None, result="certificates from the system's CAs are trusted"))
    for der in certificate.trust.anchors[:20]:
        facts = described((der,))
        until = "an unreadable date" if facts.until is None else rfc3339(facts.until)
        good = facts.until is not None and facts.until > clock.now()
        steps.append(
            Step(
                name="trusted",
                ok=good,
                result=f"{facts.name}, until {until}",
                right="" if good else "a CA certificate in trusted_ca that has not ended",
            )
        )
    return steps


def _met(terms: Policy, inbound: Inbound, wish: Wish, clock: Clock) -> Step:
    """What a client from that address meets at MAIL, over TLS and without a certificate."""
    sender = wish.sender
    if sender is None:
        named = next((one for one in inbound.sender_domains.patterns if "*" not in one), None)
        pattern = inbound.sender_domains.patterns[0]
        domain = named or (f"test{pattern[1:]}" if pattern.startswith("*.") else "sender.example")
        sender = Address(f"test@{domain}", domain)
    who = f"{sender.text} from {wish.from_address}"
    try:
        chosen = admit(
            terms.inbounds,
            terms.accepted,
            sender=sender,
            client_address=wish.from_address or "",
            tls=Tls("TLSv1.3", "any"),
            now=clock.now,
        )
    except Refused as refused:
        reply = refused.reply
        told = f"{who}, over TLS and without a certificate, is answered {reply.code} {reply.enhanced} {reply.text}"
        return Step(name="client", ok=None, result=told)
    if chosen is None:
        return Step(name="client", ok=False, result=f"{who} comes by no connector", right="an address that it names")
    if chosen is not inbound:
        right = "a closer sender domain or address in this connector, if it is the one that is meant"
        return Step(name="client", ok=False, result=f"{who} comes by {chosen.name}, not by this one", right=right)
    return Step(name="client", ok=True, result=f"{who} comes by this connector")
