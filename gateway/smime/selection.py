"""Which certificate a message to somebody is encrypted for, and which one signs for a sender. Answers from memory.

Values: a change of the store makes a new selection. Leaves out: certificates found in mail (harvesting) or in LDAP.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.mail.address import Address
from gateway.smime.certificate import CERTIFICATE_NOT_APPROVED, Certificate, Purpose

NO_CERTIFICATE: Final = "no-certificate"
NO_SIGNING_IDENTITY: Final = "no-signing-identity"
CERTIFICATES_NOT_READ: Final = "certificates-not-read"  # Nobody knows yet which there are: that passes.

REMEMBERED: Final = 4096  # Choices, all forgotten at once.

# NIST SP 800-57 part 1, table 2: bits of strength that a key has; RSA's by its length.
_CURVES: Final = {"ec-p256": 128, "x25519": 128, "ed25519": 128, "ec-p384": 192, "ed448": 224, "ec-p521": 256}
_RSA: Final = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))


@dataclass(frozen=True, slots=True)
class Known:
    """A certificate that was imported: for whom it is used, and whether its private key is ours. `created`: when.

    An administrator imported it, so it is believed as it stands; its dates and its usage still count.
    """

    certificate: Certificate
    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    has_key: bool = False
    created: float = 0.0
    chain: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The best one, or, where there is none that will do, why (a constant of `certificate`, or one of the above).

    `known` is given with a reason too where somebody has a certificate that will not do. `whole_domain`: it is used for
    everybody of the domain.
    """

    known: Known | None
    reason: str | None = None
    whole_domain: bool = False

    @property
    def certificate(self) -> Certificate | None:
        """The certificate to use; None where there is a reason."""
        return None if self.reason is not None or self.known is None else self.known.certificate

    @property
    def passing(self) -> bool:
        """Whether the reason ends by itself."""
        return self.reason == CERTIFICATES_NOT_READ


class Selection:
    """What is known at one moment, found by address, domain, serial number and key identifier."""

    __slots__ = ("_addresses", "_chosen", "_domains", "_fingerprints", "_fips", "_keys", "all")

    def __init__(self, known: Iterable[Known] = (), *, fips: bool = False) -> None:
        """`fips`: keys that FIPS 140 does not approve are not used for what is made anew; old mail is still opened."""
        self._fips = fips
        self.all: tuple[Known, ...] = tuple(known)
        self._chosen: dict[tuple[str, Purpose], tuple[Choice | None, float, float]] = {}
        self._addresses: dict[str, list[Known]] = {}
        self._domains: dict[str, list[Known]] = {}
        self._fingerprints = {one.certificate.fingerprint: one for one in self.all}
        self._keys = tuple(one for one in self.all if one.has_key)
        for one in self.all:
            for address in one.addresses:
                self._addresses.setdefault(address, []).append(one)
            for domain in one.domains:
                self._domains.setdefault(domain, []).append(one)

    def __repr__(self) -> str:
        return f"Selection({len(self.all)} certificates, {len(self._keys)} with keys)"

    @property
    def has_keys(self) -> bool:
        """Whether any private key is ours: else nothing can be opened or signed."""
        return bool(self._keys)

    def recipient(self, address: Address, now: float) -> Choice:
        """The certificate to encrypt for `address` at `now` (seconds since 1970): his own, else his domain's."""
        return self._best(address, Purpose.ENCRYPT, now) or Choice(None, NO_CERTIFICATE)

    def signer(self, address: Address, now: float) -> Choice:
        """The identity that signs what `address` has written: his own, else his domain's. Its key is ours."""
        return self._best(address, Purpose.SIGN, now) or Choice(None, NO_SIGNING_IDENTITY)

    def openers(self, serial: int | None, ski: bytes | None) -> tuple[Known, ...]:
        """Those of ours that a recipient info may mean: by serial number, or by subject key identifier. Old ones too,
        since old mail is opened by them; at most a few.
        """
        return tuple(
            one
            for one in self._keys
            if (serial is not None and one.certificate.serial == serial)
            or (ski is not None and one.certificate.ski in (ski, None))
        )

    def named(self, fingerprint: str) -> Known | None:
        """By the whole fingerprint."""
        return self._fingerprints.get(fingerprint)

    def _best(self, address: Address, purpose: Purpose, now: float) -> Choice | None:
        """None where nobody knows a certificate for the address. Remembered for as long as no date changes it."""
        key = (address.who, purpose)
        if (kept := self._chosen.get(key)) is not None and kept[1] < now < kept[2]:
            return kept[0]
        choice = self._sought(address, purpose, now)
        if len(self._chosen) >= REMEMBERED:
            self._chosen.clear()
        there = (*self._addresses.get(address.who, ()), *self._domains.get(address.domain, ()))
        dates = [date for one in there for date in (one.certificate.not_before, one.certificate.not_after)]
        if now not in dates:  # At that very moment one ends or begins.
            since = max([date for date in dates if date < now], default=-math.inf)
            until = min([date for date in dates if date > now], default=math.inf)
            self._chosen[key] = (choice, since, until)
        return choice

    def _sought(self, address: Address, purpose: Purpose, now: float) -> Choice | None:
        name = address.who
        unfit: Choice | None = None
        for whole_domain, there in (
            (False, self._addresses.get(name, ())),
            (True, self._domains.get(address.domain, ())),
        ):
            mine = [one for one in there if one.has_key or purpose is Purpose.ENCRYPT]
            fit = [one for one in mine if self._reason(one, purpose, now) is None]
            if fit:
                best = max(fit, key=lambda one: (_strength(one.certificate), one.certificate.not_before))
                return Choice(best, None, whole_domain)
            if mine and unfit is None:
                last = max(mine, key=lambda one: one.certificate.not_after)
                unfit = Choice(last, self._reason(last, purpose, now), whole_domain)
        return unfit

    def _reason(self, one: Known, purpose: Purpose, now: float) -> str | None:
        reason = one.certificate.reason(purpose, now)
        if reason is None and self._fips and not _is_approved(one.certificate):
            return CERTIFICATE_NOT_APPROVED
        return reason


def _is_approved(certificate: Certificate) -> bool:
    """Whether FIPS 140 approves its key: RSA, P-256 to P-521, Ed25519 (FIPS 186-5, SP 800-56A); X25519 is not there."""
    return certificate.algorithm.startswith(("rsa", "ec-p")) or certificate.algorithm == "ed25519"


def _strength(certificate: Certificate) -> int:
    kind, _, bits = certificate.algorithm.rpartition("-")
    if kind.startswith("rsa"):
        return next((strength for length, strength in _RSA if int(bits) >= length), 0)
    return _CURVES.get(certificate.algorithm, 0)
