"""The step of the ladder below S/MIME: who gets rights now, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.mail.envelope import Recipient
from gateway.mail.mail import Mail
from gateway.mail.plan import Left
from gateway.mail.reply import Refused
from gateway.mail.terms import Wanted
from gateway.protect.ladder import Below, Missed
from gateway.protect.reasons import NO_PORTAL, SEALING_FAILED, TOO_MANY_COPIES, Lack
from gateway.protect.rights import CantWrap, Wrapped, Wrapping
from gateway.protect.told import Protected, Step
from gateway.protect.workroom import whole

MOST_SHARES: Final = 200  # Sealed files made of one message at once: each costs a signature of the vault.


@dataclass(slots=True)
class Given:
    """What has come of it. `size`: octets that were made, those that copies share once."""

    copies: list[Mail] = field(default_factory=list)
    told: list[Protected] = field(default_factory=list)
    waiting: list[Missed] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    size: int = 0


class RightsStep:
    """`wrapping` None: this installation has no rights. `fail` is told of a fault of ours."""

    def __init__(self, wrapping: Wrapping | None, fail: Callable[[Mail, Exception], None]) -> None:
        self._wrapping = wrapping
        self._fail = fail

    async def __call__(
        self, copy: Mail, below: Sequence[Below], named: frozenset[str], wanted: Wanted, made: int, most: int
    ) -> Given:
        """A wrapped mail for each of them who can have it now. `named` are those whom the message names; `made`: octets
        that the plan has already, `most`: those that it may have, but for the first file whatever it takes.
        """
        given = Given()
        if not below:
            return given
        lack = Lack(NO_PORTAL) if self._wrapping is None else self._wrapping.lack(wanted)
        if self._wrapping is None or lack is not None:
            given.waiting += [_missed(one, (lack or Lack(NO_PORTAL)).reason) for one in below]
            return given
        reasons = {id(one.recipient): one for one in below}
        try:
            octets = await whole(copy.message.content)
            shares = self._wrapping.shares([one.recipient for one in below], named, wanted)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever failed, it waits: a fault of ours bounces nothing
            self._fail(copy, error)
            given.waiting += [_missed(one, SEALING_FAILED) for one in below]
            return given
        for number, share in enumerate(shares):
            room = most - made - given.size if made + given.size else None
            found = await self._share(self._wrapping, copy, share, wanted, octets, room, number)
            if isinstance(found, str):
                given.waiting += [_missed(reasons[id(one)], found) for one in share]
                continue
            given.copies += found.copies
            given.left.append(found.left)
            given.size += found.size
            given.told += [_told(reasons[id(one)], wanted, found) for one in share]
        return given

    async def _share(
        self,
        wrapping: Wrapping,
        copy: Mail,
        share: Sequence[Recipient],
        wanted: Wanted,
        octets: bytes,
        room: int | None,
        number: int,
    ) -> Wrapped | str:
        """The copies of one sealed file, or why there are none now."""
        if number >= MOST_SHARES:
            return TOO_MANY_COPIES
        try:
            return await wrapping.wrap(copy, share, wanted, octets, room=room)
        except CantWrap as cant:
            return cant.lack.reason
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(copy, error)
            return SEALING_FAILED


def _missed(one: Below, reason: str) -> Missed:
    """Why he has neither."""
    return Missed(one.recipient, reason if one.reason is None else f"{one.reason}, {reason}")


def _told(one: Below, wanted: Wanted, made: Wrapped) -> Protected:
    return Protected(
        recipient=one.recipient.address.text,
        step=Step.RIGHTS,
        rule=wanted.rule,
        reason=one.reason,
        template=made.template,
        work=str(made.work),
    )
