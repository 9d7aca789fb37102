"""Domain patterns and names as settings have them, made into values; what is wrong with them becomes a fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.connectors.model import Domains
from gateway.mail.address import BadAddress, normal_domain
from gateway.settings.fault import BadSettings, Fault, entry_keys, shown
from gateway.settings.load import Loaded
from gateway.settings.schema import AcceptedDomain

# After `normal_domain`, so A-labels. Underscores are no host names (RFC 1123 2.1), but domains with them get mail.
_DOMAIN = re.compile(r"(?!\d+(?:\.\d+)*\Z)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


def domain(text: str) -> str | None:
    """One domain in lower case and A-labels (RFC 5890), or None where the text is none."""
    try:
        name = normal_domain(text)
    except BadAddress:
        return None
    return name if _DOMAIN.fullmatch(name) else None


def pattern(text: str, *, everything: bool = True) -> str | None:
    """One pattern: a domain, `*.` and a domain, or (where `everything`) `*`. None where the text is none."""
    if text == "*" and everything:
        return text
    name = domain(text.removeprefix("*."))
    return None if name is None else f"*.{name}" if text.startswith("*.") else name


def domains(loaded: Loaded, key: str, texts: Sequence[str], faults: list[Fault], *, everything: bool = True) -> Domains:
    """`texts`, which stand at `key`, as patterns. Each that is none is added to `faults`."""
    kept = []
    for number, text in enumerate(texts):
        one = pattern(text, everything=everything)
        if one is None:
            faults.append(loaded.fault(f"{key}[{number}]", shown(text), _right(text, everything)))
        else:
            kept.append(one)
    return Domains(tuple(dict.fromkeys(kept)))


def _right(text: str, everything: bool) -> str:
    if behind := text.rpartition("@")[2] if "@" in text else "":
        return f"the domain alone, {shown(behind)}"
    if text.startswith("."):
        return f'"*{text}" for its subdomains'
    if text == "*":
        return "the domains by name"
    return 'a domain, or "*.example.com" for subdomains' + (', or "*" for all' if everything else "")


def accepted(loaded: Loaded) -> Domains:
    """`accepted_domains`: which domains are ours. Raises BadSettings with every entry that is no domain."""
    faults: list[Fault] = []
    made = read_accepted(loaded, faults)
    if faults:
        raise BadSettings(faults)
    return made


def accepted_keys(loaded: Loaded) -> tuple[str, ...]:
    """The keys that say what the accepted domains are: what a fault is `beside` that was judged by all of them."""
    return entry_keys("accepted_domains", len(loaded.settings.accepted_domains), "name")


def read_accepted(loaded: Loaded, faults: list[Fault]) -> Domains:
    """Like `accepted`, but what is no domain is added to `faults` and left out."""
    names = []
    for number, entry in enumerate(loaded.settings.accepted_domains):
        key, text = f"accepted_domains[{number}]", entry
        if isinstance(entry, AcceptedDomain):
            key, text = f"{key}.name", entry.name
        one = pattern(str(text), everything=False)
        if one is None:
            faults.append(loaded.fault(key, shown(text), _right(str(text), everything=False)))
        else:
            names.append(one)
    return Domains(tuple(dict.fromkeys(names)))


def unique(loaded: Loaded, key: str, names: Iterable[str], faults: list[Fault]) -> None:
    """Add a fault for each name that stood before: log and trace could not tell the two apart."""
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        first = seen.setdefault(name, number)
        if first != number:
            right = f"a name that {key}[{first}] does not have"
            faults.append(loaded.fault(f"{key}[{number}].name", shown(name), right))
