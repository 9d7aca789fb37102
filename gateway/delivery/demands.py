"""What a message demands of a host, and whether its EHLO meets it (RFC 1870 6.1, RFC 6152 3, RFC 6531 3.4).

What the sender asked about notices goes along to a host that knows DSN (RFC 3461 5.2.1); for any other we answer
ourselves. Leaves out: making a copy of 7 bits, which `seven_bit` does; what can't be converted ends with 5.6.3.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from gateway.delivery.orcpt import made, passed_on
from gateway.delivery.outcome import Result, Verdict
from gateway.delivery.said import Offers
from gateway.delivery.seven_bit import Fitted
from gateway.delivery.verdicts import of_ours
from gateway.mail.address import Address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.downgrade import Obstacle
from gateway.mail.envelope import Body
from gateway.mail.message import MAX_HEAD, Content


@dataclass(frozen=True, slots=True)
class Wording:
    """How the transaction is worded for one host, and who is left out of it, with the reason.

    `extras` are the parameters of each RCPT, each with its space in front; empty where nobody has any. `answering`: the
    host knows no DSN and a sender asked for notices, so those of success are ours.
    """

    sender: bytes
    recipients: tuple[bytes, ...]
    parameters: bytes
    targets: tuple[Target, ...]
    left_out: tuple[Result, ...] = ()
    extras: tuple[bytes, ...] = ()
    answering: bool = False


async def wording(
    delivery: Delivery, targets: tuple[Target, ...], fitted: Fitted, offers: Offers, host: str
) -> Wording:
    """Word the transaction for a host with these offers. Content is looked at only where the host lacks something.

    What the sender did not declare as 8-bit and can't be converted leaves as it came. Raises what reading it raises.
    """
    content, obstacle = fitted.content, fitted.obstacle
    if fitted.waits is not None:
        return Wording(b"", (), b"", (), of_ours(targets, Verdict.LATER, 451, "4.7.5", fitted.waits, host))
    if offers.size is not None and content.size > offers.size:
        text = f"the message has {content.size} octets, {host} takes {offers.size}"
        return Wording(b"", (), b"", (), of_ours(targets, Verdict.NEVER, 552, "5.3.4", text, host))
    eight = delivery.body is Body.EIGHT_BIT_MIME
    header = delivery.smtputf8 and obstacle is Obstacle.HEADER  # That is for SMTPUTF8 to say.
    if eight and obstacle is not None and not header:
        text = f"the message has 8-bit content, which {host} does not take, and can't be converted: {obstacle}"
        return Wording(b"", (), b"", (), of_ours(targets, Verdict.NEVER, 554, "5.6.3", text, host))
    left_out: tuple[Result, ...] = ()
    utf8 = delivery.smtputf8 or not _ascii(delivery.sender) or not all(_ascii(one.address) for one in targets)
    if utf8 and not offers.smtputf8:
        text = f"addresses or header fields beyond ASCII, which {host} does not take"
        header = header or (delivery.smtputf8 and _head_beyond_ascii(await _first(content)))
        refused = (
            targets if header or not _ascii(delivery.sender) else tuple(t for t in targets if not _ascii(t.address))
        )
        left_out = of_ours(refused, Verdict.NEVER, 553, "5.6.7", text, host)
        targets = tuple(target for target in targets if target not in refused)
        utf8 = False
    parameters = b" SIZE=%d" % content.size if offers.sized else b""
    if eight and offers.eight_bit:
        parameters += b" BODY=8BITMIME"
    if utf8:
        parameters += b" SMTPUTF8"
    extras: tuple[bytes, ...] = ()
    answering = False
    if _asks(delivery, targets):
        if offers.dsn:
            parameters += _of_mail(delivery)
            extras = tuple(_of_rcpt(target, utf8) for target in targets)
        else:  # Not a word of it may be said to such a host (RFC 3461 5.2.2 a).
            answering = delivery.sender is not None
    return Wording(
        _wire(delivery.sender, utf8),
        tuple(_wire(one.address, utf8) for one in targets),
        parameters,
        targets,
        left_out,
        extras,
        answering,
    )


def _asks(delivery: Delivery, targets: tuple[Target, ...]) -> bool:
    """Whether the client said anything about notices."""
    if delivery.ret is not None or delivery.envid is not None:
        return True
    return any(target.notify is not None or target.orcpt is not None for target in targets)


def _of_mail(delivery: Delivery) -> bytes:
    """RET and ENVID as they came, and neither where the client gave none (RFC 3461 5.2.1 a, b)."""
    ret = b"" if delivery.ret is None else b" RET=" + delivery.ret.encode()
    return ret if delivery.envid is None else ret + b" ENVID=" + delivery.envid.encode()


def _of_rcpt(target: Target, utf8: bool) -> bytes:
    """NOTIFY as it came, and ORCPT (RFC 3461 5.2.1 c, d); for whom no notice is wanted none is made up."""
    notify = b"" if target.notify is None else b" NOTIFY=" + target.notify.encode()
    if target.orcpt is not None:
        orcpt = passed_on(target.orcpt, utf8=utf8)
    elif target.notify is not None and target.notify != "NEVER":
        orcpt = made(target.address, utf8=utf8)
    else:
        return notify
    return notify + b" ORCPT=" + orcpt.encode() if orcpt else notify


def _ascii(address: Address | None) -> bool:
    """Whether it can be said without SMTPUTF8: an internationalised domain can, as A-labels (RFC 6531 3.2)."""
    return address is None or address.is_ascii or (bool(address.domain) and address.local.isascii())


def _wire(address: Address | None, utf8: bool) -> bytes:
    if address is None:
        return b""
    if address.is_ascii or utf8:
        return address.text.encode()
    return f"{address.local}@{address.domain}".encode()


async def _first(content: Content) -> bytes:
    """Its first block, in which the header section lies."""
    if content.inline is not None:
        return content.inline
    blocks = content.blocks()
    try:
        async for block in blocks:
            return block
        return b""
    finally:
        if isinstance(blocks, AsyncGenerator):
            await blocks.aclose()


def _head_beyond_ascii(octets: bytes) -> bool:
    end = octets.find(b"\r\n\r\n", 0, MAX_HEAD)
    return not octets[: MAX_HEAD if end < 0 else end].isascii()
