"""Who gets a copy: nobody two, and nobody none whom rules must not touch. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.mail.envelope import Recipient
from gateway.rules.work import Disposition, Work, who

ALWAYS: Final = frozenset(("postmaster", "abuse"))  # RFC 5321 4.5.1, RFC 2142 4: somebody has to be reached.
_GOING: Final = frozenset((Disposition.DELIVER, Disposition.REDIRECT, Disposition.QUARANTINE))


def spared(recipients: Iterable[Recipient], is_ours: Callable[[str], bool]) -> frozenset[str]:
    """Those whom no rule may reject or delete (DESIGN 20): postmaster and abuse of ours, and a bare `postmaster`."""
    return frozenset(
        [
            who(one.address)
            for one in recipients
            if one.address.local.lower() in ALWAYS and (not one.address.domain or is_ours(one.address.domain))
        ]
    )


def is_going(work: Work) -> bool:
    """Whether the fork has copies, held ones too."""
    return work.disposition in _GOING


def distinct(works: Sequence[Work]) -> tuple[Work, ...]:
    """The same forks with everybody in one of those that go: where somebody was a recipient anyway, else in the one
    with the strictest terms. Forks that nobody is left in are no more.
    """
    taken: set[str] = set()
    for work in works:
        if is_going(work):
            taken |= {name for one in work.recipients if (name := who(one.address)) not in work.added}
    for work in sorted(filter(is_going, works), key=_laxness):
        kept = []
        for one in work.recipients:
            name = who(one.address)
            if name in work.added:
                if name in taken:
                    continue
                taken.add(name)
            kept.append(one)
        work.recipients = tuple(kept)
    return tuple([work for work in works if work.recipients])


def _laxness(work: Work) -> tuple[bool, bool, bool]:
    return work.disposition is not Disposition.QUARANTINE, work.wanted is None, not work.require_tls
