"""Delivery status notifications (RFC 3464 in a multipart/report, RFC 6522), built by hand as octets. Pure.

The text part is in `explain`. Internationalised addresses as RFC 6533 has them. Leaves out: notices of success and of
relaying; nobody is told that all went well.
"""

from __future__ import annotations

import binascii
import ipaddress
import re

from gateway.delivery.explain import explain, repeats, subject
from gateway.mail.address import Address
from gateway.mail.date import rfc5322_date
from gateway.mail.delivery import Delivery, Target
from gateway.mail.envelope import Body, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message

MAX_RETURNED = 64 * 1024  # Octets of the original that go back; who sent it has the rest.
_LONGEST_LINE = 998  # RFC 5322 2.1.1
_LONGEST_FIELD = 900  # Of a diagnostic; next hops may say anything at any length.

_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_MESSAGE_ID = re.compile(rb"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")
_SMTP_REPLY = re.compile(r"[245][0-9]{2}(?:[ -]|$)")
_STATUS = re.compile(r"[245](\.[0-9]{1,3}\.[0-9]{1,3})")


def build(
    delivery: Delivery,
    targets: tuple[Target, ...],
    *,
    head: bytes,
    hostname: str,
    contact: str | None,
    now: float,
    id: str,
    whole: bool = False,
    until: float | None = None,
) -> Mail:
    """The notice to the sender of `delivery` that `targets` did not get it, ready to be submitted under queue id `id`.

    `head` is the beginning of the original, the whole of it where `whole` says so. Times are seconds since 1970; with
    `until` the message is only late and given up then (Action: delayed). Raises ValueError for a null sender, who is
    never told anything (RFC 5321 4.5.5).
    """
    sender = delivery.sender
    if sender is None:
        raise ValueError("a null sender gets no notice")
    international = not sender.is_ascii
    original_type, original = _original(head, whole and delivery.ret == "FULL")
    parts = [
        _part("text/plain; charset=utf-8", explain(delivery, targets, hostname, contact, now, until).encode()),
        _part(
            "message/global-delivery-status" if international else "message/delivery-status",
            _status(delivery, targets, hostname, now, until, international),
            raw=True,
        ),
        _part(original_type, original, raw=original_type == "message/rfc822"),
    ]
    boundary = _boundary(id, parts)
    between = f"--{boundary}\r\n".encode()
    octets = (
        _header(delivery, sender, targets, head, hostname, now, id, boundary, international, until is not None)
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


def _header(
    delivery: Delivery,
    sender: Address,
    targets: tuple[Target, ...],
    head: bytes,
    hostname: str,
    now: float,
    id_: str,
    boundary: str,
    international: bool,
    late: bool,
) -> bytes:
    kind = "global-delivery-status" if international else "delivery-status"
    lines = [
        f"Date: {rfc5322_date(now)}",
        f"From: Mail gateway <MAILER-DAEMON@{hostname}>",
        f"To: <{sender.text}>",
        f"Subject: {subject(targets, late)}",
        f"Message-ID: <{id_}@{hostname}>",
    ]
    found = Message(head, Held(head)).first(b"Message-ID")
    if found is not None and _MESSAGE_ID.fullmatch(found):
        lines += [f"In-Reply-To: {found.decode()}", f"References: {found.decode()}"]
    lines += [
        "Auto-Submitted: auto-replied",  # RFC 3834 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={kind};\r\n\tboundary="{boundary}"',
    ]
    if international:
        lines.append("Content-Transfer-Encoding: 8bit")
    return "\r\n".join([*lines, "", "This is a notice in parts (RFC 3464).", ""]).encode()


def _status(
    delivery: Delivery,
    targets: tuple[Target, ...],
    hostname: str,
    now: float,
    until: float | None,
    international: bool,
) -> bytes:
    """The fields of RFC 3464 2.2 and 2.3."""
    lines = [f"Reporting-MTA: dns; {hostname}"]
    if delivery.envid and (envid := _decode_xtext(delivery.envid)):
        lines.insert(0, f"Original-Envelope-Id: {envid}")
    lines.append(f"Arrival-Date: {rfc5322_date(delivery.created)}")
    for target in targets:
        lines += ["", *_recipient(target, now, until, international)]
    return "".join(_fold(line) + "\r\n" for line in lines).encode()


def _recipient(target: Target, now: float, until: float | None, international: bool) -> list[str]:
    lines = []
    if target.orcpt and (original := _original_recipient(target.orcpt, international)):
        lines.append(f"Original-Recipient: {original}")
    kind = "rfc822" if target.address.is_ascii else "utf-8"
    shown = target.address.text if international else _escape(target.address.text)
    lines += [
        f"Final-Recipient: {kind}; {shown}",
        f"Action: {'failed' if until is None else 'delayed'}",
        f"Status: {_code(target.enhanced, '5' if until is None else '4')}",
    ]
    if target.host:
        lines.append(f"Remote-MTA: dns; {_name(target.host)}")
    if diagnostic := _diagnostic(target):
        lines.append(f"Diagnostic-Code: {diagnostic}")
    lines.append(f"Last-Attempt-Date: {rfc5322_date(now)}")
    if until is not None:
        lines.append(f"Will-Retry-Until: {rfc5322_date(until)}")
    return lines


def _code(enhanced: str | None, grade: str) -> str:
    """A failure is told with 5, a delay with 4, whatever the next hop's own first digit was (RFC 3464 2.3.4)."""
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


def _original_recipient(orcpt: str, international: bool) -> str:
    """ORCPT as it came (RFC 3461 4.2), its xtext decoded; "" for what is malformed."""
    kind, mark, text = orcpt.partition(";")
    if not mark or not kind.isascii() or not kind.replace("-", "").isalnum():
        return ""
    decoded = _decode_xtext(text) if text.isascii() else text
    if not decoded or any(ord(letter) < 32 or ord(letter) == 127 for letter in decoded):
        return ""
    return f"{kind}; {decoded if international else _escape(decoded)}"


def _decode_xtext(text: str) -> str:
    """RFC 3461 4. What would not be printable ASCII stays encoded, so that no field can be made up in it."""
    decoded = _XTEXT.sub(lambda found: chr(int(found[1], 16)), text)
    return decoded if decoded.isascii() and decoded.isprintable() else _printable(text)


def _escape(text: str) -> str:
    """Letters beyond ASCII as \\x{E9} (RFC 6533 3, utf-8-addr-unitext), where the notice travels without SMTPUTF8."""
    if text.isascii():
        return text
    return "".join(letter if letter.isascii() and letter != "\\" else f"\\x{{{ord(letter):02X}}}" for letter in text)


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
        return "message/rfc822", head
    section = Message(head, Held(head)).header_section()
    if len(section) > MAX_RETURNED:
        section = section[: section.rfind(b"\r\n", 0, MAX_RETURNED) + 2]
    kind = "text/rfc822-headers" if section.isascii() else "message/global-headers"  # RFC 6533 6
    return kind, section


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
