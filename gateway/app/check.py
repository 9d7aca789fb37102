"""Judging gateway.toml with all that it names: connectors, listeners, certificates, folders, the vault.

`gateway check`, `serve` and `reload` share this judgement. Whether a port is in use is not asked: it may be ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.app.availability import judge_availability
from gateway.app.blob_check import judge_blobs
from gateway.app.book_terms import judge_catch_all
from gateway.app.branding import judge_branding
from gateway.app.database_check import judge_database
from gateway.app.fips_check import judge_fips
from gateway.app.imap_check import judge_imap
from gateway.app.login_check import judge_log_ins
from gateway.app.mailbox_blobs import judge_mailbox_blobs
from gateway.app.own_certificates import judge_anchors, judge_clients, judge_listener
from gateway.app.portal_check import judge_portal
from gateway.app.rights_check import judge_rights
from gateway.app.route_check import judge_routes
from gateway.app.rule_files import judge_rules
from gateway.app.smime_terms import judge_smime
from gateway.app.vault_check import judge_vaults
from gateway.app.verification import judge_recipients
from gateway.connectors import networks, patterns
from gateway.connectors.inbound import read_inbounds
from gateway.connectors.outbound import read_outbounds
from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded, read
from gateway.settings.place import BadPlace, listening, overlap, place, written
from gateway.world.clock import Clock, SystemClock
from gateway.world.sockets import has_address

LONGEST_CONTACT = 200  # Letters. The reply that ends with it stays under 512 octets (RFC 5321 4.5.3.1.5).


def check(path: Path, clock: Clock | None = None, *, ask: bool = True) -> list[Fault]:
    """Every fault and warning of the settings at `path`, in the order of the file, then of the rules, if any.

    Reads settings, certificates and keys from disk; on an event loop call it in a thread. With `ask` a database server
    is asked too, and a token that keeps keys; whoever is about to use them, or does already, need not.
    """
    return checked(path, clock, ask=ask)[0]


def checked(path: Path, clock: Clock | None = None, *, ask: bool = True) -> tuple[list[Fault], Loaded | None]:
    """The same, with the settings and files of rules that were judged, for whoever goes by them if no fault is an
    error: what stands on the disk a moment later may be anything. None only beside an error.
    """
    reading = read(path)
    if reading.loaded is None:
        return list(reading.faults), None
    more = [*_judge(reading.loaded, (clock or SystemClock()).now()), *judge_database(reading.loaded, ask=ask)]
    if ask:
        more += _addresses(reading.loaded)
    more += judge_recipients(reading.loaded, strict=ask)
    more += judge_vaults(reading.loaded, ask=ask)
    more += _blobs(reading.loaded, clock or SystemClock(), ask)
    faults = reading.ordered([*reading.faults, *(fault for fault in more if not reading.follows(fault))])
    more, judged = judge_rules(reading.loaded, (clock or SystemClock()).now())
    return [*faults, *more], judged


def _judge(loaded: Loaded, now: float) -> list[Fault]:
    faults: list[Fault] = []
    accepted = patterns.read_accepted(loaded, faults)
    if not loaded.settings.accepted_domains:
        right = 'the domains of yours, such as ["corp.example"]; until then partners reach nobody'
        faults.append(loaded.warning("accepted_domains", "nothing", right))
    read_inbounds(loaded, accepted, faults)
    read_outbounds(loaded, faults)
    faults += judge_routes(loaded)
    faults += judge_log_ins(loaded)
    faults += judge_clients(loaded, now)
    faults += judge_smime(loaded)
    faults += judge_anchors(loaded, now)
    faults += judge_rights(loaded)
    faults += judge_catch_all(loaded)
    faults += judge_availability(loaded)
    faults += judge_branding(loaded)
    faults += judge_fips(loaded)
    return [*faults, *_listeners(loaded, now), *_names(loaded), *_places(loaded), *_retry(loaded), *_disk(loaded)]


def _listeners(loaded: Loaded, now: float) -> Iterator[Fault]:
    taken: dict[tuple[str, int], str] = {}
    for number, listener in enumerate(loaded.settings.listeners):
        key = f"listeners[{number}]"
        yield from _free(loaded, f"{key}.listen", listener.listen, taken)
        yield from judge_listener(loaded, key, listener, now)
        yield from _proxies(loaded, f"{key}.proxy_protocol_from", listener.proxy_protocol_from)
    if loaded.settings.metrics is not None:
        yield from _free(loaded, "metrics.listen", loaded.settings.metrics.listen, taken)
    if (portal := loaded.settings.portal) is not None:
        yield from _free(loaded, "portal.listen", portal.listen, taken)
        yield from _proxies(loaded, "portal.proxies", portal.proxies)
        yield from judge_portal(loaded, now)
    if (imap := loaded.settings.imap) is not None:
        yield from _free(loaded, "imap.listen", imap.listen, taken)
        yield from judge_imap(loaded, now)


def _addresses(loaded: Loaded) -> Iterator[Fault]:
    """Addresses to listen on that this machine has not; where the kernel takes them all the same, so do we."""
    settings = loaded.settings
    places = [(f"listeners[{number}].listen", one.listen) for number, one in enumerate(settings.listeners)]
    for name, section in (("metrics", settings.metrics), ("portal", settings.portal), ("imap", settings.imap)):
        if section is not None:
            places.append((f"{name}.listen", section.listen))
    for key, text in places:
        try:
            host, _ = listening(text)
        except BadPlace:
            continue  # Told already.
        if not has_address(host):
            right = "an address of this machine by the time that it serves, or 0.0.0.0 or [::] for all"
            yield loaded.warning(key, f"{shown(text)}, an address that this machine does not have now", right)


def _proxies(loaded: Loaded, key: str, texts: list[str]) -> list[Fault]:
    """Who may say for whom it connects is believed, so it must not be half of the internet."""
    faults: list[Fault] = []
    right = "the addresses of your own load balancers: from anywhere else anybody could claim to be anybody"
    networks.bound(loaded, key, networks.read(loaded, key, texts, faults), right, faults)
    return faults


def _free(loaded: Loaded, key: str, text: str, taken: dict[tuple[str, int], str]) -> Iterator[Fault]:
    try:
        here = listening(text)
    except BadPlace as error:
        yield loaded.fault(key, shown(text), str(error))
        return
    for there, first in taken.items():
        if here == there:
            yield loaded.fault(key, f"{shown(text)}, which {first} has already", "another address or port")
        elif overlap(here, there):
            found = f"{shown(text)} beside {shown(written(*there))} of {first}, one of which holds the other"
            yield loaded.fault(key, found, "another port, or one of the two alone")
        else:
            continue
        return
    taken[here] = key


def _names(loaded: Loaded) -> Iterator[Fault]:
    settings = loaded.settings
    names = [("server.hostname", settings.server.hostname)]
    names += [(f"listeners[{number}].hostname", one.hostname) for number, one in enumerate(settings.listeners)]
    for key, name in names:
        if name is not None and patterns.domain(name) is None:
            yield loaded.fault(key, shown(name), 'a host name, such as "mail.corp.example"')
    contact = settings.contact
    if contact is None:
        return
    if not (contact.isascii() and contact.isprintable() and 0 < len(contact) <= LONGEST_CONTACT):
        right = f'up to {LONGEST_CONTACT} printable ASCII letters, such as "postmaster@corp.example"'
        yield loaded.fault("contact", shown(contact), right)


def _places(loaded: Loaded) -> Iterator[Fault]:
    for number, text in enumerate(loaded.settings.dns.resolvers):
        try:
            listening(written(*place(text, 53)))
        except BadPlace:
            right = 'the IP address of a resolver, with its port where that is not 53, such as "127.0.0.1:5353"'
            yield loaded.fault(f"dns.resolvers[{number}]", shown(text), right)


def _retry(loaded: Loaded) -> Iterator[Fault]:
    """The first wait must not be longer than the longest, nor end after the delivery has expired."""
    retry = loaded.settings.retry
    for name, bound in (("longest", retry.longest), ("expire", retry.expire)):
        if retry.first <= bound:
            continue
        if "first" in retry.model_fields_set:
            found, right = f"{retry.first:.10g}, more than {name}", f"at most {name}, {bound:.10g}"
            yield loaded.fault("retry.first", found, right, beside=(f"retry.{name}",))
        else:
            found = f"{bound:.10g}, less than first, which is {retry.first:.10g} by default"
            right = "more than that, or a smaller first beside it"
            yield loaded.fault(f"retry.{name}", found, right, beside=("retry.first",))
    yield from _delay_notice(loaded)


def _delay_notice(loaded: Loaded) -> Iterator[Fault]:
    """A delay that is told no sooner than the end is told never."""
    retry = loaded.settings.retry
    if retry.delay_notice >= retry.expire and "delay_notice" in retry.model_fields_set:
        found = f"{retry.delay_notice:.10g}, no less than expire, so nobody hears of a delay"
        right = f"less than {retry.expire:.10g}, or 0 to say so"
        yield loaded.warning("retry.delay_notice", found, right, beside=("retry.expire",))


def _disk(loaded: Loaded) -> Iterator[Fault]:
    settings = loaded.settings
    url = settings.storage.url
    if url == "sqlite:":
        yield loaded.fault("storage.url", shown(url), '"sqlite:FOLDER", such as "sqlite:data"')
    elif url.startswith("sqlite:"):
        yield from _writable(loaded, "storage.url", loaded.storage)
        yield from _room(loaded)
    elif loaded.is_shared:
        yield from _writable(loaded, "storage.folder", loaded.storage)
    for number, outbound in enumerate(settings.connectors.outbound):
        if outbound.deliver == "folder" and outbound.folder and outbound.enabled:
            yield from _writable(loaded, f"connectors.outbound[{number}].folder", loaded.resolve(outbound.folder))
    if settings.log.file is not None and settings.log.journal:
        right = "one of the two: a file has no priorities in front of its lines"
        yield loaded.fault("log.journal", "true beside a file", right)
    if settings.log.file is not None:
        yield from _log(loaded, loaded.resolve(settings.log.file))


def _blobs(loaded: Loaded, clock: Clock, ask: bool) -> Iterator[Fault]:
    blobs = loaded.settings.storage.blobs
    if blobs and "://" not in blobs:
        yield from _writable(loaded, "storage.blobs", loaded.resolve(blobs))
    yield from judge_blobs(loaded, clock, ask=ask)
    blobs = loaded.settings.mailboxes.blobs
    if blobs and "://" not in blobs:
        yield from _writable(loaded, "mailboxes.blobs", loaded.resolve(blobs))
    yield from judge_mailbox_blobs(loaded, clock, ask=ask)


def _writable(loaded: Loaded, key: str, folder: Path) -> Iterator[Fault]:
    """A folder that is there, or can be made, and takes files. What is missing is made at the start, not by a check."""
    there = folder
    try:
        if folder.exists() and not folder.is_dir():
            yield loaded.fault(key, f"{folder}, which is a file", "a folder")
            return
        while not there.exists() and there != there.parent:
            there = there.parent
        good = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except PermissionError:  # A folder above may not be entered.
        good = False
    if not good:
        right = "a folder that belongs to the gateway's user"
        yield loaded.fault(key, f"{there}, where the gateway may not write", right)


def _room(loaded: Loaded) -> Iterator[Fault]:
    """More to be left free than the disk has means that no mail is ever taken."""
    there = loaded.storage
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        disk = os.statvfs(there)
    except OSError:
        return  # Told already.
    least, size, free = loaded.settings.storage.min_free, disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    if least >= size:
        found = f"{least}, more than the disk with {there} has, {size}: no mail would ever be taken"
        yield loaded.fault("storage.min_free", found, f"a small part of it, such as {size // 20}, or a larger disk")
    elif least > free:
        found = f"{least}, more than is free now where {there} lies, {free}: mail is answered 452"
        yield loaded.warning("storage.min_free", found, "a smaller number, or room on that disk")


def _log(loaded: Loaded, file: Path) -> Iterator[Fault]:
    try:
        if file.is_dir():
            yield loaded.fault("log.file", f"{file}, which is a folder", "a file")
            return
        if not file.parent.is_dir():
            yield loaded.fault("log.file", f"no folder {file.parent}", "a file in a folder that is there")
            return
        good = os.access(file if file.exists() else file.parent, os.W_OK)
    except PermissionError:  # A folder above may not be entered.
        good = False
    if not good:
        yield loaded.fault("log.file", f"{file}, where the gateway may not write", "a file that belongs to its user")
