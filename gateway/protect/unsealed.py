"""Mail under our own rights that a rule has delivered without them (`remove_ome`), inside, to those who may read it.

Whoever may: the sender and the readers that the licence names; and anybody inside, where the sender himself has sent it
from our side. Nobody reads so what was sealed for somebody else: whoever has got hold of a message could send it to
himself, and have the gateway open it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from gateway.mail.envelope import Body, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.opened import Opened
from gateway.protect.reasons import NOT_FOR_HIM, NOT_TRANSPORTABLE
from gateway.protect.told import Protected, Step
from gateway.protect.visible import authors, who
from gateway.protect.workroom import Workroom, whole
from gateway.rights.wrapper.unwrapping import can_travel, unwrapped

FIELD: Final = b"X-Gateway-Rights"  # On top of what we opened; taken out of what comes from elsewhere.
NOTE: Final = FIELD + b": removed\r\n"


class Unsealing:
    """`is_inside` says whether the mailboxes of a domain are ours, `is_ours` whether mail comes from our side."""

    def __init__(
        self, workroom: Workroom, *, is_inside: Callable[[str], bool], is_ours: Callable[[Mail], bool]
    ) -> None:
        self._work = workroom
        self._is_inside = is_inside
        self._is_ours = is_ours

    async def __call__(self, copy: Mail) -> tuple[list[Mail], list[Protected]]:
        """What becomes of a copy from which rights are to be removed: itself, or one for each kind of recipients."""
        terms = replace(copy.terms, remove_rights=False)
        opened = copy.opened
        if opened is None or not opened.unsealed or not any(opened.unsealed):
            return [replace(copy, terms=terms)], []
        by_owner = self._is_ours(copy) and self._is_by_owner(copy, opened)
        mine = tuple(one for one in copy.envelope.recipients if self._may_read(one, opened, by_owner))
        told = [
            Protected(recipient=one.address.text, step=Step.AS_IT_CAME, reason=NOT_FOR_HIM)
            for one in copy.envelope.recipients
            if one not in mine
        ]
        if not mine:
            return [replace(copy, terms=terms)], told
        octets = await whole(copy.message.content)
        originals = [None if one is None else one.original for one in opened.unsealed]
        made = await self._work.run(len(octets), partial(_made, octets, originals))
        if made is None:
            told += [
                Protected(recipient=one.address.text, step=Step.AS_IT_CAME, reason=NOT_TRANSPORTABLE) for one in mine
            ]
            return [replace(copy, terms=terms)], told
        body = Body.SEVEN_BIT if made.isascii() else Body.EIGHT_BIT_MIME
        copies = [
            replace(
                copy,
                message=Message(made[:MAX_HEAD], Held(made)),
                envelope=replace(copy.envelope, recipients=mine, body=body),
                opened=None,
                terms=terms,
            )
        ]
        others = tuple(one for one in copy.envelope.recipients if one not in mine)
        if others:
            copies.append(replace(copy, envelope=replace(copy.envelope, recipients=others), terms=terms))
        return copies, [*told, *(Protected(recipient=one.address.text, step=Step.DECRYPTED) for one in mine)]

    @staticmethod
    def _is_by_owner(copy: Mail, opened: Opened) -> bool:
        """Whether the one who wrote and sent the mail is the one who had it sealed, each part of it. Anybody here can
        write any From; that the sender of the envelope is his own is demanded of whoever logs in.
        """
        sender = copy.envelope.sender
        written = {_folded(who(one)) for one in authors(copy.message, sender)}
        owners = {_folded(one.owner) for one in opened.unsealed if one is not None}
        return sender is not None and written == owners == {_folded(who(sender))}

    def _may_read(self, one: Recipient, opened: Opened, by_owner: bool) -> bool:
        if not self._is_inside(one.address.domain):
            return False
        name = _folded(who(one.address))
        return by_owner or all(
            name in {_folded(each) for each in (part.owner, *part.readers)}
            for part in opened.unsealed
            if part is not None
        )


def _made(octets: bytes, originals: list[bytes | None]) -> bytes | None:
    found = unwrapped(octets, originals)
    return NOTE + found if found is not None and can_travel(found) else None


def _folded(address: str) -> str:
    return address.strip().casefold()
