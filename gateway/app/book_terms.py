"""What [mailboxes] says of addresses, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.mail.address import BadAddress, normal_domain, parse_address
from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTerms:
    """`separator` stands between a mailbox and the detail behind it (RFC 5233), None: there are no details.

    `catch_all` gives by domain the address of the mailbox that takes what is addressed to nobody there.
    """

    separator: str | None = "+"
    catch_all: Mapping[str, str]


def book_terms(loaded: Loaded) -> BookTerms:
    """What the settings say of addresses; catch-alls that are no addresses are left out (`judge_catch_all` tells)."""
    section = loaded.settings.mailboxes
    return BookTerms(separator=section.subaddress, catch_all=_read(loaded, []))


def judge_catch_all(loaded: Loaded) -> list[Fault]:
    """What is wrong with [mailboxes] catch_all."""
    faults: list[Fault] = []
    _read(loaded, faults)
    return faults


def _read(loaded: Loaded, faults: list[Fault]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for domain, taker in loaded.settings.mailboxes.catch_all.items():
        key = f"mailboxes.catch_all.{domain}"
        try:
            found[normal_domain(domain)] = parse_address(taker).who
        except BadAddress as error:
            right = 'a domain and the address of a mailbox, such as "corp.example" = "office@corp.example"'
            faults.append(loaded.fault(key, f"{shown(taker)} ({error})", right))
    return found
