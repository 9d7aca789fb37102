"""Who gets a copy: nobody two, and nobody none whom rules must not touch. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from gateway.mail.envelope import Recipient
from gateway.mail.terms import Otherwise, Smime, Wanted
from gateway.rules.work import Disposition, Work, who

ALWAYS: Final = frozenset(("postmaster", "abuse"))  # RFC 5321 4.5.1, RFC 2142 4: somebody has to be reached.
_GOING: Final = frozenset((Disposition.DELIVER, Disposition.REDIRECT, Disposition.QUARANTINE))


def spared(recipients: Iterable[Recipient], is_ours: Callable[[str], bool]) -> frozenset[str]:
    """Those whom no rule may reject or delete (DESIGN 20): postmaster and abuse of ours, and a bare `postmaster`."""
    return frozenset(
        [
            who(one.address)
            for one in recipients
            if who(one.address).partition("@")[0] in ALWAYS and (not one.address.domain or is_ours(one.address.domain))
        ]
    )


def is_going(work: Work) -> bool:
    """Whether the fork has copies, held ones too."""
    return work.disposition in _GOING


def distinct(works: Sequence[Work]) -> tuple[Work, ...]:
    """The same forks with everybody in one of those that go: where somebody was a recipient anyway, else in the one
    with the strictest terms; where another asks for more still, in one of his own with all of it, for he gets what was
    to be protected in either. Forks that nobody is left in are no more.
    """
    if len(works) == 1 and not works[0].added:  # As nearly always.
        return tuple(works) if works[0].recipients else ()
    taken: set[str] = set()
    for work in works:
        if is_going(work):
            taken |= {name for one in work.recipients if (name := who(one.address)) not in work.added}
    going = sorted(filter(is_going, works), key=_laxness)
    wanting: dict[str, list[Work]] = {}
    for work in going:
        for name in work.added:
            wanting.setdefault(name, []).append(work)
    alone: list[Work] = []
    for work in going:
        kept = []
        for one in work.recipients:
            name = who(one.address)
            if name in work.added:
                if name in taken:
                    continue
                taken.add(name)
                if len(wanting[name]) > 1 and (own := _hardened(work.fork((one,)), wanting[name])) is not None:
                    alone.append(own)
                    continue
            kept.append(one)
        work.recipients = tuple(kept)
    return tuple([work for work in (*works, *alone) if work.recipients])


def _laxness(work: Work) -> tuple[bool, bool, bool, bool]:
    return (
        work.disposition is not Disposition.QUARANTINE,
        work.wanted is None or not work.wanted.encrypts,
        work.wanted is None,
        not work.require_tls,
    )


def _hardened(work: Work, others: Iterable[Work]) -> Work | None:
    """The fork with the terms of all of them together; None where it has these anyway."""
    before = work.terms
    for other in others:
        work.require_tls = work.require_tls or other.require_tls
        work.connector = work.connector or other.connector
        work.wanted = _both(work.wanted, other.wanted)
        work.remove_rights = work.remove_rights and other.remove_rights
    return None if work.terms == before else work


def _both(one: Wanted | None, other: Wanted | None) -> Wanted | None:
    """What satisfies either."""
    if one is None or other is None:
        return one or other
    if other.encrypts and (not one.encrypts or one.smime is None):
        one, other = other, one
    if one.smime is None:  # Both are rights, and the first has said which.
        return one
    if other.smime is None:  # The step below S/MIME, which has to encrypt.
        return replace(one, otherwise=Otherwise.RIGHTS, template=other.template)
    return one if other.smime is one.smime else replace(one, smime=Smime.BOTH)
