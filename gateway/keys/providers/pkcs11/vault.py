"""A vault in a PKCS#11 token. The keys are made there, used there, and never leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pkcs11 import Session

from gateway.keys import envelope
from gateway.keys.envelope import Algorithm
from gateway.keys.providers.pkcs11 import doing, shelf
from gateway.keys.providers.pkcs11.life import Life, nothing
from gateway.keys.providers.pkcs11.module import Bare, Module, module_at
from gateway.keys.providers.pkcs11.public import public_of
from gateway.keys.providers.pkcs11.shelf import Half, Kept
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.vault import Denied, KeyState, KeyType, Signature, VaultBroken, VaultKey, Wrapped
from gateway.mail.digest import Hashed
from gateway.world.chance import Chance, SystemChance
from gateway.world.clock import Clock, SystemClock

T = TypeVar("T")


class Pkcs11Vault:
    """A `Vault` over one token. Nothing is asked of it here: a module or token that is missing is told at first use.

    `module` is the one at `terms.module`, unless handed in. Safe in threads: a token is asked one thing at a time.
    """

    def __init__(
        self,
        terms: TokenTerms,
        *,
        chance: Chance | None = None,
        clock: Clock | None = None,
        module: Module | None = None,
    ) -> None:
        self._terms = terms
        self._chance = chance or SystemChance()
        self._module = module or module_at(terms.module)
        self._life = Life(terms, self._module, clock or SystemClock())
        self._opening: set[tuple[str, int]] = set()  # The RSA roots whose token was seen to open what they wrap.

    def __repr__(self) -> str:
        return f"Pkcs11Vault({self.name!r})"

    @property
    def name(self) -> str:
        """Its name in gateway.toml."""
        return self._terms.vault

    @property
    def is_local(self) -> bool:
        """No: a token answers when it likes."""
        return False

    # -- use ----------------------------------------------------------------------------------------------------------

    def wrap(self, root: str, plain: bytes, context: bytes, *, about: str = "") -> Wrapped:
        """`plain` under the newest version of the root key. Raises KeyFault."""

        def work(session: Session) -> Wrapped:
            kept = shelf.look(session, self.name, root)
            half, type_ = self._usable(kept, None, "wrap")
            algorithm = Algorithm.of(type_)
            wrap_key = self._wrapping(session, kept, half, algorithm)
            octets = envelope.seal(
                root, half.version, plain, context, algorithm=algorithm, wrap_key=wrap_key, chance=self._chance
            )
            return Wrapped(self.name, root, half.version, octets)

        return self._use(root, f"wrapping by key {root!r}", work)

    def unwrap(self, wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        """The plain key. Raises Denied where its root key is not held, VaultBroken where it does not open."""

        def work(session: Session) -> bytes:
            kept = shelf.look(session, self.name, wrapped.root)
            half, type_ = self._usable(kept, wrapped.root_version, "wrap")

            def unwrap_key(algorithm: Algorithm, octets: bytes) -> bytes:
                if algorithm is not Algorithm.of(type_):
                    raise ValueError(f"a key of type {type_} does not wrap that way")
                if algorithm is Algorithm.AES_KW:
                    return doing.aes_unwrap(session, half.handle, octets)
                try:
                    return doing.rsa_unwrap(half.handle, public_of(kept, half, type_), octets)
                except doing.NoOaep:
                    raise self._no_oaep(kept) from None

            return envelope.unseal(wrapped, context, unwrap_key)

        return self._use(wrapped.root, f"unwrapping by key {wrapped.root!r}", work)

    def decrypt(self, key: str, sealed: bytes, *, version: int, about: str = "") -> bytes:
        """The plain octets. Raises Denied where the token has no OAEP with SHA-256, VaultBroken for what is damaged."""

        def work(session: Session) -> bytes:
            kept = shelf.look(session, self.name, key)
            half, type_ = self._usable(kept, version, "decrypt")
            try:
                return doing.rsa_unwrap(half.handle, public_of(kept, half, type_), sealed)
            except doing.NoOaep:
                raise Denied(
                    f"key {key!r} of vault {self.name!r} decrypts nothing: its token has no RSA-OAEP with SHA-256, as "
                    "SoftHSM2 2.6 has none; right would be a key in another vault"
                ) from None
            except ValueError:
                raise VaultBroken(f"what was encrypted to key {key!r} of vault {self.name!r} does not open") from None

        return self._use(key, f"decrypting by key {key!r}", work)

    def sign(self, key: str, data: bytes | Hashed, *, version: int | None = None, about: str = "") -> Signature:
        """A signature over `data`. Raises KeyFault."""

        def work(session: Session) -> Signature:
            half, type_ = self._usable(shelf.look(session, self.name, key), version, "sign")
            return Signature(half.version, doing.sign(session, half.handle, type_, data))

        return self._use(key, f"signing by key {key!r}", work)

    def public_key(self, key: str, version: int | None = None) -> bytes:
        """SubjectPublicKeyInfo in DER, of disabled and deleted keys too. Raises KeyFault."""

        def work(session: Session) -> bytes:
            kept = shelf.look(session, self.name, key)
            half = kept.private(version)
            return public_of(kept, half, shelf.type_of(half))

        return self._use(key, f"reading the public key of {key!r}", work)

    def keys(self) -> tuple[VaultKey, ...]:
        """All keys of ours in the token, by name. Raises KeyFault."""
        return self._life.keys()

    def health(self) -> None:
        """Return where the token answers and lets us in. Raises KeyFault."""

        def work(session: Session) -> None:
            shelf.is_bare(session)

        self._module.run(self._terms, "asking for its health", work)

    # -- the life of a key --------------------------------------------------------------------------------------------

    def create(self, key: str, type_: KeyType) -> VaultKey:
        """A new key. Raises Denied where there is one of that name, or the token has no such type."""
        return self._life.create(key, type_)

    def rotate(self, key: str) -> VaultKey:
        """One version more of a key that is enabled. Raises KeyFault."""
        return self._life.rotate(key)

    def disable(self, key: str) -> VaultKey:
        """Deny every use from now on, in every process that uses the token. Raises KeyFault."""
        return self._life.turn(key, KeyState.DISABLED)

    def enable(self, key: str) -> VaultKey:
        """Allow its use again. Raises Denied for one that is deleted."""
        return self._life.turn(key, KeyState.ENABLED)

    def delete(self, key: str, ends: float) -> VaultKey:
        """Deny every use; `purge` destroys it once `ends` has come. Raises KeyFault."""
        return self._life.turn(key, KeyState.DELETED, ends)

    def recover(self, key: str) -> VaultKey:
        """A deleted key is disabled instead. Raises Denied where it is not deleted, or gone."""
        return self._life.recover(key)

    def purge(self, now: float) -> tuple[str, ...]:
        """Destroy what was deleted and whose waiting time has ended; their names. Raises KeyFault."""
        return self._life.purge(now)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _use(self, key: str, what: str, work: Callable[[Session], T]) -> T:
        try:
            return self._module.run(self._terms, what, work)
        except Bare:
            raise nothing(self._terms, key) from None

    def _usable(self, kept: Kept, version: int | None, use: str) -> tuple[Half, KeyType]:
        half = kept.usable(version)
        type_ = shelf.type_of(half)
        where = f"key {kept.name!r} of vault {self.name!r}"
        if type_ is None or not _fits(type_, use):
            raise Denied(f"{where} is of type {type_ or 'unknown'}, which does not {use}")
        if not shelf.may(half, type_, use):
            raise Denied(f"{where} may not be used to {use}: look at its CKA_ attributes with the token's own tool")
        if not shelf.stays(half):
            raise Denied(
                f"{where} can leave its token (it is CKA_EXTRACTABLE, or not CKA_SENSITIVE), so it is not used; right "
                "would be one that gateway key create makes there"
            )
        return half, type_

    def _wrapping(self, session: Session, kept: Kept, half: Half, algorithm: Algorithm) -> Callable[[bytes], bytes]:
        if algorithm is Algorithm.AES_KW:
            return lambda key: doing.aes_wrap(session, half.handle, key)
        public = public_of(kept, half, shelf.type_of(half))
        if (kept.name, half.version) not in self._opening:
            if not doing.rsa_opens(half.handle, public):
                raise self._no_oaep(kept)
            self._opening.add((kept.name, half.version))
        return lambda key: doing.rsa_wrap(public, key)

    def _no_oaep(self, kept: Kept) -> Denied:
        return Denied(
            f"key {kept.name!r} of vault {self.name!r} can't be a root key: its token has no RSA-OAEP with SHA-256, as "
            "SoftHSM2 2.6 has none; right would be a key of type aes-256"
        )


def _fits(type_: KeyType, use: str) -> bool:
    if use == "decrypt":
        return type_.decrypts
    return type_.wraps if use == "wrap" else type_.signs
