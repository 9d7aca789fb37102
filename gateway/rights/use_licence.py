"""The use licence: what one authenticated principal may do with one message ([MS-RMPR] 2.2.9.9). On a thread.

Our portal gives and uses it in one step, so it is a value and JSON. As XrML it holds the same facts, and the content
key only where the reader has a key of his own that it can be sealed to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.mail.digest import Hashed
from gateway.rights.container.envelope import Envelope
from gateway.rights.enabling import seal_key
from gateway.rights.right import Right
from gateway.rights.tenant import MIN_BITS, Mode, TenantDenied, TenantKeys, TenantVersion
from gateway.rights.unlocking import Unlocked, unlock
from gateway.rights.xrml.binary import write_guid, write_public_key
from gateway.rights.xrml.element import escaped, tag
from gateway.rights.xrml.moment import write_moment
from gateway.rights.xrml.publishing import write_bits, write_principals, write_server
from gateway.rights.xrml.root import PROLOGUE, written
from gateway.rights.xrml.signature import signed_octets, write_signature
from gateway.world.chance import Chance
from gateway.world.clock import rfc3339

FORM: Final = 1  # Of the JSON.


@dataclass(frozen=True, slots=True, kw_only=True)
class UseLicence:
    """`principal`: None for a super user. `issued`, `expires`: seconds since 1970; who has all rights has no expiry."""

    work: UUID
    owner: str = field(repr=False)
    principal: str | None = field(repr=False)
    rights: frozenset[Right]
    template: str | None
    issued: float
    expires: float | None
    unlocked: Unlocked = field(repr=False)

    def to_json(self) -> dict[str, object]:
        """The facts, without any key. Times are RFC 3339, rights in the order in which `Right` has them."""
        return {
            "version": FORM,
            "work": str(self.work),
            "owner": self.owner,
            "principal": self.principal,
            "rights": [right.value for right in Right if right in self.rights],
            "template": self.template,
            "issued": rfc3339(self.issued),
            "expires": None if self.expires is None else rfc3339(self.expires),
        }


def grant(
    octets: bytes | Envelope,
    tenant: TenantKeys,
    *,
    principal: str | None,
    now: float,
    is_revoked: Callable[[UUID, str], bool],
    most: int | None = None,
) -> UseLicence:
    """The licence for an authenticated `principal`; None: for a super user. Arguments and NotOpened as `open_rpmsg` has
    them: expired, revoked or without the right there is none.
    """
    unlocked = unlock(octets, tenant, principal=principal, now=now, is_revoked=is_revoked, most=most)
    return UseLicence(
        work=unlocked.licence.work,
        owner=unlocked.licence.owner,
        principal=principal,
        rights=unlocked.granted,
        template=unlocked.rights.template,
        issued=now,
        expires=None if Right.OWNER in unlocked.granted else unlocked.rights.ends,
        unlocked=unlocked,
    )


def write_use_licence(
    licence: UseLicence, tenant: TenantKeys, url: str, chance: Chance, key: RSAPublicKey | None = None
) -> str:
    """The licence as XrML, signed by the version that published the message, or by the current one where that is of
    Mode 1 or archived so that it signs no more. `key`: the reader's own, to which the content key is sealed. `url`: of
    the portal.

    Raises TenantAway and TenantDenied; ValueError for a key of the reader's that is too short.
    """
    if key is not None and key.key_size < MIN_BITS:
        raise ValueError(f"a reader's key of {key.key_size} bits; right would be {MIN_BITS} and more")
    unlocked = licence.unlocked
    named = tag("ID", type_="Unspecified") + tag("NAME", escaped(licence.principal or ""))
    holder = tag("OBJECT", named, type_="Group-Identity")
    bits = ""
    if key is not None:
        numbers = key.public_numbers()
        holder += write_public_key(numbers.n, numbers.e)
        bound = write_principals(holder)
        bits = write_bits(seal_key(unlocked.key, key, Mode.MODE_2, bound, chance))
    serial = UUID(bytes=chance.octets(16), version=4)
    kind = tag("OBJECT", tag("ID", write_guid(serial), type_="MS-GUID"), type_="Content-License")
    issued = tag("ISSUEDTIME", write_moment(licence.issued)) + tag("DESCRIPTOR", kind)
    granted = write_principals(holder) + _work(licence, bits)

    def signed(version: TenantVersion, issuer: str) -> str:
        body = tag("BODY", issued + issuer + granted, type_="LICENSE", version="3.0")
        hashed = Hashed.of(signed_octets(body))
        signature = write_signature(hashed, tenant.sign(version, hashed))
        return PROLOGUE + written(body, signature, purpose="Content-License")

    if unlocked.version.mode is Mode.MODE_2:
        try:
            return signed(unlocked.version, unlocked.licence.issuer)
        except TenantDenied:  # Archived: it opens, and signs nothing.
            if tenant.current.modulus == unlocked.version.modulus:
                raise
    return signed(tenant.current, tag("ISSUER", write_server(tenant.current, url)))


def _work(licence: UseLicence, bits: str) -> str:
    owner = tag("OWNER", tag("OBJECT", tag("ID", type_="Windows") + tag("NAME", escaped(licence.owner))))
    access = tag("ACCESS", tag("PRINCIPAL", bits, internal_id="1"))
    rights = [
        tag("RIGHT", tag("CONDITIONLIST", access), name=right.value) for right in Right if right in licence.rights
    ]
    until = ""
    if licence.expires is not None:
        times = tag("FROM", write_moment(licence.issued)) + tag("UNTIL", write_moment(licence.expires))
        until = tag("CONDITIONLIST", tag("TIME", tag("RANGETIME", times)))
    return tag(
        "WORK",
        tag("OBJECT", tag("ID", write_guid(licence.work), type_="MS-GUID"))
        + tag("METADATA", owner)
        + until
        + tag("RIGHTSGROUP", tag("RIGHTSLIST", "".join(rights)), name="Main-Rights"),
    )
