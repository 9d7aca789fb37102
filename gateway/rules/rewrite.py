"""The message of one outcome: as it came, with what its rules change. Pure.

Header edits are made in place. Disclaimers go into the text parts, or the message takes the fallback. A mark in the
header says which rules' disclaimers a message has already: it is bound to the message by a key of ours, so that nobody
else can write one, and a loop through us adds nothing (a14).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.mail.edit import Edit
from gateway.mail.edited import edited
from gateway.mail.field import field
from gateway.mail.message import MAX_HEAD, Message
from gateway.mail.mime.walk import Walk
from gateway.mail.reply import HEADER_TOO_LARGE, Refused
from gateway.rules.disclaimer import Made, Unfit, Unfitting, disclaim
from gateway.rules.header_edit import header_edits
from gateway.rules.text_part import Texts, as_part
from gateway.rules.tokens import filled
from gateway.rules.values import Fallback, Location
from gateway.rules.work import DisclaimerWanted, HeaderEdit

MARK: Final = "X-Gateway-Disclaimer"
_BOUND: Final = (b"From", b"Date", b"Message-ID")
# What a wrapper takes over: who writes to whom about what, and by which way it came.
_TAKEN: Final = re.compile(
    rb"received|return-path|from|sender|to|cc|reply-to|subject|date|message-id|in-reply-to|references|"
    rb"auto-submitted|importance|x-priority|priority|list-[a-z-]+|authentication-results",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """`message`; whether what was put in is beyond ASCII; the rule whose fallback rejects, and why it came to that."""

    message: Message
    eight_bit: bool = False
    rejecting: str | None = None
    unfit: Unfit | None = None


class Rewriter:
    """Made for one message. `octets` has all of it where it lies in memory; only disclaimers need that.

    `values` are what tokens stand for. `mark` makes a word of a text that nobody else can make; `boundary` is one that
    stands in no message.
    """

    def __init__(
        self,
        message: Message,
        octets: bytes | None,
        *,
        values: dict[str, str],
        mark: Callable[[str], str],
        boundary: str,
    ) -> None:
        self._message = message
        self._octets = octets
        self._values = values
        self._mark = mark
        self._boundary = boundary

    def rewrite(self, edits: Sequence[HeaderEdit], disclaimers: Sequence[DisclaimerWanted]) -> Rewritten:
        """The message with both. Raises Refused where the header section is too long to be edited."""
        message = self._message
        made: tuple[Edit, ...] = ()
        if edits or disclaimers:
            made = header_edits(self._section(), edits)
        wanted = [one for one in disclaimers if not self._is_marked(one)]
        if not wanted:
            return Rewritten(edited(message, made, body=False))
        try:
            body = self._disclaimed(wanted)
        except Unfitting as error:
            return self._fallen_back(made, wanted, error.why)
        marks = self._marks(wanted)
        both = sorted((*made, *body.edits, Edit(0, 0, marks)), key=lambda edit: (edit.start, edit.end))
        return Rewritten(edited(message, both, body=True), eight_bit=body.eight_bit)

    def _section(self) -> bytes:
        section = self._message.header_section()
        if len(section) >= MAX_HEAD:  # What stands behind it nobody has seen.
            raise Refused(HEADER_TOO_LARGE)
        return section

    # -- marks --------------------------------------------------------------------------------------------------------

    def _mark_of(self, wanted: DisclaimerWanted) -> str:
        bound = [(self._message.first(name) or b"").decode("utf-8", "replace") for name in _BOUND]
        return self._mark("\0".join([wanted.rule, *bound]))

    def _is_marked(self, wanted: DisclaimerWanted) -> bool:
        name = MARK.lower().encode()
        marks = {value.strip() for key, value in self._message.fields() if key.lower() == name}
        return bool(marks) and self._mark_of(wanted).encode() in marks

    def _marks(self, wanted: Sequence[DisclaimerWanted]) -> bytes:
        return b"".join(field(MARK, self._mark_of(one)) for one in wanted)

    # -- disclaimers --------------------------------------------------------------------------------------------------

    def _texts(self, wanted: Sequence[DisclaimerWanted]) -> Texts:
        """What a later rule puts in front stands above what an earlier one did."""
        html = [(one, filled(one.html, self._values)) for one in wanted]
        front = [text for one, text in html if one.location is Location.PREPEND]
        return Texts(
            front=tuple(reversed(front)), behind=tuple(text for one, text in html if one.location is Location.APPEND)
        )

    def _disclaimed(self, wanted: Sequence[DisclaimerWanted]) -> Made:
        octets = self._octets
        if octets is None:
            raise Unfitting(Unfit.LONG)
        walk = Walk()
        walk.feed(octets)
        return disclaim(walk.end(), self._texts(wanted), lambda start, end: octets[start:end])

    def _fallen_back(self, made: tuple[Edit, ...], wanted: Sequence[DisclaimerWanted], why: Unfit) -> Rewritten:
        message = self._message
        rejecting = next((one.rule for one in wanted if one.fallback is Fallback.REJECT), None)
        wrapping = [one for one in wanted if one.fallback is Fallback.WRAP]
        if rejecting is not None or not wrapping:
            return Rewritten(edited(message, made, body=False), rejecting=rejecting, unfit=why)
        inner = edited(message, made, body=False)
        front, behind = self._wrapper(inner, wrapping)
        size = inner.content.size
        wrapped = edited(inner, (Edit(0, 0, front), Edit(size, size, behind)), body=True)
        return Rewritten(wrapped, unfit=why)

    def _wrapper(self, inner: Message, wanted: Sequence[DisclaimerWanted]) -> tuple[bytes, bytes]:
        """What stands in front of a message and behind it, so that it becomes an attachment of a new one (a11)."""
        taken = b"".join(name + b":" + value + b"\r\n" for name, value in inner.fields() if _TAKEN.fullmatch(name))
        held = inner.content.inline
        encoding = b"7bit" if held is not None and held.isascii() else b"8bit"
        edge = b"--" + self._boundary.encode()
        front = (
            *(self._marks(wanted), taken),
            b"MIME-Version: 1.0\r\n",
            b'Content-Type: multipart/mixed; boundary="' + self._boundary.encode() + b'"\r\n',
            b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n",
            *(edge, b"\r\n", as_part(self._texts(wanted)), b"\r\n", edge, b"\r\n"),
            b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n",
            b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n",
        )
        return b"".join(front), b"\r\n" + edge + b"--\r\n"
