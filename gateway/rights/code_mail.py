"""The mail that brings a passcode (8 digits), in the language of the branding. Pure: octets made by hand.

It says which page the code belongs to by the reference that both show, and nothing of the message that the code opens.
It has a null sender and says that a program wrote it (RFC 3834), so that no absence note answers it.
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
from gateway.rights.wording import Wording

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


def code_mail(about: CodeMail, branding: Branding) -> Mail:
    """The mail, to be handed to `submit`."""
    words = branding.wording
    edge = f"=_code_{about.id}"  # Quoted-printable never has `=_`.
    head = (
        fields.field("Date", rfc5322_date(about.now)),
        fields.field("From", f"{_phrase(f'{branding.name}: {words.code_from}')} <{about.author.text}>"),
        fields.field("To", f"<{about.to.text}>"),
        fields.field("Subject", fields.written(words.code_subject.format(reference=about.reference))),
        fields.field("Message-ID", f"<{about.id}@{about.author.domain}>"),
        fields.field("Auto-Submitted", "auto-generated"),  # RFC 3834 5
        fields.field("X-Auto-Response-Suppress", "All"),
        f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{edge}"\r\n\r\n'.encode(),
    )
    parts = (
        f"--{edge}\r\n".encode() + _part("plain", _text(about, branding)),
        f"\r\n--{edge}\r\n".encode() + _part("html", _html(about, branding)),
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


def _sentences(about: CodeMail, words: Wording) -> tuple[str, str, str]:
    return (
        words.code_ends.format(time=words.date(about.ends)),
        words.code_reference.format(reference=about.reference),
        words.code_beware,
    )


def _text(about: CodeMail, branding: Branding) -> str:
    words = branding.wording
    ends, reference, beware = _sentences(about, words)
    # In one piece, so that it can be copied; people read the other one.
    lines = (branding.name, words.code_lead, f"    {about.code}", ends, reference, beware)
    return "".join(f"{line}\n\n" for line in lines)


def _html(about: CodeMail, branding: Branding) -> str:
    words = branding.wording
    ends, reference, beware = _sentences(about, words)
    side, direction = ("right", "rtl") if words.is_rtl else ("left", "ltr")
    return _PAGE.format(
        language=words.language,
        direction=direction,
        side=side,
        name=escape(branding.name),
        color=branding.color,
        ink=branding.ink,
        lead=escape(words.code_lead),
        code=about.code,
        ends=escape(ends),
        reference=escape(reference),
        beware=escape(beware),
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
.words{{color:#eceff1!important}}.quiet{{color:#b3bcc4!important}}.code{{background:#2b3239!important}}}}
</style>
</head>
<body class="page" style="margin:0;padding:0;background:#eef1f3">
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" \
style="background:#eef1f3">
<tr><td align="center" style="padding:24px 8px">
<table role="presentation" width="480" cellpadding="0" cellspacing="0" border="0" style="width:100%;max-width:480px;\
font-family:'Segoe UI',Helvetica,Arial,sans-serif">
<tr><td align="{side}" bgcolor="{color}" style="background:{color};color:{ink};padding:16px 28px;font-size:17px;\
font-weight:bold;border-radius:8px 8px 0 0">{name}</td></tr>
<tr><td class="card" align="{side}" bgcolor="#ffffff" style="background:#ffffff;padding:28px;\
border-radius:0 0 8px 8px">
<p class="words" style="margin:0 0 8px 0;font-size:15px;color:#1c2126">{lead}</p>
<p class="code words" dir="ltr" style="margin:0 0 16px 0;padding:14px 20px;background:#eef1f3;color:#1c2126;\
font-family:Consolas,Menlo,monospace;font-size:30px;letter-spacing:4px;text-align:center;border-radius:6px">{code}</p>
<p class="words" style="margin:0 0 16px 0;font-size:15px;line-height:1.5;color:#1c2126">{ends}</p>
<p class="words" style="margin:0 0 16px 0;font-size:15px;line-height:1.5;color:#1c2126">{reference}</p>
<p class="quiet" style="margin:0;font-size:13px;line-height:1.5;color:#4b5560">{beware}</p>
</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""
