"""Delivery status notifications (RFC 3464 in a multipart/report, RFC 6522), built by hand as octets. Pure.

The text part is in `explain`. Internationalised addresses as RFC 6533 has them. Leaves out: `expanded`, since there are
no lists here; an original in 8 bits, of which the header alone goes back.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
from email.errors import MessageError
from email.header import decode_header, make_header

from gateway.delivery.explain import Letter, explain, repeats, subject
from gateway.delivery.kind import Kind, action
from gateway.delivery.orcpt import embedded, of_xtext, shown
from gateway.mail.address import Address
from gateway.mail.date import rfc5322_date
from gateway.mail.delivery import Delivery, Success, Target
from gateway.mail.envelope import Body, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message

MAX_RETURNED = 64 * 1024  # Octets of the original that go back; who sent it has the rest.
_WHOLE = "message/rfc822"
_LONGEST_LINE = 998  # RFC 5322 2.1.1
_LONGEST_FIELD = 900  # Of a diagnostic; next hops may say anything at any length.

_MESSAGE_ID = re.compile(rb"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")
_SMTP_REPLY = re.compile(r"[245][0-9]{2}(?:[ -]|$)")
_STATUS = re.compile(r"[245](\.[0-9]{1,3}\.[0-9]{1,3})")


_GRADES = {Kind.FAILURE: "5", Kind.DELAY: "4", Kind.SUCCESS: "2"}


def build(
    delivery: Delivery,
    targets: tuple[Target, ...],
    *,
    kind: Kind = Kind.FAILURE,
    head: bytes,
    hostname: str,
    contact: str | None,
    now: float,
    id: str,
    whole: bool = False,
    until: float | None = None,
) -> Mail:
    """The notice to the sender of `delivery` of what became of `targets`, ready to be submitted under queue id `id`.

    `head` is the beginning of the original, the whole of it where `whole` says so. Times are seconds since 1970;
    `until` goes with Kind.DELAY: then it is given up. Raises ValueError for a null sender, who is never told anything
    (RFC 5321 4.5.5).
    """
    sender = delivery.sender
    if sender is None:
        raise ValueError("a null sender gets no notice")
    if (until is not None) != (kind is Kind.DELAY):
        raise ValueError("a delay, and nothing else, has an end")
    international = not sender.is_ascii
    # RET is about failure alone; all other notices return the header (RFC 3461 4.3).
    full = whole and kind is Kind.FAILURE and (delivery.ret or "").upper() == "FULL"
    original_type, original = _original(head, full)
    letter = Letter(
        delivery=delivery,
        targets=targets,
        kind=kind,
        hostname=hostname,
        contact=contact,
        now=now,
        until=until,
        topic=_topic(head),
        returned=original_type == _WHOLE,
    )
    status_type = "message/global-delivery-status" if international else "message/delivery-status"
    parts = [
        _part("text/plain; charset=utf-8", explain(letter).encode("utf-8", "replace")),
        _part(status_type, _status(letter, international), raw=True),
        _part(original_type, original, raw=letter.returned),
    ]
    boundary = _boundary(id, parts)
    between = f"--{boundary}\r\n".encode()
    octets = (
        _header(letter, sender, head, id, boundary, international)
        + b"".join(between + part + b"\r\n" for part in parts)
        + f"--{boundary}--\r\n".encode()
    )
    envelope = Envelope(
        sender=None,
        recipients=(Recipient(sender, notify="NEVER"),),  # RFC 3461 6.1: a notice asks for none about itself
        body=Body.SEVEN_BIT if octets.isascii() else Body.EIGHT_BIT_MIME,
        smtputf8=international,
    )
    return Mail(id=id, received=now, envelope=envelope, message=Message(octets[:MAX_HEAD], Held(octets)))


def _header(letter: Letter, sender: Address, head: bytes, id_: str, boundary: str, international: bool) -> bytes:
    report = "global-delivery-status" if international else "delivery-status"
    lines = [
        f"Date: {rfc5322_date(letter.now)}",
        f"From: Mail gateway <MAILER-DAEMON@{letter.hostname}>",
        f"To: <{sender.text}>",
        f"Subject: {subject(letter.targets, letter.kind)}",
        f"Message-ID: <{id_}@{letter.hostname}>",
    ]
    found = Message(head, Held(head)).first(b"Message-ID")
    if found is not None and _MESSAGE_ID.fullmatch(found):
        lines += [f"In-Reply-To: {found.decode()}", f"References: {found.decode()}"]
    lines += [
        "Auto-Submitted: auto-replied",  # RFC 3834 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={report};\r\n\tboundary="{boundary}"',
    ]
    if international:
        lines.append("Content-Transfer-Encoding: 8bit")
    return "\r\n".join([*lines, "", "This is a notice in parts (RFC 3464).", ""]).encode()


def _status(letter: Letter, international: bool) -> bytes:
    """The fields of RFC 3464 2.2 and 2.3."""
    delivery = letter.delivery
    lines = [f"Reporting-MTA: dns; {letter.hostname}"]
    if delivery.envid and (envid := _printable(of_xtext(delivery.envid))):
        lines.insert(0, f"Original-Envelope-Id: {envid}")
    lines.append(f"Arrival-Date: {rfc5322_date(delivery.created)}")
    for target in letter.targets:
        lines += ["", *_recipient(target, letter.kind, letter.now, letter.until, international)]
    return "".join(_fold(line) + "\r\n" for line in lines).encode()


def _recipient(target: Target, kind: Kind, now: float, until: float | None, international: bool) -> list[str]:
    lines = []
    if target.orcpt and (original := shown(target.orcpt, international=international)):
        lines.append(f"Original-Recipient: {original}")
    address = target.address.text
    if target.address.is_ascii:
        final = f"rfc822; {address}"
    else:  # RFC 6533 3
        final = f"utf-8; {address if international else embedded(address)}"
    lines += [
        f"Final-Recipient: {final}",
        f"Action: {action(kind, target)}",
        f"Status: {_code(target.enhanced, _GRADES[kind])}",
    ]
    if target.host:
        lines.append(f"Remote-MTA: dns; {_name(target.host)}")
    # Of what was delivered here it would say in which folder, which is nobody's business.
    if target.owed is not Success.DELIVERED and (diagnostic := _diagnostic(target)):
        lines.append(f"Diagnostic-Code: {diagnostic}")
    lines.append(f"Last-Attempt-Date: {rfc5322_date(now)}")
    if until is not None:
        lines.append(f"Will-Retry-Until: {rfc5322_date(until)}")
    return lines


def _code(enhanced: str | None, grade: str) -> str:
    """Failure is told with 5, delay with 4, success with 2, whatever the next hop said first (RFC 3464 2.3.4)."""
    found = _STATUS.fullmatch(enhanced or "")
    return grade + (found[1] if found else ".0.0")


def _diagnostic(target: Target) -> str:
    """What the next hop said itself; our own words, which have a reason, are not passed off as its (RFC 3464 2.3.6)."""
    said = _printable(target.reply or "")[:_LONGEST_FIELD]
    reason = _printable(target.reason or "")[:_LONGEST_FIELD]
    if said and target.host and target.reason is None and _SMTP_REPLY.match(said):
        return f"smtp; {said}"
    words = said if repeats(said, reason) else ": ".join(text for text in (reason, said) if text)
    return f"x-gateway; {words}" if words else ""


def _name(host: str) -> str:
    """A host's name; an address stands in brackets (RFC 5321 4.1.3)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _printable(host)
    return f"[IPv6:{_printable(host)}]" if address.version == 6 else f"[{host}]"


def _printable(text: str) -> str:
    """One line of printable ASCII; line ends become spaces, all else a question mark."""
    return "".join(letter if " " <= letter <= "~" else " " if letter in "\r\n\t" else "?" for letter in text).strip()


def _fold(line: str) -> str:
    """Lines of at most 78 letters where there are spaces to fold at (RFC 5322 2.2.3)."""
    out = []
    while len(line) > 78:
        place = line.rfind(" ", 20, 78)
        if place < 0 and (place := line.find(" ", 78)) < 0:
            break
        out.append(line[:place])
        line = line[place:]
    return "\r\n".join([*out, line])


def _original(head: bytes, full: bool) -> tuple[str, bytes]:
    """The third part (RFC 6522 3): the original where that was asked for and can travel as it is, else its header."""
    if full and len(head) <= MAX_RETURNED and _is_plain(head):
        return _WHOLE, head
    section = Message(head, Held(head)).header_section()
    if len(section) > MAX_RETURNED:
        section = section[: section.rfind(b"\r\n", 0, MAX_RETURNED) + 2]
    kind = "text/rfc822-headers" if section.isascii() else "message/global-headers"  # RFC 6533 6
    return kind, section


def _topic(head: bytes) -> str:
    """The original's Subject as its reader sees it, "" where it has none or none that can be read."""
    raw = Message(head, Held(head)).first(b"Subject") or b""
    if len(raw) > _LONGEST_LINE:
        return ""
    text = raw.decode("utf-8", "replace")
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))  # RFC 2047
    except (ValueError, LookupError, MessageError):  # Charsets and base64 of any kind come by.
        return ""


def _is_plain(octets: bytes) -> bool:
    """Whether it can travel as 7bit (RFC 2045 2.7)."""
    if not octets.isascii() or b"\0" in octets:
        return False
    lines = octets.split(b"\r\n")
    return all(len(line) <= _LONGEST_LINE and b"\r" not in line and b"\n" not in line for line in lines)


def _part(kind: str, octets: bytes, *, raw: bool = False) -> bytes:
    """One body part with its header. `raw` ones may not be encoded (RFC 2046 5.2.1, RFC 3464 2.1)."""
    encoding = "7bit"
    if raw and not octets.isascii():
        encoding = "8bit"
    elif not raw and not _is_plain(octets):
        encoding, octets = "quoted-printable", quoted_printable(octets)
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + octets


def quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 6.7, with lines of at most 76 octets. CR LF are line ends, a CR or LF alone is encoded."""
    # Each line for itself, since binascii takes a CR or LF alone for a line end; "=" LF is its soft line break.
    lines = [binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in octets.split(b"\r\n")]
    return b"\r\n".join(lines)


def _boundary(id_: str, parts: list[bytes]) -> str:
    """A mark that stands in no part, even where the original's author guessed the queue id."""
    number = 0
    while any(f"=_{id_}_{number}".encode() in part for part in parts):
        number += 1
    return f"=_{id_}_{number}"
