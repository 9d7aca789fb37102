"""Mail that came encrypted for us and is delivered decrypted, to those alone for whom the settings say so.

Nobody reads so what was encrypted for somebody else: whoever has got hold of a message could send it to himself, and
have the gateway open it. Each layer has to be encrypted for a certificate that is the recipient's own.

It is done behind the rules, so that until then nothing but the encrypted message can leave. Leaves out: mail that is
signed and not encrypted, which always goes on as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from gateway.mail.address import Address
from gateway.mail.envelope import Body
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.opened import LayerKind, Opened
from gateway.protect.reasons import HEADER_TOO_LARGE, NOT_FOR_HIM, NOT_TRANSPORTABLE
from gateway.protect.told import Protected, Step
from gateway.protect.workroom import Workroom
from gateway.smime.entity import split

FIELD: Final = b"X-Gateway-SMIME"  # On top of what we decrypted; taken out of what comes from elsewhere.
LONGEST_LINE: Final = 998  # RFC 5321 4.5.3.1.6, without CR LF


class Decrypting:
    """`wants` says whether mail for that address, by the outbound connector that a rule chose (None: none did), is
    delivered decrypted. It is asked of mail only that we could open. `is_his` says whether the certificate of that
    fingerprint is one of that address.
    """

    def __init__(
        self,
        wants: Callable[[Address, str | None], bool],
        workroom: Workroom,
        *,
        is_his: Callable[[Address, str], bool],
    ) -> None:
        self._wants = wants
        self._is_his = is_his
        self._work = workroom

    async def __call__(self, copy: Mail) -> tuple[list[Mail], list[Protected]]:
        """What becomes of a copy that was opened: itself, or one for each of the two kinds of recipients."""
        opened = copy.opened
        if opened is None or opened.octets is None or opened.unsealed or not opened.was_encrypted:
            return [copy], []
        connector = copy.terms.connector
        wanted = [one for one in copy.envelope.recipients if self._wants(one.address, connector)]
        inside = tuple([one for one in wanted if self._may_read(one.address, opened)])
        kept = [
            Protected(recipient=one.address.text, step=Step.AS_IT_CAME, reason=NOT_FOR_HIM)
            for one in wanted
            if one not in inside
        ]
        if not inside:
            return [copy], kept
        octets = opened.octets
        made, reason = await self._work.run(len(octets), partial(plain, copy.message, octets, _note(opened)))
        if made is None:
            kept += [Protected(recipient=one.address.text, step=Step.AS_IT_CAME, reason=reason) for one in inside]
            return [copy], kept
        body = Body.SEVEN_BIT if made.isascii() else Body.EIGHT_BIT_MIME
        envelope = replace(copy.envelope, recipients=inside, body=body)
        message = Message(made[:MAX_HEAD], Held(made))
        copies = [replace(copy, message=message, envelope=envelope, opened=None)]
        others = tuple(one for one in copy.envelope.recipients if one not in inside)
        if others:
            copies.append(replace(copy, envelope=replace(copy.envelope, recipients=others)))
        return copies, [*kept, *(Protected(recipient=one.address.text, step=Step.DECRYPTED) for one in inside)]

    def _may_read(self, address: Address, opened: Opened) -> bool:
        """Whether every layer was encrypted for him."""
        return bool(opened.openers) and all(
            any(self._is_his(address, fingerprint) for fingerprint in openers) for openers in opened.openers
        )


def plain(message: Message, opened: bytes, note: bytes) -> tuple[bytes | None, str]:
    """The message with the entity of `opened` in place of its own, `note` on top; None and why where that is no message
    that could travel. Its header fields are those of now, which rules may have changed.
    """
    section = message.header_section()
    if len(section) >= MAX_HEAD:
        return None, HEADER_TOO_LARGE
    inside = split(opened)
    body = opened[inside.body :]
    outside = split(section + b"\r\n")
    version = b"" if outside.has_version else b"MIME-Version: 1.0\r\n"
    made = b"".join((note, outside.outer, version, inside.inner, b"\r\n", body))
    return (made, "") if _can_travel(made) else (None, NOT_TRANSPORTABLE)


def _can_travel(octets: bytes) -> bool:
    """Whether it is a message of lines (RFC 5321 2.3.8); what is encrypted may be anything (RFC 8551 3.1.3)."""
    ends = octets.count(b"\r\n")
    if b"\0" in octets or octets.count(b"\r") != ends or octets.count(b"\n") != ends:
        return False
    return all(len(line) <= LONGEST_LINE for line in octets.split(b"\r\n"))


def _note(opened: Opened) -> bytes:
    """Our field: that it was encrypted, and how."""
    ciphers = [one.algorithm or "unknown" for one in opened.layers if one.kind is LayerKind.ENVELOPED]
    return FIELD + f": decrypted; cipher={','.join(ciphers)}\r\n".encode("ascii", "replace")
