"""The Received line that goes on top of every message (RFC 5321 4.4, RFC 8314 4.3, RFC 6531 4.3). Pure."""

from __future__ import annotations

import re

from gateway.mail.date import rfc5322_date
from gateway.mail.envelope import Client, Recipient

_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.IPv]+\]")


def protocol(client: Client, *, smtputf8: bool) -> str:
    """The word behind `with` (RFC 3848, RFC 6531 4.3; RFC 8314 7.5 speaks of ESMTPS)."""
    if not client.esmtp:
        return "SMTP"
    secured = ("S" if client.tls else "") + ("A" if client.user is not None else "")
    return ("UTF8SMTP" if smtputf8 else "ESMTP") + secured


def _literal(address: str) -> str:
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def received(
    client: Client,
    *,
    hostname: str,
    id_: str,
    recipients: tuple[Recipient, ...],
    smtputf8: bool,
    now: float,
    trusted: bool = False,
) -> bytes:
    """The line, folded, with its CR LF.

    `for` names a recipient only where there is one: more would tell each of the others (RFC 5321 7.2, 7.6).
    `trusted`: the connector demanded the client's certificate, and it is good.
    """
    literal = _literal(client.address)
    # What the client calls itself may be anything; only what is a domain or a literal may stand as such in the line.
    helo = client.helo if _DOMAIN.fullmatch(client.helo) else literal
    parts = [f"Received: from {helo} ({literal})", f"\r\n\tby {hostname} with {protocol(client, smtputf8=smtputf8)}"]
    if client.tls:
        parts.append(f" tls {client.tls.cipher} ({client.tls.version})")  # RFC 8314 4.3
        if (shown := client.tls.certificate) is not None:
            judged = "trusted" if trusted else "not judged"
            parts.append(f'\r\n\t(client certificate "{shown.name}" from "{shown.issuer}", {judged})')
    parts.append(f"\r\n\tid {id_}")
    if len(recipients) == 1 and (recipients[0].address.is_ascii or smtputf8):
        parts.append(f"\r\n\tfor <{recipients[0].address.text}>")
    parts.append(f"; {rfc5322_date(now)}\r\n")
    return "".join(parts).encode()
