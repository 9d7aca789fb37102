"""From a file to the content key, in the one order in which nothing is believed before it was proved. On a thread.

1 inflate, 2 compound file, 3 licence stream, 4 cut the roots and take the BODY; 5 find our key by the modulus; 6 verify
the signature over that text and read that same text; 7 the digest of the ciphertext; 8 is it revoked; 9 unseal the
content key; 10 the rights data: who asks, and is it too late. The content itself is still encrypted then: who may not
read it never has it decrypted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final
from uuid import UUID

from gateway.rights.cipher import BadCipher, decrypt_text
from gateway.rights.container.container import read_rpmsg
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.envelope import Envelope
from gateway.rights.container.stretch import Stretch
from gateway.rights.enabling import BadBits, ContentKey, open_key
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.right import ALL, Right
from gateway.rights.tenant import TenantAway, TenantDenied, TenantKeys, TenantVersion
from gateway.rights.xrml.binary import read_base64
from gateway.rights.xrml.element import BadLicence
from gateway.rights.xrml.publishing import PublishingLicence, issuer_modulus, read_body
from gateway.rights.xrml.rights_data import RightsData, read_rights_data, who
from gateway.rights.xrml.root import Root, root, roots
from gateway.rights.xrml.signature import Forged, signed_octets, uses_sha1, verify

AHEAD: Final = 300.0  # Seconds that a clock of ours may be behind the one that issued a licence.


@dataclass(frozen=True, slots=True)
class Wrapper:
    """What a file is made of, nothing of it believed: the first root of its licence, how many there are, and
    \\x09DRMContent.
    """

    root: Root = field(repr=False)
    roots: int
    content: Stretch = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A file whose content key somebody was given. `granted`: his rights; the owner's and a super user's are all."""

    licence: PublishingLicence
    version: TenantVersion
    rights: RightsData
    granted: frozenset[Right]
    key: ContentKey = field(repr=False)
    content: Stretch = field(repr=False)


@contextmanager
def reasons() -> Iterator[None]:
    """Turns what parsers and keys raise into NotOpened, with one word for each."""
    try:
        yield
    except TenantAway as error:
        raise NotOpened(Reason.KEY_AWAY) from error
    except TenantDenied as error:
        raise NotOpened(Reason.KEY_DENIED) from error
    except Forged as error:
        raise NotOpened(Reason.FORGED) from error
    except (Damaged, BadLicence, BadBits, BadCipher, UnicodeDecodeError) as error:
        raise NotOpened(Reason.DAMAGED) from error


def unwrap(octets: bytes | Envelope, most: int | None = None) -> Wrapper:
    """Steps 1 to 4: on hostile octets, with no key. `most`: octets of a file, by default `limits.most_of` its own.

    Raises Damaged and BadLicence.
    """
    parts = read_rpmsg(octets, most)
    found = roots(parts.licence.decode("utf-8"))
    return Wrapper(root(found[0]), len(found), parts.content)


def unlock(
    octets: bytes | Envelope,
    tenant: TenantKeys,
    *,
    principal: str | None,
    now: float,
    is_revoked: Callable[[UUID, str], bool],
    most: int | None = None,
) -> Unlocked:
    """All steps. `principal`: who asks and was authenticated, by his address; None: a super user, who has all rights at
    any time, like the owner. Raises NotOpened; blocks while the tenant key unseals.
    """
    with reasons():
        wrapper = unwrap(octets, most)
        licence, version = _verified(wrapper, tenant)
        asks = None if principal is None else who(principal)
        is_owner = asks is not None and bool(licence.owner) and asks == who(licence.owner)
        if asks is not None and not is_owner and is_revoked(licence.work, asks):
            raise NotOpened(Reason.REVOKED)
        key = open_key(
            licence.enabling_bits,
            (version.public_key.key_size + 7) // 8,
            licence.mode,
            licence.principal,
            lambda sealed: tenant.unseal(version, sealed),
        )
        text = decrypt_text(key.cipher, key.octets, licence.rights_data).decode("utf-16-le")
        rights = read_rights_data(text, licence.owner)
        if rights.work != licence.work:
            raise BadLicence("rights data of another message")
        granted = ALL if asks is None or is_owner else _granted(rights, asks, now)
        return Unlocked(licence, version, rights, granted, key, wrapper.content)


def proved(octets: bytes, tenant: TenantKeys, most: int | None = None) -> PublishingLicence:
    """Steps 1 to 7, which need no secret: whose message it is, once our signature over the licence and the digest of
    its content was proved. Raises NotOpened. Blocks.
    """
    with reasons():
        return _verified(unwrap(octets, most), tenant)[0]


def _verified(wrapper: Wrapper, tenant: TenantKeys) -> tuple[PublishingLicence, TenantVersion]:
    """Steps 5 to 7."""
    signature, body = wrapper.root.signature, wrapper.root.body
    if signature is None:
        raise BadLicence("no SIGNATURE")
    # The digest that stands there proves nothing, but one that is wrong is a sign of damage rather than of forgery.
    name = "sha1" if uses_sha1(signature) else "sha256"
    digest = hashlib.new(name, signed_octets(body), usedforsecurity=False).digest()
    if read_base64(signature.one("DIGEST", "VALUE").text) != digest:
        raise BadLicence("a BODY that was changed")
    version = tenant.find(issuer_modulus(body))
    if version is None:
        raise NotOpened(Reason.NOT_OURS)
    verify(body, signature, version)
    licence = read_body(body)
    if licence.mode is not version.mode:
        raise BadLicence("a licence in another mode than its key's")
    # Without a digest anything could stand behind the licence: a file of others that has none stays shut.
    content = hashlib.sha256(wrapper.content.view()).hexdigest()
    if licence.content_sha256 is None or not compare_digest(content, licence.content_sha256):
        raise BadLicence("content that is not the licence's")
    return licence, version


def _granted(rights: RightsData, asks: str, now: float) -> frozenset[Right]:
    """The rights of who asks, at this time. Whoever is no reader learns nothing else."""
    granted = rights.grants.get(asks)
    if granted is None:
        raise NotOpened(Reason.NOT_A_READER)
    if Right.OWNER in granted:
        return ALL
    if rights.ends is not None and now >= rights.ends:
        raise NotOpened(Reason.EXPIRED)
    if Right.VIEW not in granted or (rights.begins is not None and now < rights.begins - AHEAD):
        raise NotOpened(Reason.NO_RIGHT)
    return granted
