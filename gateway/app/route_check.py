"""Judging where mail would go with these settings: in a circle, or by a connector where nobody can be asked; and which
of two entries for one domain counts. None of it stops the gateway, so all of it is warned of.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from gateway.app.book_terms import book_terms
from gateway.connectors import patterns
from gateway.connectors.model import Deliver, Outbound
from gateway.connectors.outbound import choose, read_outbounds, smart_host
from gateway.settings.fault import Fault, entry_keys, shown
from gateway.settings.load import Loaded
from gateway.settings.place import BadPlace, listening
from gateway.settings.schema import AcceptedDomain, RecipientSource


def judge_routes(loaded: Loaded) -> Iterator[Fault]:
    """Warnings."""
    yield from _twice(loaded)
    yield from _circles(loaded)
    yield from _mute(loaded)
    yield from _nowhere(loaded)


def _twice(loaded: Loaded) -> Iterator[Fault]:
    """An accepted domain that stands there again, with something else said of it perhaps."""
    firsts: dict[str, int] = {}
    for number, entry in enumerate(loaded.settings.accepted_domains):
        name = entry.name if isinstance(entry, AcceptedDomain) else entry
        one = patterns.pattern(name, everything=False)
        if one is None or (first := firsts.setdefault(one, number)) == number:
            continue
        key = f"accepted_domains[{number}]{'.name' if isinstance(entry, AcceptedDomain) else ''}"
        found = f"{shown(name)}, which accepted_domains[{first}] has already"
        yield loaded.warning(key, found, "to name it once, with all that is to hold for it")


def _circles(loaded: Loaded) -> Iterator[Fault]:
    """Smart hosts that are a listener of this very gateway: each message would come back until it counts as a loop."""
    doors: set[tuple[str, int]] = set()
    for listener in loaded.settings.listeners:
        try:
            doors.add(listening(listener.listen))
        except BadPlace:
            continue
    for number, outbound in enumerate(loaded.settings.connectors.outbound):
        for index, text in enumerate(outbound.smart_hosts if outbound.enabled else ()):
            try:
                host, port = smart_host(text, outbound.port)
            except BadPlace:
                continue
            if _is_here(host, port, doors):
                key = f"connectors.outbound[{number}].smart_hosts[{index}]"
                right = "the server behind it; as it stands mail comes back here until it ends as a loop"
                yield loaded.warning(key, f"{shown(text)}, where this gateway listens itself", right)


def _is_here(host: str, port: int, doors: set[tuple[str, int]]) -> bool:
    """Whether one of `doors` takes the connection. Of a name, and of a network's addresses, nobody can tell."""
    host = "127.0.0.1" if host == "localhost" else host
    if (host, port) in doors:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    every = "::" if address.version == 6 else "0.0.0.0"  # noqa: S104 (compared, not bound)
    return address.is_loopback and (every, port) in doors


def _mute(loaded: Loaded) -> Iterator[Fault]:
    """Recipients that the next hop is to be asked for, where there is no next hop: each would be put off for ever."""
    outbounds = read_outbounds(loaded, [])
    sources = {source.name: source for source in loaded.settings.recipient_sources}
    for number, entry in enumerate(loaded.settings.accepted_domains):
        if not isinstance(entry, AcceptedDomain):
            continue
        source = entry.recipient_verification
        if isinstance(source, str):
            source = sources.get(source)
        if source is None or source.by != "next_hop":
            continue
        asked = _asked(source, entry.name, outbounds)
        if asked is not None and asked.deliver is not Deliver.SMTP:
            key = f"accepted_domains[{number}].recipient_verification"
            found = f"a next hop to ask, where connector {shown(asked.name)} delivers into a {asked.deliver.value}"
            right = "another source; as it stands nobody can be asked, and recipients are answered 451"
            if source.when_unsure == "accept":
                right = "another source; as it stands nobody can be asked, and everybody is taken"
            yield loaded.warning(key, found, right)


def _asked(source: RecipientSource, name: str, outbounds: tuple[Outbound, ...]) -> Outbound | None:
    if source.connector is not None:
        return next((one for one in outbounds if one.name == source.connector), None)
    domain = patterns.domain(name.replace("*.", "any.", 1))
    return None if domain is None else choose(outbounds, domain)


def _nowhere(loaded: Loaded) -> Iterator[Fault]:
    """Catch-alls of domains whose mail does not end here, and of one domain in two spellings."""
    outbounds = read_outbounds(loaded, [])
    beside = entry_keys(
        "connectors.outbound", len(loaded.settings.connectors.outbound), "recipient_domains", "deliver", "enabled"
    )
    firsts: dict[str, str] = {}
    known = book_terms(loaded).catch_all  # What is no address is told already.
    for text in loaded.settings.mailboxes.catch_all:
        domain = patterns.domain(text)
        if domain is None or domain not in known:
            continue
        if (first := firsts.setdefault(domain, text)) != text:
            found = f"{shown(text)}, which stands there as {shown(first)} already"
            yield loaded.warning(f"mailboxes.catch_all.{text}", found, "to name each domain once: the last one counts")
        outbound = choose(outbounds, domain)
        if outbound is None or outbound.deliver is not Deliver.MAILBOX:
            by = "by no connector" if outbound is None else f"by the connector {shown(outbound.name)}"
            found = f"{shown(text)}, whose mail does not end here: it goes {by}"
            right = f'an outbound connector with deliver = "mailbox" and {shown(domain)} among its domains'
            yield loaded.warning(f"mailboxes.catch_all.{text}", found, right, beside=beside)
