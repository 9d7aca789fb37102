"""A row of the inventory, and what the functions that tell rows stand on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.keys.fips import SPOKEN, Module
from gateway.settings.load import Loaded


@dataclass(frozen=True, slots=True)
class Validation:
    """`approved`: whether FIPS 140 approves every algorithm that may be used; None: nobody here can tell.

    `module`: what computes it, and whether that is validated, as far as it is known.
    """

    approved: bool | None
    module: str

    @property
    def words(self) -> str:
        """Both in one line."""
        said = {
            True: "approved by FIPS 140",
            False: "not (only) what FIPS 140 approves",
            None: "unknown to the gateway",
        }
        return f"{said[self.approved]}; {self.module}"


TOKENS_OWN = Validation(None, "the token's own: see its certificate at NIST's CMVP")


@dataclass(frozen=True, slots=True)
class Row:
    """One technology. `algorithm` None: neither encrypted nor signed; `length`: of its keys.

    `keys`: who holds the key, where, under which root. `encrypts` is False where the algorithm only signs.
    """

    technology: str
    where: str
    what: str
    algorithm: str | None
    length: str | None
    keys: str
    validation: Validation | None
    encrypts: bool = True

    def told(self) -> dict[str, Any]:
        """In the form of `gateway inventory --json`."""
        validation = self.validation
        return {
            "technology": self.technology,
            "where": self.where,
            "what": self.what,
            "encrypted": self.algorithm is not None and self.encrypts,
            "algorithm": self.algorithm,
            "key_length": self.length,
            "key_management": self.keys,
            "fips_approved": None if validation is None else validation.approved,
            "module": None if validation is None else validation.module,
            "validation": None if validation is None else validation.words,
        }


@dataclass(frozen=True, slots=True)
class Ground:
    """The settings, what `gateway key list` answers, and the cryptographic modules of this process."""

    loaded: Loaded
    listed: dict[str, Any] = field(repr=False)
    modules: tuple[Module, ...]

    @property
    def stored(self) -> Validation:
        """Of what seals and signs by approved algorithms."""
        return Validation(True, self._module(spoken=False))

    @property
    def derived(self) -> Validation:
        """Of what comes from a passphrase or password: by Argon2id, but under fips."""
        return Validation(self.loaded.settings.security.fips, self._module(spoken=False))

    @property
    def tls(self) -> Validation:
        """Of what speaks TLS."""
        return Validation(self.loaded.settings.security.fips, self._module(spoken=True))

    def of_vault(self, vault: str) -> Validation:
        """Of what a vault computes."""
        provider = next((one["provider"] for one in self.listed["vaults"] if one["name"] == vault), "file")
        return self.stored if provider == "file" else TOKENS_OWN

    def root_of(self, purpose: str) -> str:
        """The domain key of `purpose` with the root that wraps it, in words."""
        found = next((one for one in self.listed["domain_keys"] if one["key"] == f"domain/{purpose}"), None)
        if found is None:
            return f"domain/{purpose}, which is made at the first start"
        newest = found["versions"][-1]
        root = next((one for one in self.listed["keys"] if one["key"] == newest["root"]), None)
        kind = "" if root is None else f" ({root['type']})"
        return (
            f"domain/{purpose} version {newest['version']}, wrapped by the root key {newest['root']} version "
            f"{newest['root_version']}{kind}"
        )

    def sealed_under(self, purpose: str) -> str:
        """Who holds the key under which the records of `purpose` are sealed."""
        return f"{self.root_of(purpose)}; content keys are derived from it (SP 800-108)"

    def _module(self, *, spoken: bool) -> str:
        return next((one.validation for one in self.modules if (one.does == SPOKEN) is spoken), "")


def file_mode(path: Path) -> str:
    """Who may read a file, as it lies there: an auditor wants to know what is, not what should be."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return "file mode unknown here"
    readers = ", so that everybody here may read it" if mode & 0o007 else ""
    return f"file mode {mode:04o}{readers}"
