"""Which source says whether a recipient exists: joined from accepted domains, inbound connectors and named sources.

The domain's own word wins over the connector's: who exists is a fact about the domain, whoever asks. The connector's
is for domains that say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gateway.connectors import patterns
from gateway.directory.flaw import Unreadable
from gateway.directory.terms import MAILBOXES, NOTHING, By, Source, hosted_source, read_source
from gateway.directory.watched import read_file
from gateway.settings.fault import BadSettings, Fault, entry_keys, errors, shown
from gateway.settings.load import Loaded
from gateway.settings.schema import AcceptedDomain, RecipientSource
from gateway.world import ldap


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """`domains` by pattern of accepted_domains, `connectors` by name; None there: nobody is asked, and that is meant.

    `sources` are those that anybody uses, each once.
    """

    domains: dict[str, Source | None] = field(default_factory=dict)
    connectors: dict[str, Source] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    def source(self, pattern: str, connector: str) -> Source | None:
        """Who is asked about a domain that fits `pattern` when mail comes by `connector`."""
        if pattern in self.domains:
            return self.domains[pattern]
        return self.connectors.get(connector)


def verification(loaded: Loaded) -> Verification:
    """Raises BadSettings with all faults. Reads no file of recipients."""
    faults: list[Fault] = []
    made = read_verification(loaded, faults)
    if errors(faults):
        raise BadSettings(faults)
    return made


def read_verification(loaded: Loaded, faults: list[Fault]) -> Verification:
    """Like `verification`, but faults and warnings are added to `faults`, and what has errors is left out."""
    return _Reader(loaded, faults).read()


def judge_recipients(loaded: Loaded, *, strict: bool) -> list[Fault]:
    """Faults of the settings, and of the files that they name.

    A file's are warnings unless `strict`: one bad export must not keep all mail from moving. Blocks.
    """
    faults: list[Fault] = []
    made = read_verification(loaded, faults)
    for source in made.sources:
        if source.file is not None:
            try:
                read_file(source.file, source.by)
            except Unreadable as error:
                for flaw in error.flaws:
                    place = f"line {flaw.line}" if flaw.line else ""
                    fault = Fault(str(source.file), place, flaw.found, flaw.right)
                    faults.append(fault if strict else replace(fault, severity="warning"))
        if source.by is By.LDAP and not ldap.is_there():
            right = "python-ldap, which `pip install gateway[ldap]` brings (Debian needs libldap-dev for it)"
            faults.append(loaded.fault(f"{source.key}.by", '"ldap" without its library', right))
    return faults


class _Reader:
    """Makes one verification and gathers what is wrong."""

    def __init__(self, loaded: Loaded, faults: list[Fault]) -> None:
        self.loaded = loaded
        self.faults = faults
        self.named: dict[str, Source | None] = {}
        self.used: dict[str, Source] = {}

    def read(self) -> Verification:
        self._read_named()
        domains: dict[str, Source | None] = {}
        for number, entry in enumerate(self.loaded.settings.accepted_domains):
            if not isinstance(entry, AcceptedDomain) or entry.recipient_verification is None:
                continue
            pattern = patterns.pattern(entry.name, everything=False)
            key = f"accepted_domains[{number}].recipient_verification"
            source = self._meant(key, entry.name, entry.recipient_verification)
            if pattern is not None and (source is not None or entry.recipient_verification == NOTHING):
                domains.setdefault(pattern, source)
        connectors: dict[str, Source] = {}
        for number, inbound in enumerate(self.loaded.settings.connectors.inbound):
            if inbound.recipient_verification is None:
                continue
            key = f"connectors.inbound[{number}].recipient_verification"
            source = self._meant(key, f"connector {inbound.name}", inbound.recipient_verification)
            if source is not None and inbound.enabled:
                connectors[inbound.name] = source
        self._warn_of_unused()
        return Verification(domains=domains, connectors=connectors, sources=tuple(self.used.values()))

    def _read_named(self) -> None:
        sections = self.loaded.settings.recipient_sources
        patterns.unique(self.loaded, "recipient_sources", (section.name for section in sections), self.faults)
        for number, section in enumerate(sections):
            key = f"recipient_sources[{number}]"
            if section.name in (NOTHING, MAILBOXES):
                meant = "that nobody is asked" if section.name == NOTHING else "whoever has a mailbox here"
                right = f'another name: recipient_verification = "{section.name}" means {meant}'
                self.faults.append(self.loaded.fault(f"{key}.name", shown(section.name), right))
            source = read_source(self.loaded, key, section.name, section, self.faults)
            self.named.setdefault(section.name, source)

    def _meant(self, key: str, name: str, written: str | RecipientSource) -> Source | None:
        """The source that stands at `key` or is named there."""
        if isinstance(written, RecipientSource):
            source = read_source(self.loaded, key, name, written, self.faults)
        elif written == NOTHING:
            return None
        elif written == MAILBOXES:
            source = hosted_source()
        elif written in self.named:
            source = self.named[written]
        else:
            beside = entry_keys("recipient_sources", len(self.loaded.settings.recipient_sources), "name")
            self.faults.append(self.loaded.fault(key, shown(written), self._right(written), beside=beside))
            return None
        if source is not None:
            self.used.setdefault(source.key, source)
        return source

    def _right(self, written: str) -> str:
        if written == "next_hop":
            return '{ by = "next_hop" }'
        names = [shown(name) for name in self.named]
        known = f"one of {', '.join(names)}" if names else "the name of one of recipient_sources"
        return f'{known}, a table such as {{ by = "next_hop" }}, "{MAILBOXES}", or "{NOTHING}"'

    def _warn_of_unused(self) -> None:
        for number, section in enumerate(self.loaded.settings.recipient_sources):
            key = f"recipient_sources[{number}]"
            if key not in self.used and self.named.get(section.name) is not None:
                right = "a recipient_verification that names it; as it stands nobody asks it"
                self.faults.append(self.loaded.warning(f"{key}.name", shown(section.name), right))
