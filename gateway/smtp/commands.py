"""MAIL, RCPT and BDAT: what stands behind the command word, as values (RFC 5321 4.1.2, 4.1.1.11; RFC 3030 2). Pure.

RET, ENVID, NOTIFY and ORCPT (RFC 3461 4, RFC 6533 3) are judged here and kept as they came.
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
    NO_BINARY,
    UNKNOWN_PARAMETER,
    Refused,
    Reply,
)

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[^\x00-\x20=\x7f]+")  # esmtp-value, with RFC 6531 3.3's letters beyond ASCII
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 4
# RFC 3461 4. What is encoded must be printable ASCII or white space (4.2, 4.4): a line break would end up in a notice.
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+(?:09|[2-6][0-9A-F]|7[0-9A-E]))+")
# RFC 6533 3: utf-8-addr-xtext, and with SMTPUTF8 utf-8-addr-unitext. HEXPOINT has no leading zeros beyond two digits,
# no surrogates, and of the letters in ASCII those alone that may not stand there as they are.
_HEXPOINT = (
    r"[01][1-9]|10|20|2B|3D|7F|5C|[89A-F][0-9A-F]|[1-9A-F][0-9A-F]{2}|[1-9ABCEF][0-9A-F]{3}|D[0-7][0-9A-F]{2}"
    r"|[1-9A-F][0-9A-F]{4}|10[0-9A-F]{4}"
)
_QCHAR = r"\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e"
_UTF8_XTEXT = re.compile(rf"(?:[{_QCHAR}]|\\x\{{(?:{_HEXPOINT})\}})+", re.IGNORECASE)
_UTF8_UNITEXT = re.compile(rf"(?:[^\x00-\x20+=\\\x7f-\x9f]|\\x\{{(?:{_HEXPOINT})\}})+", re.IGNORECASE)
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]{1,32}")  # RFC 3461 4.2: an atom.
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE)
_CHUNK = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)  # RFC 3030 2
_NAME = re.compile(r"[^\x00-\x20\x7f]{1,255}")
MAX_ENVID = 100  # RFC 3461 4.4
MAX_ORCPT = 500  # RFC 3461 4.2
MAX_SUBMITTER = 500  # RFC 4954 3


@dataclass(frozen=True, slots=True)
class MailCommand:
    """MAIL FROM. `size` is what the client says that the message will have, 0 where it doesn't."""

    sender: Address | None
    size: int = 0
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """BDAT: so many octets follow the line; `last`: the message ends with them."""

    size: int
    last: bool


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


_OF_MAIL = frozenset(("SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"))
_OF_RCPT = frozenset(("NOTIFY", "ORCPT"))
_RET = re.compile(r"FULL|HDRS", re.IGNORECASE)
# xtext as RFC 4954 8 has it, in which any octet may be encoded.
_SUBMITTER = re.compile(r"<>|(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+")
_BODY = re.compile(r"7BIT|8BITMIME|BINARYMIME", re.IGNORECASE)


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
    body = (_valued(found, "BODY", _BODY, 10) or "7BIT").upper()
    if body == "BINARYMIME":
        # RFC 3030 3: not offered, since few next hops take it and we convert nothing.
        raise Refused(NO_BINARY)
    if sender is not None and not sender.is_ascii and not smtputf8:
        raise Refused(NEEDS_SMTPUTF8)
    # RFC 4954 5: who wrote the message first, as the client says. Judged and not heeded: we pass no such word on.
    _valued(found, "AUTH", _SUBMITTER, MAX_SUBMITTER)
    return MailCommand(
        sender,
        size=int(_valued(found, "SIZE", _SIZE, 20) or 0),
        body=Body(body),
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
        orcpt=_orcpt(found, smtputf8),
    )


def _orcpt(found: dict[str, str | None], smtputf8: bool) -> str | None:
    """ORCPT as it came. The address is none of ours to judge and needs no domain; its form is."""
    value = found.get("ORCPT", "")
    if value == "":
        return None
    kind, semicolon, address = (value or "").partition(";")
    if kind.lower() != "utf-8":
        form = _XTEXT
    else:
        form = _UTF8_UNITEXT if smtputf8 else _UTF8_XTEXT
    if (
        value is None
        or len(value) > MAX_ORCPT
        or not semicolon
        or not _ADDRESS_TYPE.fullmatch(kind)
        or not form.fullmatch(address)
    ):
        raise Refused(BAD_PARAMETER)
    return value


def parse_chunk(argument: str) -> Chunk | None:
    """What stands behind `BDAT `, or None where it can't be told how many octets follow."""
    found = _CHUNK.fullmatch(argument)
    return None if found is None else Chunk(int(found[1]), last=found[2] is not None)
