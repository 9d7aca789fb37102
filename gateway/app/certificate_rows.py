"""Certificates as `gateway certificate` and `gateway status` tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gateway.app.own_certificates import SOON
from gateway.smime.certificate import CERTIFICATE_KEY_WEAK, Certificate, Purpose, Unreadable, certificate
from gateway.smime.selection import Known, Selection
from gateway.storage.certificates import KeptCertificate
from gateway.storage.sealer import SealBroken
from gateway.world.clock import rfc3339

MOST: Final = 5  # Certificates that one warning names.
FORGOTTEN: Final = 90 * 86400.0  # Seconds after its end for which a certificate without a successor is told.

WORDS: Final = {
    "certificate-expired": "has expired",
    "certificate-not-yet-valid": "is not valid yet",
    "certificate-not-for-mail": "is not made out for mail (extended key usage)",
    "certificate-not-for-encryption": "has a key for which nothing may be encrypted",
    "certificate-not-for-signing": "has a key that may not sign messages",
    CERTIFICATE_KEY_WEAK: "has a key so short that others may know it",
}


def read_known(kept: KeptCertificate) -> Known:
    """A row with its facts. Raises SealBroken where it can't be read any more: it was, when it was imported."""
    try:
        return Known(
            certificate=certificate(kept.der),
            addresses=kept.addresses,
            domains=kept.domains,
            has_key=kept.private is not None,
            created=kept.created,
            chain=tuple(certificate(one) for one in kept.chain),
        )
    except Unreadable as fault:
        raise SealBroken(f"the certificate {kept.fingerprint[:16]} can't be read: {fault.found}") from fault


def row(known: Known, now: float) -> dict[str, Any]:
    """One certificate, as `certificate list --json` has it."""
    one = known.certificate
    return {
        "fingerprint": one.fingerprint,
        "addresses": list(known.addresses),
        "domains": list(known.domains),
        "subject": one.subject,
        "issuer": one.issuer,
        "serial": f"{one.serial:x}",
        "key": one.algorithm,
        "signed_with": one.signed_with,
        "valid_from": rfc3339(one.not_before),
        "valid_until": rfc3339(one.not_after),
        "state": state(one, now),
        "encrypts": one.reason(Purpose.ENCRYPT, now) is None,
        "verifies": one.reason(Purpose.SIGN, now) is None,
        "signs": known.has_key and one.reason(Purpose.SIGN, now) is None,
        "private_key": known.has_key,
        "reasons": reasons(one, now),
        "imported": rfc3339(known.created),
    }


def state(one: Certificate, now: float) -> str:
    """`valid`, `expired` or `not_yet_valid`."""
    if now > one.not_after:
        return "expired"
    return "not_yet_valid" if now < one.not_before else "valid"


def reasons(one: Certificate, now: float) -> list[str]:
    """Why it can't be used for everything, each once; none where it can."""
    found = [one.reason(purpose, now) for purpose in (Purpose.ENCRYPT, Purpose.SIGN)]
    return list(dict.fromkeys(reason for reason in found if reason is not None))


def named(known: Known) -> str:
    """For people: whom it is used for, and enough of its fingerprint to find it."""
    names = [*known.addresses, *known.domains]
    first = names[0] if names else known.certificate.subject
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{first}{more} ({known.certificate.fingerprint[:16]})"


def ending(selection: Selection, now: float) -> list[dict[str, str]]:
    """Warnings for `gateway status`: what ends within SOON or has ended, and has no successor for all its names."""
    soon = [one for one in selection.all if now <= one.certificate.not_after < now + SOON]
    ended = [one for one in selection.all if now - FORGOTTEN < one.certificate.not_after < now]
    found = []
    if text := _told(soon, selection, now, "end within 30 days"):
        found.append({"code": "smime_certificate_expires", "text": text})
    if text := _told(ended, selection, now, "have ended"):
        found.append({"code": "smime_certificate_expired", "text": text})
    return found


def _told(some: Iterable[Known], selection: Selection, now: float, words: str) -> str:
    """One sentence about those that have no successor; "" where all have one."""
    alone = [one for one in some if not _is_succeeded(one, selection, now)]
    if not alone:
        return ""
    alone.sort(key=lambda one: one.certificate.not_after)
    listed = "; ".join(f"{named(one)} at {rfc3339(one.certificate.not_after)}" for one in alone[:MOST])
    rest = f"; and {len(alone) - MOST} more" if len(alone) > MOST else ""
    return (
        f"certificates for S/MIME {words}, and none follows: {listed}{rest}; gateway certificate import FILE brings "
        "their successors"
    )


def _is_succeeded(one: Known, selection: Selection, now: float) -> bool:
    """Whether everybody whom it is used for has another one that will do for longer, and that is as much ours."""
    names = {*one.addresses, *one.domains}
    return all(any(_follows(one, other, name, now) for other in selection.all) for name in names) if names else False


def _follows(one: Known, other: Known, name: str, now: float) -> bool:
    if other is one or name not in {*other.addresses, *other.domains} or (one.has_key and not other.has_key):
        return False
    return (
        other.certificate.not_after >= max(now + SOON, one.certificate.not_after)
        and other.certificate.not_before <= now
    )


def subjects(certificates: Iterable[Certificate]) -> list[str]:
    """Their names."""
    return [one.subject for one in certificates]
