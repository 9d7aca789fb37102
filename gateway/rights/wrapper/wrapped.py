"""The octets of wrapped mails (RFC 2045, RFC 2046): what each recipient gets of his own, and what all of them share.

A mail is `head`, `shared`, `tail`. The logo and message.rpmsg are in the shared octets, so that a hundred copies of
10 MiB are stored once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.mail.mime.base64_lines import base64_pieces
from gateway.mail.mime.encode import Encoding, encoder
from gateway.rights.branding import Branding
from gateway.rights.wrapper.html import LOGO, html
from gateway.rights.wrapper.letter import Letter
from gateway.rights.wrapper.text import text

NAME: Final = "message.rpmsg"
TYPE: Final = "application/x-microsoft-rpmsg-message"
CLASS: Final = "rpmsg.message"
MARK_OCTETS: Final = 15  # Of chance in the delimiters of one message.
_BARE = re.compile(r"(?<!\r)\n")
_LONG: Final = 900  # Octets of a line; RFC 5322 2.1.1 has 998.


@dataclass(frozen=True, slots=True)
class Wrapper:
    """Makes the mails of one sealed message. `mark` stands in the delimiters; drawn at random, it stands in no part.
    `pieces` are the shared octets: whoever joins them with others copies them once.
    """

    mark: str
    pieces: tuple[bytes, ...] = field(repr=False)
    logo: str | None = None

    @classmethod
    def made(cls, rpmsg: bytes, branding: Branding, mark: str) -> Wrapper:
        """The wrapper of a message.rpmsg. Takes some 20 ms for 10 MiB."""
        picture = branding.logo
        logo = None if picture is None else f"{LOGO}.{mark}@rights"
        found: list[bytes] = []
        if picture is not None:
            name = f"{LOGO}.{picture.extension}"
            found += [
                f"\r\n--{_related(mark)}\r\nContent-Type: {picture.type}; name={name}\r\n".encode(),
                f"Content-ID: <{logo}>\r\nContent-Disposition: inline; filename={name}\r\n".encode(),
                b"Content-Transfer-Encoding: base64\r\n\r\n",
                *base64_pieces(picture.octets),
                f"--{_related(mark)}--\r\n".encode(),
            ]
        found.append(rpmsg_head(mark))
        found += base64_pieces(rpmsg)
        return cls(mark, tuple(found), logo)

    def head(self, fields: bytes, letter: Letter) -> bytes:
        """What stands in front of the shared octets: `fields` (header fields with their CR LF), and what is said."""
        mark = self.mark
        mixed, related, edge = _mixed(mark), _related(mark), _alternative(mark)
        begins = (
            f"MIME-Version: 1.0\r\nContent-Class: {CLASS}\r\n"
            f'Content-Type: multipart/mixed; boundary="{mixed}"\r\n\r\n--{mixed}\r\n'
        )
        if self.logo is not None:
            kind = f'multipart/related; type="multipart/alternative"; boundary="{related}"'
            begins += f"Content-Type: {kind}\r\n\r\n--{related}\r\n"
        begins += f'Content-Type: multipart/alternative; boundary="{edge}"\r\n\r\n--{edge}\r\n'
        explained = letter.explained
        return b"".join((
            fields,
            begins.encode(),
            _part("plain", text(letter, explained)),
            f"\r\n--{edge}\r\n".encode(),
            _part("html", html(letter, explained, self.logo)),
            f"\r\n--{edge}--\r\n".encode(),
        ))  # fmt: skip

    @property
    def size(self) -> int:
        """Octets that all of them share."""
        return sum(map(len, self.pieces))

    @property
    def tail(self) -> bytes:
        """What stands behind them."""
        return f"--{_mixed(self.mark)}--\r\n".encode()


def rpmsg_head(mark: str) -> bytes:
    """The delimiter in front of message.rpmsg, and the part's header section."""
    return (
        f"\r\n--{_mixed(mark)}\r\nContent-Type: {TYPE}; name={NAME}\r\n"
        f"Content-Disposition: attachment; filename={NAME}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode()


def _mixed(mark: str) -> str:
    return f"=_m{mark}"  # Neither base64 nor quoted-printable ever has `=_`.


def _related(mark: str) -> str:
    return f"=_r{mark}"


def _alternative(mark: str) -> str:
    return f"=_a{mark}"


def _part(kind: str, said: str) -> bytes:
    """A part of text with CR LF: as it is where that can travel so, and a link stays in one piece; else
    quoted-printable.
    """
    if said.count("\n") != said.count("\r\n"):  # A name of the administrator's in two lines.
        said = _BARE.sub("\r\n", said)
    octets = said.encode("utf-8", "replace")
    encoding = "7bit"
    if not octets.isascii() or _is_odd(octets) or _has_long_line(octets):
        made = encoder(Encoding.QUOTED_PRINTABLE)
        octets = made.feed(octets) + made.end()
        encoding = "quoted-printable"
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets


def _is_odd(octets: bytes) -> bool:
    """Whether a text in 7 bits holds what it must not: what looks like a delimiter of ours, what mailbox files change,
    control codes.
    """
    return b"--=_" in octets or b"\nFrom " in octets or b"\0" in octets or b"\x1b" in octets


def _has_long_line(octets: bytes) -> bool:
    """Whether a line has more than `_LONG` octets. Most lines are passed over unseen."""
    at = 0
    while len(octets) - at > _LONG:
        at = octets.rfind(b"\n", at, at + _LONG + 1) + 1
        if not at:
            return True
    return False
