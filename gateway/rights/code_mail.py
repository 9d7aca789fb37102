"""The mails that bring a passcode (8 digits), or a door to whoever is kept from asking for one, in the language of the
branding. Pure: octets made by hand.

The first says which page the code belongs to by the reference that both show, and neither says anything of a message.
Both have a null sender and say that a program wrote them (RFC 3834), so that no absence note answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import Final

from gateway.mail import field as fields
from gateway.mail.address import Address
from gateway.mail.date import rfc5322_date
from gateway.mail.envelope import Body, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.mime.encode import Encoding, encoder
from gateway.rights.branding import Branding

_CODE = re.compile(r"[0-9]{8}")
_REFERENCE = re.compile(r"[A-Za-z0-9-]{1,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMail:
    """`id` is the mail's queue id, `author` the portal's address (From), `to` whose code it is. `ends`: seconds since
    1970 until which the code can be used. Raises ValueError for a code or reference that is none.
    """

    id: str
    author: Address
    to: Address
    code: str = field(repr=False)
    reference: str
    now: float
    ends: float

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise ValueError("a passcode has 8 digits")
        if not _REFERENCE.fullmatch(self.reference):
            raise ValueError("a reference has letters, digits and hyphens")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorMail:
    """The same of a mail that brings a door: `link` is its whole address, which works until `ends`."""

    id: str
    author: Address
    to: Address
    link: str = field(repr=False)
    now: float
    ends: float


def code_mail(about: CodeMail, branding: Branding) -> Mail:
    """The mail, to be handed to `submit`."""
    words = branding.wording
    reference = words.code_reference.format(reference=about.reference)
    ends = words.code_ends.format(time=words.date(about.ends))
    # In the text in one piece, so that it can be copied; people read the other one.
    text = (branding.name, words.code_lead, f"    {about.code}", ends, reference, words.code_beware)
    html = (
        _LEAD.format(text=escape(words.code_lead)),
        _CODE_LINE.format(code=about.code),
        _WORDS.format(text=escape(ends)),
        _WORDS.format(text=escape(reference)),
        _QUIET.format(text=escape(words.code_beware)),
    )
    return _mail(about, branding, words.code_subject.format(reference=about.reference), text, html)


def door_mail(about: DoorMail, branding: Branding) -> Mail:
    """The mail, to be handed to `submit`. It has no code: a link beside a code is what phishing looks like."""
    words = branding.wording
    ends = words.door_ends.format(time=words.date(about.ends))
    link = escape(about.link)
    text = (branding.name, words.door_lead, f"{words.door_button}:\n{about.link}", ends, words.door_beware)
    html = (
        _WORDS.format(text=escape(words.door_lead)),
        _BUTTON.format(link=link, text=escape(words.door_button), color=branding.color, ink=branding.ink),
        _WORDS.format(text=escape(ends)),
        _QUIET.format(text=_ADDRESS.format(words=escape(words.link), link=link)),
        _QUIET.format(text=escape(words.door_beware)),
    )
    return _mail(about, branding, words.door_subject, text, html)


def _mail(
    about: CodeMail | DoorMail, branding: Branding, subject: str, text: tuple[str, ...], html: tuple[str, ...]
) -> Mail:
    """`text`: its paragraphs; `html`: rows of the page."""
    words = branding.wording
    edge = f"=_code_{about.id}"  # Quoted-printable never has `=_`.
    head = (
        fields.field("Date", rfc5322_date(about.now)),
        fields.field("From", f"{_phrase(f'{branding.name}: {words.code_from}')} <{about.author.text}>"),
        fields.field("To", f"<{about.to.text}>"),
        fields.field("Subject", fields.written(subject)),
        fields.field("Message-ID", f"<{about.id}@{about.author.domain}>"),
        fields.field("Auto-Submitted", "auto-generated"),  # RFC 3834 5
        fields.field("X-Auto-Response-Suppress", "All"),
        f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{edge}"\r\n\r\n'.encode(),
    )
    parts = (
        f"--{edge}\r\n".encode() + _part("plain", "".join(f"{one}\n\n" for one in text)),
        f"\r\n--{edge}\r\n".encode() + _part("html", _page(branding, html)),
        f"\r\n--{edge}--\r\n".encode(),
    )
    octets = b"".join((*head, *parts))
    is_ascii = about.to.is_ascii and about.author.is_ascii
    envelope = Envelope(
        sender=None,
        recipients=(Recipient(about.to, notify="NEVER"),),
        body=Body.SEVEN_BIT if is_ascii else Body.EIGHT_BIT_MIME,
        smtputf8=not is_ascii,
    )
    return Mail(id=about.id, received=about.now, envelope=envelope, message=Message(octets, Held(octets)))


def _page(branding: Branding, rows: tuple[str, ...]) -> str:
    words = branding.wording
    side, direction = ("right", "rtl") if words.is_rtl else ("left", "ltr")
    return _PAGE.format(
        language=words.language,
        direction=direction,
        side=side,
        name=escape(branding.name),
        color=branding.color,
        ink=branding.ink,
        rows="".join(rows),
    )


def _part(kind: str, said: str) -> bytes:
    made = encoder(Encoding.QUOTED_PRINTABLE)
    octets = said.replace("\n", "\r\n").encode("utf-8", "replace")
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head.encode() + made.feed(octets) + made.end()


def _phrase(text: str) -> str:
    """A display name: encoded words (RFC 2047 5) where it has letters beyond ASCII, else a quoted string."""
    written = fields.written(text)
    if written != fields.safe(text):
        return written
    return '"' + written.replace("\\", "\\\\").replace('"', '\\"') + '"'


_LEAD: Final = '<p class="words" style="margin:0 0 8px 0;font-size:15px;color:#1c2126">{text}</p>\n'
_WORDS: Final = '<p class="words" style="margin:0 0 16px 0;font-size:15px;line-height:1.5;color:#1c2126">{text}</p>\n'
_QUIET: Final = '<p class="quiet" style="margin:0 0 16px 0;font-size:13px;line-height:1.5;color:#4b5560">{text}</p>\n'
_CODE_LINE: Final = """\
<p class="code words" dir="ltr" style="margin:0 0 16px 0;padding:14px 20px;background:#eef1f3;color:#1c2126;\
font-family:Consolas,Menlo,monospace;font-size:30px;letter-spacing:4px;text-align:center;border-radius:6px">{code}</p>
"""
_BUTTON: Final = """\
<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 16px 0"><tr>
<td align="center" bgcolor="{color}" style="background:{color};border-radius:6px;mso-padding-alt:14px 28px">\
<a href="{link}" style="display:inline-block;padding:14px 28px;font-family:'Segoe UI',Helvetica,Arial,sans-serif;\
font-size:16px;font-weight:bold;color:{ink};text-decoration:none;border-radius:6px">{text}</a></td>
</tr></table>
"""
_ADDRESS: Final = """\
{words}<br><a href="{link}" class="link" dir="ltr" style="color:#0b57a4;word-break:break-all">{link}</a>"""
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="{language}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{name}</title>
<style>
:root{{color-scheme:light dark}}
@media (prefers-color-scheme:dark){{
.page{{background:#14171a!important}}.card{{background:#1e2328!important}}
.words{{color:#eceff1!important}}.quiet{{color:#b3bcc4!important}}.link{{color:#8fc7ff!important}}
.code{{background:#2b3239!important}}}}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#eef1f3">
<table role="presentation" lang="{language}" dir="{direction}" class="page" width="100%" cellpadding="0" \
cellspacing="0" border="0" style="background:#eef1f3">
<tr><td align="center" style="padding:24px 8px">
<table role="presentation" width="480" cellpadding="0" cellspacing="0" border="0" style="width:100%;max-width:480px;\
font-family:'Segoe UI',Helvetica,Arial,sans-serif">
<tr><td align="{side}" bgcolor="{color}" style="background:{color};color:{ink};padding:16px 28px;font-size:17px;\
font-weight:bold;border-radius:8px 8px 0 0;word-break:break-word">{name}</td></tr>
<tr><td class="card" align="{side}" bgcolor="#ffffff" style="background:#ffffff;padding:28px;\
border-radius:0 0 8px 8px">
{rows}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""
