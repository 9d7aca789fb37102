"""Outbound connectors as tests need them."""

from __future__ import annotations

from pathlib import Path

from gateway.connectors.model import Deliver, Domains, Login, Outbound, TlsLevel, TlsTerms
from gateway.connectors.tls import outbound_context


def make_outbound(
    *smart_hosts: tuple[str, int],
    level: TlsLevel = TlsLevel.OPPORTUNISTIC,
    ca: Path | None = None,
    domain: str | None = None,
    folder: Path | None = None,
    port: int = 25,
    concurrency: int = 8,
    messages_per_connection: int = 500,
    source_address: str | None = None,
    client: tuple[Path, Path] | None = None,
    minimum_tls: str = "1.2",
    allow_cn: bool = False,
    login: Login | None = None,
) -> Outbound:
    """To `smart_hosts`, by MX where there are none, or into `folder`."""
    certificate, key = client or (None, None)
    context = outbound_context(
        level, trusted_ca=ca, minimum_tls=minimum_tls, client_certificate=certificate, client_key=key
    )
    return Outbound(
        name="out",
        recipient_domains=Domains(("*",)),
        deliver=Deliver.FOLDER if folder else Deliver.SMTP,
        folder=folder,
        smart_hosts=smart_hosts,
        port=port,
        tls=TlsTerms(level=level, context=context, domain=domain, allow_certificate_cn=allow_cn),
        source_address=source_address,
        concurrency=concurrency,
        messages_per_minute=None,
        messages_per_connection=messages_per_connection,
        login=login,
    )
