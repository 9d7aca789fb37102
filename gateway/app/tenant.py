"""The tenant key in a vault, as `gateway.rights` asks for it: its versions seal and open, archived keys open too.

What licences hold was sealed with the public key by whoever wrote them; the vault decrypts it, and signs. The private
halves never leave it; archived keys out of PEM files lie in this process' memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.keys.rotation import RootName
from gateway.keys.vault import Denied, KeyFault, KeyState, KeyType, Unavailable, Vault, VaultBroken
from gateway.mail.digest import Hashed
from gateway.rights.pem_tenant import MAX_FILE, PemTenant
from gateway.rights.tenant import Mode, TenantAway, TenantDenied, TenantVersion, tenant_version
from gateway.settings.load import Loaded

KEY: Final = "tenant"  # Its name where the settings give none.
TYPE: Final = KeyType.RSA_2048
LOOK: Final = 30.0  # Seconds after which the vault is asked again which versions there are.
SOON: Final = 1.0  # The same, where a licence names a key that is not known.
_ABOUT: Final = "licence"
_PROBE: Final = b"can this be opened again?"


def tenant_name(loaded: Loaded) -> RootName:
    """Where the tenant key lies, by the settings."""
    text = loaded.settings.rights.tenant_key
    if text is None:
        first = next((one.name for one in loaded.settings.vaults), "main")  # No vault at all is told elsewhere.
        return RootName(first, KEY)
    vault, _, key = text.partition("/")
    return RootName(vault, key)


def wants_tenant(loaded: Loaded) -> bool:
    """Whether these settings have mail sealed under a tenant key, so that one is made where it is missing."""
    return loaded.settings.portal is not None


def ensure_tenant(vaults: Mapping[str, Vault], name: RootName) -> bool:
    """Make the tenant key where there is none; whether it was made. Blocks for a second or two; raises KeyFault."""
    vault = _vault(vaults, name)
    if any(key.name == name.key for key in vault.keys()):
        return False
    try:
        vault.create(name.key, TYPE)
    except Denied:
        if any(key.name == name.key for key in vault.keys()):  # Another process was first.
            return False
        raise
    return True


def archived(loaded: Loaded) -> PemTenant:
    """The keys of `[rights] archived_keys`. Reads the files. Raises TenantDenied, in words for the administrator."""
    octets = []
    for number, text in enumerate(loaded.settings.rights.archived_keys):
        where = f"[rights] archived_keys[{number}]"
        try:
            octets.append(_read(loaded.resolve(text)))
            PemTenant(octets[-1:])
        except OSError as error:
            raise TenantDenied(f"{where}: {text} can't be read ({error.strerror})") from error
        except ValueError as error:
            raise TenantDenied(f"{where}: {text} holds {error}") from None
    return PemTenant(octets)


class VaultTenant:
    """Fulfils `TenantKeys`. Every call may block for as long as the vault takes. Safe in any thread.

    Raises TenantAway where the vault does not answer, or is damaged; TenantDenied where it says no, or there is no key.
    """

    def __init__(
        self,
        vaults: Mapping[str, Vault],
        name: RootName,
        *,
        monotonic: Callable[[], float],
        archive: PemTenant | None = None,
    ) -> None:
        self._vaults = vaults
        self._name = name
        self._monotonic = monotonic
        self._archive = archive or PemTenant(())
        self._lock = threading.Lock()
        self._versions: tuple[TenantVersion, ...] = ()  # The newest first.
        self._looked: float | None = None
        self._proved: set[int] = set()  # Moduli of versions that the vault was seen to decrypt with.

    def __repr__(self) -> str:
        return f"VaultTenant({self._name})"

    def __reduce__(self) -> str:
        raise TypeError("a tenant is not pickled: archived keys must not leave the process")

    @property
    def name(self) -> RootName:
        """Vault and key."""
        return self._name

    @property
    def is_local(self) -> bool:
        """See TenantKeys: where the vault is local, and was asked for its versions not long ago."""
        vault = self._vaults.get(self._name.vault)
        if vault is None or not vault.is_local or self._looked is None or self._monotonic() - self._looked >= LOOK:
            return False
        return bool(self._versions) and self._versions[0].modulus in self._proved

    @property
    def current(self) -> TenantVersion:
        """The newest version, once the vault was seen to open what is sealed to it: else nobody could read it."""
        versions = self._known(LOOK)
        if not versions:
            raise TenantDenied(f"there is no tenant key {self._name}; gateway key create {self._name} --type {TYPE}")
        newest = versions[0]
        if newest.modulus not in self._proved:
            self._prove(newest)
        return newest

    def check(self) -> None:
        """Whether mail could be sealed now. Asks the vault anew, but for no use of the key: that would be in its log
        each time. Raises as `current` does.
        """
        _ = self.current
        try:
            state = next((key.state for key in self._vault().keys() if key.name == self._name.key), None)
        except KeyFault as fault:
            raise _meaning(fault) from fault
        if state is not KeyState.ENABLED:
            word = "gone" if state is None else state.value
            raise TenantDenied(f"the tenant key {self._name} is {word}")

    def find(self, modulus: int) -> TenantVersion | None:
        """The version with that modulus, of the vault or of the archive."""
        try:
            versions = self._known(LOOK)
            if not any(one.modulus == modulus for one in versions):
                versions = self._known(SOON)
        except (TenantAway, TenantDenied):
            if (old := self._archive.find(modulus)) is not None:
                return old
            raise
        found = next((one for one in versions if one.modulus == modulus), None)
        return found or self._archive.find(modulus)

    def sign(self, version: TenantVersion, data: bytes | Hashed) -> bytes:
        """RSA PKCS #1 v1.5 with SHA-256 (RFC 8017 8.2) by a version of the vault; archived ones sign nothing."""
        if self._is_archived(version):
            raise TenantDenied(f"the tenant key {version.guid} is archived: it opens, and signs nothing")
        try:
            return self._vault().sign(self._name.key, data, version=version.number, about=_ABOUT).octets
        except KeyFault as fault:
            raise _meaning(fault) from fault

    def unseal(self, version: TenantVersion, octets: bytes) -> bytes:
        """What was sealed to that version. Raises ValueError for what was not."""
        if self._is_archived(version):
            return self._archive.unseal(version, octets)
        try:
            return self._vault().decrypt(self._name.key, octets, version=version.number, about=_ABOUT)
        except VaultBroken as fault:
            raise ValueError(str(fault)) from None
        except KeyFault as fault:
            raise _meaning(fault) from fault

    # -- looking ------------------------------------------------------------------------------------------------------

    def _vault(self) -> Vault:
        return _vault(self._vaults, self._name)

    def _is_archived(self, version: TenantVersion) -> bool:
        return all(one.modulus != version.modulus for one in self._versions)

    def _known(self, age: float) -> tuple[TenantVersion, ...]:
        """The vault's versions, at most so many seconds old; older where it does not answer and there are some."""
        with self._lock:
            now = self._monotonic()
            if self._looked is not None and now - self._looked < age:
                return self._versions
            try:
                self._versions = self._read_versions()
                self._looked = now
            except KeyFault as fault:
                if not self._versions:
                    raise _meaning(fault) from fault
            return self._versions

    def _read_versions(self) -> tuple[TenantVersion, ...]:
        vault = self._vault()
        key = next((key for key in vault.keys() if key.name == self._name.key), None)
        if key is None:
            return ()
        if not key.type.decrypts:
            raise Denied(f"key {self._name} is of type {key.type}; right for a tenant key would be rsa-2048 or longer")
        if key.state is KeyState.DELETED:
            raise Denied(f"the tenant key {self._name} is deleted; gateway key recover {self._name} takes that back")
        known = {one.number: one for one in self._versions}
        numbers = sorted((one.number for one in key.versions), reverse=True)
        return tuple(known.get(number) or self._read(vault, number) for number in numbers)

    def _read(self, vault: Vault, number: int) -> TenantVersion:
        public = load_der_public_key(vault.public_key(self._name.key, number))
        if not isinstance(public, RSAPublicKey):
            raise VaultBroken(f"the public key of {self._name} is none of RSA")
        return tenant_version(public, number)

    def _prove(self, version: TenantVersion) -> None:
        """A token may have no OAEP with SHA-256: what is sealed to its key would never open again."""
        sealed = version.public_key.encrypt(_PROBE, Mode.MODE_2.oaep)
        try:
            opened = self.unseal(version, sealed)
        except ValueError:
            opened = b""
        if opened != _PROBE:
            raise TenantDenied(f"the vault does not open what is sealed to the tenant key {self._name}")
        self._proved.add(version.modulus)


def _vault(vaults: Mapping[str, Vault], name: RootName) -> Vault:
    vault = vaults.get(name.vault)
    if vault is None:
        raise Denied(f"gateway.toml names no vault {name.vault!r}; right in [rights] tenant_key would be VAULT/KEY")
    return vault


def _meaning(fault: KeyFault) -> TenantAway | TenantDenied:
    # A vault that is damaged is mended or restored by somebody: until then mail waits, and none is refused.
    if isinstance(fault, (Unavailable, VaultBroken)):
        return TenantAway(str(fault))
    return TenantDenied(str(fault))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE + 1)
