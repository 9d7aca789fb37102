"""Logging in at a next hop: PLAIN and LOGIN (RFC 4954, RFC 4616), under TLS alone. Pure but for the asking.

Leaves out: CRAM-MD5 and its like, which make the host keep passwords in clear and protect nothing that TLS does not;
the AUTH parameter of MAIL (RFC 4954 5), since we speak for no single user.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.connectors.model import Login
from gateway.delivery.said import HopLogin, Said

_MOST_AT_ONCE: Final = 500  # Octets of a command's line (RFC 4954 4): what is longer goes behind the 334.
_NOT_THIS_WAY: Final = 504  # The mechanism is not known after all (RFC 5248, RFC 4954 4).
_HIDDEN: Final = "(hidden)"

Ask = Callable[[bytes], Awaitable[Said]]


async def log_in(ask: Ask, login: Login, mechanisms: tuple[str, ...]) -> None:
    """Say AUTH with what the host offers, PLAIN first. `ask` says one line and gives the reply.

    Raises HopLogin where the host does not let us in, and whatever `ask` raises. Neither its words nor those of the
    reply in it hold the password.
    """
    known = [mechanism for mechanism in ("PLAIN", "LOGIN") if mechanism in mechanisms]
    if not known:
        offered = ", ".join(_plain(one) for one in mechanisms[:10]) or "none"
        text = f"the host offers no AUTH with PLAIN or LOGIN, which our login needs (it offers {offered})"
        raise HopLogin(text)
    said = await _try(ask, _lines(known[0], login))
    if said.code == _NOT_THIS_WAY and len(known) > 1:
        said = await _try(ask, _lines(known[1], login))
    if not said.good:
        raise _refused(said, login)


async def _try(ask: Ask, lines: tuple[bytes, ...]) -> Said:
    """One mechanism; the last reply. A host that asks for more than there is to say is told so (RFC 4954 4)."""
    said = await ask(lines[0])
    for line in lines[1:]:
        if said.code != 334:
            return said
        said = await ask(line)
    return await ask(b"*\r\n") if said.code == 334 else said


def _lines(mechanism: str, login: Login) -> tuple[bytes, ...]:
    """What is said, in order; each line but the first follows a 334."""
    user, password = login.user.encode(), login.password.encode()
    if mechanism == "LOGIN":
        return b"AUTH LOGIN\r\n", b64encode(user) + b"\r\n", b64encode(password) + b"\r\n"
    whole = b64encode(b"\0" + user + b"\0" + password)
    if len(whole) <= _MOST_AT_ONCE - len(b"AUTH PLAIN \r\n"):
        return (b"AUTH PLAIN " + whole + b"\r\n",)
    return b"AUTH PLAIN\r\n", whole + b"\r\n"


def _refused(said: Said, login: Login) -> HopLogin:
    """A no of either kind lets the mail wait: it is our settings that are wrong, and not the recipient's address."""
    code = said.enhanced or ""
    passing = said.code < 500
    what = "does not take our login now" if passing else "refuses our login"
    text = f"the host {what} ({said.code}{' ' + code if code else ''})"
    enhanced = (code if passing and code.startswith("4.") else "") or "4.7.8"
    return HopLogin(text, enhanced=enhanced, said=_without(said.line, login))


def _without(line: str, login: Login) -> str:
    """`line` without the password in any form in which we said it, should the host repeat it."""
    user, password = login.user.encode(), login.password.encode()
    forms = [login.password, b64encode(password).decode(), b64encode(b"\0" + user + b"\0" + password).decode()]
    for form in sorted(forms, key=len, reverse=True):
        line = line.replace(form, _HIDDEN)
    return line


def _plain(text: str) -> str:
    return "".join(letter if "!" <= letter <= "~" else "?" for letter in text)[:20]
