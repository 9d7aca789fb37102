"""MAIL and RCPT: what stands behind the command word, as values (RFC 5321 4.1.2, 4.1.1.11). Pure.

RET, ENVID, NOTIFY and ORCPT (RFC 3461 4) are taken and kept though DSN is not announced yet: clients that learnt it
elsewhere send them, and what they ask for is heeded where we write a DSN ourselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gateway.mail.address import Address, BadAddress, parse_path
from gateway.mail.envelope import Body, Recipient
from gateway.mail.reply import (
    BAD_PARAMETER,
    BAD_RECIPIENT,
    BAD_SENDER,
    BAD_SYNTAX,
    NEEDS_SMTPUTF8,
    UNKNOWN_PARAMETER,
    Refused,
    Reply,
)

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[^\x00-\x20=\x7f]+")  # esmtp-value, with RFC 6531 3.3's letters beyond ASCII
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 4
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")  # RFC 3461 4
_ORCPT = re.compile(r"[A-Za-z0-9-]{1,32};(?:[^\x00-\x20\x7f]*)")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE)
_NAME = re.compile(r"[\x21-\x7e\u0080-\U0010ffff]{1,255}")
MAX_ENVID = 100  # RFC 3461 4.4
MAX_ORCPT = 500  # RFC 3461 4.2


@dataclass(frozen=True, slots=True)
class MailCommand:
    """MAIL FROM. `size` is what the client says that the message will have, 0 where it doesn't."""

    sender: Address | None
    size: int = 0
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None


def hello_name(argument: str) -> str | None:
    """The name that HELO or EHLO gives, or None where it is none. Syntax alone: many good clients give a wrong name."""
    return argument if _NAME.fullmatch(argument) else None


def _path(argument: str, keyword: str, bad: Reply) -> tuple[Address | None, str]:
    if argument[: len(keyword)].upper() != keyword:
        raise Refused(BAD_SYNTAX)
    # RFC 5321 3.3 allows no blank before the path; many clients send one, and it means nothing else.
    try:
        address, rest = parse_path(argument[len(keyword) :].lstrip(" "))
    except BadAddress as error:
        raise Refused(bad) from error
    if rest and rest[0] != " ":
        raise Refused(bad)
    return address, rest


def _parameters(text: str, known: frozenset[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for word in text.split():
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if not _KEYWORD.fullmatch(keyword) or keyword in found or (equals and not _VALUE.fullmatch(value)):
            raise Refused(BAD_PARAMETER)
        if keyword not in known:
            raise Refused(UNKNOWN_PARAMETER)
        found[keyword] = value if equals else None
    return found


def _valued(found: dict[str, str | None], keyword: str, form: re.Pattern[str], longest: int) -> str | None:
    if keyword not in found:
        return None
    value = found[keyword]
    if value is None or len(value) > longest or not form.fullmatch(value):
        raise Refused(BAD_PARAMETER)
    return value


_OF_MAIL = frozenset(("SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"))
_OF_RCPT = frozenset(("NOTIFY", "ORCPT"))
_RET = re.compile(r"FULL|HDRS", re.IGNORECASE)
_BODY = re.compile(r"7BIT|8BITMIME", re.IGNORECASE)


@lru_cache(maxsize=1024)
def parse_mail(argument: str) -> MailCommand:
    """What stands behind `MAIL `. Raises Refused."""
    sender, rest = _path(argument, "FROM:", BAD_SENDER)
    if sender is not None and not sender.domain:
        raise Refused(BAD_SENDER)
    if not rest:
        if sender is not None and not sender.is_ascii:
            raise Refused(NEEDS_SMTPUTF8)
        return MailCommand(sender)
    found = _parameters(rest, _OF_MAIL)
    smtputf8 = "SMTPUTF8" in found
    if found.get("SMTPUTF8") is not None:
        raise Refused(BAD_PARAMETER)
    if sender is not None and not sender.is_ascii and not smtputf8:
        raise Refused(NEEDS_SMTPUTF8)
    return MailCommand(
        sender,
        size=int(_valued(found, "SIZE", _SIZE, 20) or 0),
        body=Body((_valued(found, "BODY", _BODY, 8) or "7BIT").upper()),
        smtputf8=smtputf8,
        ret=_valued(found, "RET", _RET, 4),
        envid=_valued(found, "ENVID", _XTEXT, MAX_ENVID),
    )


@lru_cache(maxsize=4096)
def parse_rcpt(argument: str, smtputf8: bool) -> Recipient:
    """What stands behind `RCPT `. Raises Refused."""
    address, rest = _path(argument, "TO:", BAD_RECIPIENT)
    if address is None:
        raise Refused(BAD_RECIPIENT)
    if not address.is_ascii and not smtputf8:
        raise Refused(NEEDS_SMTPUTF8)
    if not rest:
        return Recipient(address)
    found = _parameters(rest, _OF_RCPT)
    notify = _valued(found, "NOTIFY", _NOTIFY, 28)
    return Recipient(
        address,
        notify=None if notify is None else notify.upper(),
        orcpt=_valued(found, "ORCPT", _ORCPT, MAX_ORCPT),
    )
