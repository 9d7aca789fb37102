"""What lies in a token: keys with their versions, found by label and CKA_ID, and the notes beside them.

CKA_LABEL   gateway:NAME, on each half of each version and on the note
CKA_ID      what the name hashes to (4 octets) | version (4); or the version alone, in 1 to 4 octets, for a key that
            somebody made with the token's own tool. Some tokens want every CKA_ID to be another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pkcs11 import (
    Attribute,
    AttributeSensitive,
    AttributeTypeInvalid,
    Object,
    ObjectClass,
    ObjectHandleInvalid,
    Session,
)
from pkcs11 import KeyType as TokenKeyType

from gateway.keys.providers.pkcs11 import note as notes
from gateway.keys.providers.pkcs11.module import Bare
from gateway.keys.providers.pkcs11.note import BadNote, Note
from gateway.keys.vault import Denied, KeyState, KeyType, KeyVersion, VaultBroken, VaultKey

PREFIX: Final = "gateway:"
APPLICATION: Final = "gateway"
ED25519_PARAMS: Final = (bytes.fromhex("06032b6570"), bytes.fromhex("130c656477617264733235353139"))
"""Ed25519 as CKA_EC_PARAMS has it: the object identifier (RFC 8410 3), or a name (Cryptoki 3.0)."""
P256_PARAMS: Final = bytes.fromhex("06082a8648ce3d030107")  # RFC 5480 2.1.1.1

_RSA_TYPES: Final = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072, 4096: KeyType.RSA_4096}
_TRIES: Final = 3
_PRIVATE: Final = (ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Half:
    """One object of one version: a secret or private key, or a public one. Handles are good in their session alone."""

    name: str
    version: int
    is_private: bool
    handle: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything in the token that has the label of one key."""

    vault: str
    name: str
    halves: tuple[Half, ...] = ()
    notes: tuple[tuple[Note, Any], ...] = field(default=(), repr=False)

    @property
    def note(self) -> Note:
        """The one that counts."""
        return max((one for one, _ in self.notes), key=lambda one: one.serial, default=Note())

    @property
    def versions(self) -> tuple[int, ...]:
        """Their numbers, ascending."""
        return tuple(sorted({half.version for half in self.halves if half.is_private}))

    @property
    def is_there(self) -> bool:
        """Whether there is a version of it. A note alone is what an interrupted command left."""
        return bool(self.versions)

    def usable(self, version: int | None = None) -> Half:
        """The private half of that version (default: the newest), where uses are allowed. Raises Denied."""
        state = self.note.state
        if state is KeyState.DISABLED:
            raise Denied(
                f"key {self.name!r} of vault {self.vault!r} is disabled; gateway key enable allows its use again"
            )
        if state is KeyState.DELETED:
            raise Denied(
                f"key {self.name!r} of vault {self.vault!r} is deleted; gateway key recover takes that back in time"
            )
        return self.private(version)

    def private(self, version: int | None = None) -> Half:
        """The private half of that version (default: the newest), whatever its state. Raises Denied, VaultBroken."""
        number = max(self.versions, default=0) if version is None else version
        found = [half for half in self.halves if half.is_private and half.version == number]
        if not found:
            raise Denied(f"vault {self.vault!r} holds no version {number} of key {self.name!r}")
        if len(found) > 1:
            raise VaultBroken(
                f"vault {self.vault!r} holds {len(found)} keys that are version {number} of {self.name!r}, so nobody "
                f"can tell which was meant; two commands made them at once. Keep one of those with the label "
                f"{PREFIX}{self.name} and that CKA_ID, by the token's own tool"
            )
        return found[0]

    def public(self, version: int) -> Half | None:
        """The public half of that version, where the token has one."""
        found = [half for half in self.halves if not half.is_private and half.version == version]
        return found[0] if found else None


def seek(session: Session, vault: str, name: str) -> Kept:
    """All of the key `name`, which may be nothing. Raises VaultBroken for a damaged note, Bare."""
    template = {Attribute.LABEL: PREFIX + name, Attribute.TOKEN: True}
    kept = _settled(lambda: _gathered(vault, name, list(session.get_objects(template))))
    if not kept.is_there and not kept.notes and is_bare(session):
        raise Bare
    return kept


def look(session: Session, vault: str, name: str) -> Kept:
    """All of the key `name`. Raises Denied where there is none, VaultBroken for a damaged note, Bare."""
    kept = seek(session, vault, name)
    if not kept.is_there:
        raise Denied(f"vault {vault!r} holds no key {name!r}")
    return kept


def look_around(session: Session, vault: str) -> dict[str, Kept]:
    """All keys of ours by name. Raises VaultBroken for a damaged note, Bare."""
    found = _settled(lambda: _all(session, vault))
    if not found and is_bare(session):
        raise Bare
    return found


def is_bare(session: Session) -> bool:
    """Whether the token shows nothing at all. Raises PKCS11Error where it is not there to be asked."""
    session.token.slot.get_token()  # C_GetTokenInfo. SoftHSM2 finds nothing in a token that is gone, without an error.
    return not list(session.get_objects({Attribute.TOKEN: True}))


def id_of(name: str, version: int) -> bytes:
    """The CKA_ID of that version."""
    return hashlib.sha256(name.encode("utf-8")).digest()[:4] + version.to_bytes(4, "big")


def stays(half: Half) -> bool:
    """Whether the private half can't leave the token: CKA_SENSITIVE, and not CKA_EXTRACTABLE."""
    said = half.handle.get_attributes([Attribute.SENSITIVE, Attribute.EXTRACTABLE])
    return said.get(Attribute.SENSITIVE) is True and said.get(Attribute.EXTRACTABLE) is False


def may(half: Half, type_: KeyType, use: str) -> bool:
    """Whether the token lets it "wrap", "decrypt" or "sign": a key has the methods that its attributes allow."""
    if use == "sign":
        return hasattr(half.handle, "sign")
    if type_ is KeyType.AES_256:
        return hasattr(half.handle, "wrap_key") and hasattr(half.handle, "unwrap_key")
    return hasattr(half.handle, "decrypt")  # What wraps is its public half, outside.


def type_of(half: Half) -> KeyType | None:
    """What the private half is, or None for what vaults do not know."""
    match _said(half.handle, Attribute.KEY_TYPE):
        case TokenKeyType.AES:
            return KeyType.AES_256 if _said(half.handle, Attribute.VALUE_LEN) == 32 else None
        case TokenKeyType.RSA:
            modulus = _said(half.handle, Attribute.MODULUS)
            return _RSA_TYPES.get(int.from_bytes(modulus, "big").bit_length()) if isinstance(modulus, bytes) else None
        case TokenKeyType.EC_EDWARDS:
            return KeyType.ED25519 if _said(half.handle, Attribute.EC_PARAMS) in ED25519_PARAMS else None
        case TokenKeyType.EC:
            return KeyType.EC_P256 if _said(half.handle, Attribute.EC_PARAMS) == P256_PARAMS else None
    return None


def told(kept: Kept) -> VaultKey | None:
    """As the vault tells of it, or None for what is no key of a type that vaults know. Raises VaultBroken."""
    type_ = type_of(kept.private()) if kept.is_there else None
    if type_ is None:
        return None
    note = kept.note
    versions = tuple(KeyVersion(number, note.created.get(number)) for number in kept.versions)
    return VaultKey(vault=kept.vault, name=kept.name, type=type_, state=note.state, versions=versions, ends=note.ends)


def write_note(session: Session, kept: Kept, new: Note) -> None:
    """Put `new` beside the key, and take away those before it. Raises PKCS11Error."""
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.DATA,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,  # Seen and changed by whoever has logged in.
            Attribute.LABEL: PREFIX + kept.name,
            Attribute.APPLICATION: APPLICATION,
            Attribute.VALUE: new.octets(),
        }
    )
    for _, object_ in kept.notes:
        object_.destroy()


def destroy(kept: Kept) -> None:
    """Take the key away, its note last, so that an interrupted command leaves it deleted. Raises PKCS11Error."""
    for half in kept.halves:
        half.handle.destroy()
    for _, object_ in kept.notes:
        object_.destroy()


def _all(session: Session, vault: str) -> dict[str, Kept]:
    found: dict[str, list[Object]] = {}
    for object_ in list(session.get_objects({Attribute.TOKEN: True})):
        label = _said(object_, Attribute.LABEL)
        if isinstance(label, str) and label.startswith(PREFIX):
            found.setdefault(label.removeprefix(PREFIX), []).append(object_)
    return {name: _gathered(vault, name, objects) for name, objects in sorted(found.items())}


def _gathered(vault: str, name: str, objects: Iterable[Object]) -> Kept:
    halves: list[Half] = []
    notes: list[tuple[Note, Any]] = []
    for object_ in objects:
        class_ = _said(object_, Attribute.CLASS)
        if class_ == ObjectClass.DATA:
            notes.append((_note(vault, name, object_), object_))
        elif class_ in _PRIVATE or class_ == ObjectClass.PUBLIC_KEY:
            version = _version(name, _said(object_, Attribute.ID))
            if version is not None:
                halves.append(Half(name, version, class_ in _PRIVATE, object_))
    return Kept(vault, name, tuple(halves), tuple(notes))


def _note(vault: str, name: str, object_: Any) -> Note:
    value = _said(object_, Attribute.VALUE)
    try:
        return notes.read(value if isinstance(value, bytes) else b"")
    except BadNote as error:
        raise VaultBroken(
            f"the note beside key {name!r} of vault {vault!r} can't be read: {error}. It is the data object with the "
            f"label {PREFIX}{name}; where it is taken away by the token's own tool the key counts as enabled"
        ) from None


def _version(name: str, octets: object) -> int | None:
    if not isinstance(octets, bytes):
        return None
    if len(octets) == 8 and octets == id_of(name, int.from_bytes(octets[4:], "big")):
        octets = octets[4:]
    number = int.from_bytes(octets, "big") if 1 <= len(octets) <= 4 else 0
    return number or None


def _said(object_: Any, attribute: Attribute) -> object:
    """An attribute, or None where the object has none that can be read. Raises PKCS11Error where the token fails."""
    try:
        return object_[attribute]
    except (AttributeTypeInvalid, AttributeSensitive):
        return None
    except (ValueError, NotImplementedError):  # What python-pkcs11 can't put into a value of Python.
        return None


def _settled(gather: Callable[[], T]) -> T:
    """What `gather` gives. Another process may take away a note, for a newer one, between its being found and read."""
    for _ in range(_TRIES):
        try:
            return gather()
        except ObjectHandleInvalid:
            continue
    return gather()
