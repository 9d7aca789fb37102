"""Outbound connectors and retry terms for tests, short to write."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway.connectors.model import Deliver, Domains, Outbound, TlsLevel, TlsTerms
from gateway.delivery.schedule import RetryTerms

RETRY = RetryTerms(first=60.0, factor=2.0, longest=4 * 3600.0, jitter=0.2, expire=5 * 86400.0)


def outbound(
    name: str,
    *domains: str,
    mx: bool = True,
    folder: bool = False,
    concurrency: int = 8,
    messages_per_minute: int | None = None,
) -> Outbound:
    """A connector for `domains` (default all) that looks up MX, or has one smart host, or writes into a folder."""
    return Outbound(
        name=name,
        recipient_domains=Domains(domains or ("*",)),
        deliver=Deliver.FOLDER if folder else Deliver.SMTP,
        folder=Path("outbox") if folder else None,
        smart_hosts=() if mx or folder else (("mx.partner.example", 25),),
        port=25,
        tls=TlsTerms(level=TlsLevel.OPPORTUNISTIC, context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)),
        source_address=None,
        concurrency=concurrency,
        messages_per_minute=messages_per_minute,
        messages_per_connection=100,
    )
