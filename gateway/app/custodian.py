"""What `gateway key protector` and `gateway key recovery` do with a file vault's protectors.

It works on the vault's file alone, under its lock, in the process of the command: what somebody types here never goes
over a socket. Whoever serves needs no word of it, since a protector opens the same master key as the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.app.file_vaults import means_of
from gateway.keys.passphrase import LONGEST
from gateway.keys.providers.file import custody, digits, protectors, shares
from gateway.keys.providers.file.custody import Custody
from gateway.keys.providers.file.means import secret_in
from gateway.keys.providers.file.sheet import Head, Kind, Protector, Sheet
from gateway.keys.providers.file.vault import sheet_in
from gateway.keys.vault import Denied, KeyFault, Unavailable
from gateway.settings import schema
from gateway.settings.load import Loaded
from gateway.world.chance import Chance
from gateway.world.clock import Clock, rfc3339

MOST_OCTETS: Final = 64 << 10  # Of a certificate or private key.
_NAMES: Final = {
    Kind.SECRET: "service",
    Kind.PASSPHRASE: "passphrase",
    Kind.CERTIFICATE: "certificate",
    Kind.RECOVERY_KEY: "recovery",
    Kind.SHARES: "shares",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A new protector. `shown`: the digits or shares that are shown this once; `sealed`: the vault lay in clear;
    `fault`: why the gateway can't start by what the settings name, where it can't.
    """

    name: str
    kind: Kind
    sealed: bool = False
    shown: tuple[str, ...] = field(default=(), repr=False)
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What somebody brought to open a vault with: 48 digits, shares, or a private key."""

    seed: bytes | None = field(default=None, repr=False)
    kind: Kind
    private: protectors.PrivateKey | None = field(default=None, repr=False)


class Custodian:
    """The protectors of the vaults in the settings. All methods block and raise KeyFault."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        chance: Chance,
        clock: Clock,
        ask: Callable[[str], bytes] | None,
        opened: tuple[str, bytes] | None = None,
    ) -> None:
        """`ask` has a person type the passphrase of the vault that it is given; None: nobody is there. `opened`: the
        name of one vault, and its master key.
        """
        self._open = opened
        self._loaded = loaded
        self._chance = chance
        self._clock = clock
        self._ask = ask
        self._fips = loaded.settings.security.fips

    def listed(self, name: str | None = None) -> list[dict[str, Any]]:
        """A row for each protector, of one vault or of all."""
        sections = [self._section(name)] if name is not None else list(self._loaded.settings.vaults)
        rows: list[dict[str, Any]] = []
        for section in sections:
            if section.provider == "file" and (found := sheet_in(self._folder(section))) is not None:
                rows += [_row(section.name, one) for one in found.head.protectors]
        return rows

    # -- adding and removing ------------------------------------------------------------------------------------------

    def add_secret(self, vault: str, path: Path, name: str | None) -> tuple[Added, bool]:
        """The secret in the file `path`, which is made where it is not there; whether it was made."""
        if made := not path.exists():
            _write_secret(path, protectors.new_secret(self._chance))
        try:
            secret = secret_in(path)
            make = protectors.with_secret
            added = self._add(vault, Kind.SECRET, name, lambda id_, as_, key: self._timed(make, id_, as_, secret, key))
        except Denied:  # Said before anything was written. After any other failure the vault may need the secret.
            if made:
                path.unlink(missing_ok=True)
            raise
        return added, made

    def add_passphrase(self, vault: str, passphrase: bytes, name: str | None) -> Added:
        """A passphrase that `gateway.keys.passphrase.checked` has let through. Takes a second or two."""
        if len(passphrase) > LONGEST:
            raise Denied(f"the passphrase is longer than {LONGEST} octets")

        def make(id_: str, as_: str, master: bytes) -> Protector:
            return protectors.with_passphrase(
                id_, as_, passphrase, master, fips=self._fips, now=self._clock.now(), chance=self._chance
            )

        return self._add(vault, Kind.PASSPHRASE, name, make)

    def add_certificate(self, vault: str, path: Path, name: str | None) -> Added:
        """A recovery certificate, whose private key lies elsewhere."""
        octets = _octets(path)
        make = protectors.with_certificate
        return self._add(vault, Kind.CERTIFICATE, name, lambda id_, as_, key: self._timed(make, id_, as_, octets, key))

    def add_recovery_key(self, vault: str, split: tuple[int, int] | None, name: str | None) -> Added:
        """A new recovery key: 48 digits, or with `split` = (needed, count) so many shares. They are shown this once."""
        seed = self._chance.octets(protectors.SEED_OCTETS)
        kind = Kind.RECOVERY_KEY
        terms: dict[str, int] = {}
        shown: tuple[str, ...] = (digits.written(seed),)
        if split is not None:
            if self._fips:
                raise Denied(
                    "shares are no mechanism that FIPS 140 knows, and [security] fips is on; right would be a recovery "
                    "key in one piece, or a recovery certificate"
                )
            needed, count = split
            try:
                shown = shares.split(seed, needed, count)
            except ValueError as error:
                raise Denied(f"--shares {needed}/{count}: {error}") from None
            kind, terms = Kind.SHARES, {"needed": needed, "shares": count}

        def make(id_: str, as_: str, master: bytes) -> Protector:
            return protectors.with_seed(kind, id_, as_, seed, master, terms, now=self._clock.now(), chance=self._chance)

        return self._add(vault, kind, name, make, shown)

    def remove(self, vault: str, name: str) -> tuple[Protector, str | None]:
        """Take a protector away: the one that there was, and why the gateway can't start without it, where it can't."""
        section = self._section(vault)
        known = self._sealed(section).head.protector(name)
        self._custody(section).remove(name)
        if known is None:  # `remove` has said so already.
            raise Denied(f"vault {vault!r} has no protector {name!r}")
        return known, self._fault_at_start(section)

    # -- recovery -----------------------------------------------------------------------------------------------------

    def asks_for(self, vault: str, typed: str = "") -> tuple[Kind, int]:
        """What a person is to be asked for who recovers the vault, and how many of them.

        Where there is a recovery key and also shares of another, what was `typed` so far tells: shares are words.
        """
        found = self._sealed(self._section(vault)).head.protectors
        kinds = [Kind.RECOVERY_KEY, Kind.SHARES]
        for kind in reversed(kinds) if any(letter.isalpha() for letter in typed) else kinds:
            if of_kind := [one for one in found if one.kind is kind]:
                return kind, int(of_kind[-1].terms.get("needed", 1))
        if any(one.kind is Kind.CERTIFICATE for one in found):
            raise Denied(f"vault {vault!r} has a recovery certificate; right would be --key FILE with its private key")
        raise Denied(f"vault {vault!r} has no recovery key; right would be gateway key recovery create {vault}")

    def verify(self, vault: str, given: Given) -> Protector:
        """Keep in the vault's file that somebody proved to hold the recovery key, and when; the protector."""
        section = self._section(vault)
        protector, master = self._opened(section, given)
        kept = Custody(vault, self._folder(section), master, chance=self._chance)
        head = kept.proved(protector.name, self._clock.now())
        return head.protector(protector.name) or protector

    def reopen(self, vault: str, given: Given, make: Callable[[Custodian], Added]) -> Added:
        """Open the vault by what was brought, and have `make` add a protector with that."""
        section = self._section(vault)
        _, master = self._opened(section, given)
        opened = (section.name, master)
        return make(Custodian(self._loaded, chance=self._chance, clock=self._clock, ask=None, opened=opened))

    def _opened(self, section: schema.Vault, given: Given) -> tuple[Protector, bytes]:
        head = self._sealed(section).head
        fitting = [one for one in head.protectors if one.kind is given.kind]
        if not fitting:
            raise Denied(f"vault {section.name!r} has no protector of kind {given.kind}")
        for protector in fitting:
            try:
                if given.private is not None:
                    return protector, protectors.opened_by_key(head.id, protector, given.private)
                if given.seed is not None:
                    return protector, protectors.opened(head.id, protector, given.seed)
            except protectors.DoesNotOpen:
                continue
        what = {Kind.CERTIFICATE: "private key", Kind.SHARES: "set of shares"}.get(given.kind, "recovery key")
        raise Denied(f"this {what} is not the one of vault {section.name!r}")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _add(
        self,
        vault: str,
        kind: Kind,
        name: str | None,
        make: Callable[[str, str, bytes], Protector],
        shown: tuple[str, ...] = (),
    ) -> Added:
        section = self._section(vault)
        folder = self._folder(section)
        if custody.is_clear(folder):
            if kind.recovers:
                raise Denied(
                    f"vault {vault!r} is not sealed yet; right would be gateway key protector add {vault} "
                    "--secret-file FILE first, which seals it"
                )
            as_ = name or _NAMES[kind]
            custody.seal_up(vault, folder, [lambda id_, master: make(id_, as_, master)], chance=self._chance)
            return Added(name=as_, kind=kind, sealed=True, shown=shown, fault=self._fault_at_start(section))
        as_ = name or _free_name(self._sealed(section).head, _NAMES[kind])
        self._custody(section).add(lambda id_, master: make(id_, as_, master))
        fault = None if kind.recovers else self._fault_at_start(section)
        return Added(name=as_, kind=kind, shown=shown, fault=fault)

    def _fault_at_start(self, section: schema.Vault) -> str | None:
        """Why what the settings name does not open the vault, where it does not."""
        means, found = means_of(self._loaded, section), self._sealed(section)
        if means.is_asked_for and any(one.kind is Kind.PASSPHRASE for one in found.head.protectors):
            return None  # `serve` asks for it.
        try:
            means.master_of(section.name, found)
        except KeyFault as fault:
            return str(fault)
        return None

    def _timed(self, make: Any, id_: str, name: str, given: bytes, master: bytes) -> Protector:
        made: Protector = make(id_, name, given, master, now=self._clock.now(), chance=self._chance)
        return made

    def _section(self, name: str) -> schema.Vault:
        for section in self._loaded.settings.vaults:
            if section.name == name:
                if section.provider != "file":
                    raise Denied(f"vault {name!r} is a token, which protects itself by its PIN; it has no protectors")
                return section
        names = ", ".join(section.name for section in self._loaded.settings.vaults)
        raise Denied(f"gateway.toml names no vault {name!r}; it names {names}")

    def _folder(self, section: schema.Vault) -> Path:
        return self._loaded.resolve(section.path)

    def _sealed(self, section: schema.Vault) -> Sheet:
        if (found := sheet_in(self._folder(section))) is None:
            raise Denied(
                f"vault {section.name!r} is not sealed; right would be gateway key protector add {section.name} "
                "--secret-file FILE, which seals it"
            )
        return found

    def _custody(self, section: schema.Vault) -> Custody:
        found = self._sealed(section)
        return Custody(section.name, self._folder(section), self._master(section, found), chance=self._chance)

    def _master(self, section: schema.Vault, found: Sheet) -> bytes:
        if self._open is not None and self._open[0] == section.name:
            return self._open[1]
        means = means_of(self._loaded, section)
        has_passphrase = any(one.kind is Kind.PASSPHRASE for one in found.head.protectors)
        if means.is_asked_for and has_passphrase and self._ask is not None:
            means = means.with_passphrase(self._ask(section.name))
        return means.master_of(section.name, found)


def given_text(kind: Kind, lines: Sequence[str]) -> Given:
    """What somebody typed: 48 digits (in one line or several), or shares, one a line. Raises Denied."""
    try:
        if kind is Kind.RECOVERY_KEY:
            return Given(kind=kind, seed=digits.read(" ".join(lines)))
        return Given(kind=kind, seed=shares.joined([line for line in lines if line.strip()]))
    except (digits.Mistyped, shares.BadShares) as error:
        raise Denied(str(error)) from None


def given_key(path: Path, passphrase: Callable[[], bytes] | None) -> Given:
    """A private key in PEM or DER; `passphrase` is asked where it has one. Raises Denied, Unavailable."""
    octets = _octets(path)
    try:
        private = protectors.private_key(octets, None)
    except protectors.NeedsPassphrase:
        if passphrase is None:
            raise
        private = protectors.private_key(octets, passphrase())
    return Given(kind=Kind.CERTIFICATE, private=private)


def _row(vault: str, one: Protector) -> dict[str, Any]:
    row: dict[str, Any] = {
        "vault": vault,
        "name": one.name,
        "kind": str(one.kind),
        "created": rfc3339(one.created),
        "proved": None if one.proved is None else rfc3339(one.proved),
    }
    known = ("derived_by", "subject", "sha256", "way", "needed", "shares")
    return row | {term: one.terms[term] for term in known if term in one.terms}


def _free_name(head: Head, name: str) -> str:
    number, free = 1, name
    while head.protector(free) is not None:
        number += 1
        free = f"{name}-{number}"
    return free


def _octets(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(MOST_OCTETS + 1)
    except OSError as error:
        raise Unavailable(f"{path} can't be read: {error.strerror}") from error
    if len(octets) > MOST_OCTETS:
        raise Denied(f"{path} is longer than {MOST_OCTETS} octets: it is neither a certificate nor a private key")
    return octets


def _write_secret(path: Path, secret: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # Whatever the umask.
            file.write(secret + b"\n")
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise Unavailable(f"{path} can't be made: {error.strerror}") from error
