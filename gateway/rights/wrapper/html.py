"""A wrapped mail as HTML that Outlook, Gmail and others show alike: tables, styles beside each element, nothing from
elsewhere. Pure.

Programs that show it in a page of their own take off `html` and `body`: the direction stands at the table, too. No word
of anybody's makes a phone scroll sideways.
Those that know `prefers-color-scheme` get dark colours; those that turn colours round by themselves find pairs that
stay readable. Everything that comes from people is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Final

from gateway.rights.branding import Branding
from gateway.rights.wrapper.letter import Letter

_GAP: Final = "\0"  # Where something of one letter's is put between: HTML has no such character.
LOGO: Final = "logo"  # Its Content-ID, without the part behind the `@`.
_FONT: Final = "font-family:'Segoe UI',Helvetica,Arial,sans-serif"
_STYLE: Final = """\
:root{color-scheme:light dark;supported-color-schemes:light dark}
@media (prefers-color-scheme:dark){
.page{background:#14171a!important}.card{background:#1e2328!important}
.words{color:#eceff1!important}.quiet{color:#b3bcc4!important}.link{color:#8fc7ff!important}
.line{border-color:#3a424a!important}}
@media (max-width:480px){.card{padding:24px 20px!important}.bar{padding:16px 20px!important}}
"""


def html(letter: Letter, explained: Sequence[str], logo: str | None) -> str:
    """The whole document, with CR LF. `explained`: the letter's, which take long to make; `logo`: the Content-ID of the
    part with the logo, None: there is none.
    """
    front, bar, introduction, button, how, others, back = _frame(letter.branding)
    link = escape(letter.link)
    first, *rest = map(escape, explained)
    return "".join((
        front,
        _name(letter.branding, logo),
        bar,
        _who(letter),
        introduction,
        link,
        button,
        first,
        how,
        f'<a href="{link}" class="link" dir="ltr" style="color:#0b57a4;word-break:break-all">{link}</a>',
        others,
        *[f"{_QUIET[0]}{one}{_QUIET[1]}" for one in rest],
        back,
    ))  # fmt: skip


@lru_cache(maxsize=16)
def _frame(branding: Branding) -> tuple[str, ...]:
    """What stands between all that is of one letter alone: the same for every message."""
    words = branding.wording
    direction = "rtl" if words.is_rtl else "ltr"
    side = "right" if words.is_rtl else "left"
    look = {"color": branding.color, "ink": branding.ink, "font": _FONT, "side": side}
    introduction = _lines(branding.introduction_text or words.introduction)
    button = _own(branding.read_button_text or words.button)
    parts = [
        _FRONT.format(language=words.language, direction=direction, title=_own(branding.name), style=_STYLE),
        _BAR.format(**look, name=_GAP),
        _CARD.format(side=side, font=_FONT),
        _paragraph(f"{_GAP} {introduction}", size=18),
        _BUTTON.format(**look, link=_GAP, text=button),
    ]
    if branding.email_text is not None:
        parts.append(_paragraph(_lines(branding.email_text), own=True))
    parts += [_paragraph(_GAP), _paragraph(f"{escape(words.link)}<br>{_GAP}", quiet=True), _GAP]
    ends = []
    if branding.disclaimer_text is not None:
        ends.append(_paragraph(_lines(branding.disclaimer_text), quiet=True, own=True))
    if branding.privacy_statement_url is not None:
        address = _own(branding.privacy_statement_url)
        anchor = f'<a href="{address}" class="link" style="color:#0b57a4">{escape(words.privacy)}</a>'
        ends.append(_paragraph(anchor, quiet=True))
    if ends:
        parts += [_LINE, *ends]
    return tuple("".join([*parts, _BACK]).replace("\n", "\r\n").split(_GAP))


def _own(text: str) -> str:
    """A text of the administrator's, escaped."""
    return escape(text.replace(_GAP, ""))


def _name(branding: Branding, logo: str | None) -> str:
    """The logo, or the name of the organisation in its place."""
    picture = branding.logo
    if logo is None or picture is None:
        return _own(branding.name)
    return (
        f'<img src="cid:{escape(logo)}" width="{picture.width}" height="{picture.height}" '
        f'alt="{_own(branding.name)}" style="display:block;border:0">'
    )


def _who(letter: Letter) -> str:
    """The sender; an address keeps its direction beside words that run the other way."""
    sender = letter.sender
    name = escape(sender.name or sender.address or letter.branding.name)
    found = f"<strong><bdi>{name}</bdi></strong>"
    return f'{found} (<span dir="ltr">{escape(sender.address)}</span>)' if sender.name and sender.address else found


def _lines(text: str) -> str:
    return "<br>".join(_own(line) for line in text.splitlines())


def _paragraph(inside: str, *, size: int = 15, quiet: bool = False, own: bool = False, end: str = "\n") -> str:
    """`own`: a text of the administrator's, in whatever language it is."""
    kind, color, size = ("quiet", "#4b5560", 13) if quiet else ("words", "#1c2126", size)
    style = f"margin:0 0 16px 0;{_FONT};font-size:{size}px;line-height:1.5;color:{color};word-break:break-word"
    direction = ' dir="auto"' if own else ""
    return f'<p class="{kind}"{direction} style="{style}">{inside}</p>{end}'


_QUIET: Final = _paragraph(_GAP, quiet=True, end="\r\n").split(_GAP)
_FRONT: Final = """\
<!DOCTYPE html>
<html lang="{language}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body class="page" style="margin:0;padding:0;background:#eef1f3">
<table role="presentation" lang="{language}" dir="{direction}" class="page" width="100%" cellpadding="0" \
cellspacing="0" border="0" style="background:#eef1f3">
<tr><td align="center" style="padding:24px 8px">
<table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0" style="width:100%;max-width:600px">
"""
_BAR: Final = """\
<tr><td class="bar" align="{side}" bgcolor="{color}" style="background:{color};color:{ink};padding:18px 32px;\
border-radius:8px 8px 0 0;{font};font-size:18px;font-weight:bold;word-break:break-word">{name}</td></tr>
"""
_CARD: Final = """\
<tr><td class="card" align="{side}" bgcolor="#ffffff" style="background:#ffffff;padding:32px;\
border-radius:0 0 8px 8px;{font}">
"""
_BUTTON: Final = """\
<table role="presentation" align="{side}" cellpadding="0" cellspacing="0" border="0" width="100%"><tr><td \
align="{side}" style="padding:8px 0 24px 0"><table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>
<td align="center" bgcolor="{color}" style="background:{color};border-radius:6px;mso-padding-alt:14px 32px">\
<a href="{link}" style="display:inline-block;padding:14px 32px;{font};font-size:16px;font-weight:bold;color:{ink};\
text-decoration:none;border-radius:6px">{text}</a></td>
</tr></table></td></tr></table>
"""
_LINE: Final = '<hr class="line" style="border:0;border-top:1px solid #d5dbe0;margin:8px 0 16px 0">\n'
_BACK: Final = """\
</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""
