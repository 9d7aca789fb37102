"""The ladder: which step each recipient of a copy gets, before anything is made (DESIGN 15). Pure.

S/MIME where there is what it takes, else what the rule says: rights, refuse or wait. It never ends in clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.mail.address import Address
from gateway.mail.envelope import Recipient
from gateway.mail.terms import Otherwise, Smime, Wanted
from gateway.protect.reasons import Lack
from gateway.protect.visible import who
from gateway.smime.certificate import Certificate


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients that share one encrypted copy, and the certificates that it is encrypted for, in the same order."""

    recipients: tuple[Recipient, ...]
    certificates: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """A recipient who gets nothing now."""

    recipient: Recipient
    reason: str


@dataclass(frozen=True, slots=True)
class Below:
    """A recipient who gets rights. `reason`: why no S/MIME; None: nobody asked for that."""

    recipient: Recipient
    reason: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """`groups` get S/MIME, `rights` the step below it; `waiting` wait, sealed; `refused` never get the message."""

    groups: tuple[Group, ...] = ()
    rights: tuple[Below, ...] = ()
    waiting: tuple[Missed, ...] = ()
    refused: tuple[Missed, ...] = ()


def judge(
    wanted: Wanted,
    recipients: Iterable[Recipient],
    named: frozenset[str],
    certificate: Callable[[Address], Certificate | Lack],
    lack: Lack | None,
) -> Judged:
    """The step of each recipient. `named` are those whom the message names; `lack`: what nobody can have, if anything.

    Those who are named share one copy. Each other one has his own, so that no recipient info tells of him (a09).
    """
    recipients = tuple(recipients)
    if wanted.smime is None:
        return Judged(rights=tuple(Below(one, None) for one in recipients))
    if lack is not None:
        return _split(wanted, [(one, lack) for one in recipients], ())
    if wanted.smime is Smime.SIGN:
        return Judged(groups=(Group(recipients, ()),))
    missed: list[tuple[Recipient, Lack]] = []
    shared: list[tuple[Recipient, Certificate]] = []
    groups: list[Group] = []
    for one in recipients:
        found = certificate(one.address)
        if isinstance(found, Lack):
            missed.append((one, found))
        elif who(one.address) in named:
            shared.append((one, found))
        else:
            groups.append(Group((one,), (found,)))
    if shared:
        groups.insert(0, Group(tuple(one for one, _ in shared), tuple(found for _, found in shared)))
    return _split(wanted, missed, tuple(groups))


def _split(wanted: Wanted, missed: list[tuple[Recipient, Lack]], groups: tuple[Group, ...]) -> Judged:
    rights: list[Below] = []
    waiting: list[Missed] = []
    refused: list[Missed] = []
    for one, lack in missed:
        if lack.passing or wanted.otherwise is Otherwise.DEFER:
            waiting.append(Missed(one, lack.reason))
        elif wanted.otherwise is Otherwise.RIGHTS:
            rights.append(Below(one, lack.reason))
        else:
            refused.append(Missed(one, lack.reason))
    return Judged(groups, tuple(rights), tuple(waiting), tuple(refused))
