"""What this process has to open a file vault with: secrets and passphrases by the settings, or the master key itself.

Nothing is read until a vault asks; what is read is tried against each protector of its kind, and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from gateway.keys.passphrase import BadPassphrase, checked
from gateway.keys.providers.file import protectors, store
from gateway.keys.providers.file.sheet import Kind, Sheet
from gateway.keys.vault import Denied, KeyFault, Unavailable
from gateway.settings import schema

MOST_OCTETS: Final = 4096  # Of a file with a secret or a passphrase.
DEFAULT: Final = "service-secret"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


class NotOpened(Denied):
    """The file is whole, and nothing of what is at hand opens it."""


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that opens protectors of `kind`. `where`: for people, as "secret_file /a/b"; `read` raises KeyFault."""

    kind: Kind
    where: str
    read: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """`sources`: what the settings name; `places`: where a secret may lie if they name none, looked at each time, since
    one may be made while we run; `master`: the master key, where another process opened the vault for us; `fips`:
    without Argon2id.
    """

    sources: tuple[Source, ...] = ()
    places: tuple[Path, ...] = ()
    master: bytes | None = field(default=None, repr=False)
    fips: bool = False

    def master_of(self, vault: str, found: Sheet) -> bytes:
        """The master key of the file. Blocks, with a passphrase for about a second. Raises Denied, Unavailable."""
        if self.master is not None and found.is_opened_by(self.master):
            return self.master
        tried: list[str] = []
        away = False
        for source in self.at_hand:
            try:
                given = source.read()
            except KeyFault as error:
                away = away or isinstance(error, Unavailable)
                tried.append(f"{source.where}: {error}")
                continue
            for protector in found.head.protectors:
                if protector.kind is not source.kind:
                    continue
                try:
                    return protectors.opened(found.head.id, protector, given, fips=self.fips)
                except protectors.DoesNotOpen as error:
                    tried.append(f"{source.where} is not what protector {protector.name!r} was made with{error}")
                except KeyFault as error:
                    away = away or isinstance(error, Unavailable)
                    tried.append(f"{source.where}: {error}")
            if not any(protector.kind is source.kind for protector in found.head.protectors):
                tried.append(f"{source.where}: the vault has no protector of kind {source.kind}")
        raise (Unavailable if away else NotOpened)(_words(vault, found, tried))

    def with_passphrase(self, passphrase: bytes) -> Means:
        """The same, and a passphrase that somebody typed."""
        typed = Source(Kind.PASSPHRASE, "the passphrase", lambda: passphrase)
        return Means(sources=(*self.sources, typed), places=self.places, master=self.master, fips=self.fips)

    @property
    def at_hand(self) -> tuple[Source, ...]:
        """All that can be tried now."""
        return (*self.sources, *(_secret_file(place) for place in self.places if place.exists()))

    @property
    def is_asked_for(self) -> bool:
        """Whether nothing is at hand, so that a person must be asked for a passphrase."""
        return not self.at_hand and self.master is None


NOTHING: Final = Means()


def from_settings(
    vault: schema.Vault,
    resolve: Callable[[str], Path],
    environment: Mapping[str, str],
    *,
    fips: bool = False,
    master: bytes | None = None,
) -> Means:
    """What `[[vaults]]` names: secret_credential, secret_file, secret_environment, passphrase_file, in this order."""
    sources: list[Source] = []
    if (credential := vault.secret_credential) is not None:
        sources.append(
            Source(Kind.SECRET, f"secret_credential {credential!r}", lambda: _credential(credential, environment))
        )
    if vault.secret_file is not None:
        sources.append(_secret_file(resolve(vault.secret_file)))
    if (variable := vault.secret_environment) is not None:
        sources.append(Source(Kind.SECRET, f"secret_environment {variable}", lambda: _variable(variable, environment)))
    if vault.passphrase_file is not None:
        file = resolve(vault.passphrase_file)
        sources.append(Source(Kind.PASSPHRASE, f"passphrase_file {file}", lambda: passphrase_in(file)))
    places = () if sources else _by_default(vault, resolve)
    return Means(sources=tuple(sources), places=places, master=master, fips=fips)


def _by_default(vault: schema.Vault, resolve: Callable[[str], Path]) -> tuple[Path, ...]:
    """Where the secret that `gateway init` made lies: beside gateway.toml, or beside or in a vault that lies elsewhere
    by now.
    """
    folder = resolve(vault.path)
    return tuple(dict.fromkeys((resolve(DEFAULT), folder.parent / DEFAULT, folder / DEFAULT)))


def _secret_file(path: Path) -> Source:
    return Source(Kind.SECRET, f"secret_file {path}", partial(secret_in, path))


def secret_in(path: Path) -> bytes:
    """The secret in a file of mode 0600, without a line end. Raises KeyFault."""
    return protectors.checked_secret(store.read_secret(path, MOST_OCTETS, "a secret"), str(path))


def passphrase_in(path: Path) -> bytes:
    """The passphrase in a file of mode 0600. Raises KeyFault."""
    try:
        return checked(store.read_secret(path, MOST_OCTETS, "a passphrase"))
    except BadPassphrase as error:
        raise Denied(f"{path}: {error}") from None


def _credential(name: str, environment: Mapping[str, str]) -> bytes:
    if not (folder := environment.get(CREDENTIALS)):
        raise Denied(f"there is no {CREDENTIALS} in the environment; systemd sets it where LoadCredential= stands")
    return secret_in(Path(folder) / name)


def _variable(name: str, environment: Mapping[str, str]) -> bytes:
    if (text := environment.get(name)) is None:
        raise Denied(f"there is no {name} in the environment")
    return protectors.checked_secret(text.encode("utf-8", "surrogateescape"), f"${name}")


def _words(vault: str, found: Sheet, tried: list[str]) -> str:
    kinds = ", ".join(f"{one.name} ({one.kind})" for one in found.head.protectors)
    start = f"vault {vault!r} is sealed ({found.path}, which opens by {kinds}), and"
    if not tried:
        return (
            f"{start} gateway.toml names none of them; right would be secret_file, secret_credential, "
            "secret_environment or passphrase_file in [[vaults]], or gateway serve on a terminal, which asks for a "
            "passphrase"
        )
    return f"{start} does not open: {'; '.join(tried)}"
