"""What a reload replaces: connectors, listeners' terms, retry. Made whole from settings, swapped at once."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.connectors.inbound import Inbounds, inbounds
from gateway.connectors.model import Domains, Outbound
from gateway.connectors.outbound import outbounds
from gateway.connectors.patterns import accepted
from gateway.connectors.tls import server_context
from gateway.delivery.schedule import RetryTerms
from gateway.settings import schema
from gateway.settings.load import Loaded
from gateway.smtp.desk import Deadlines, Terms
from gateway.world.sockets import machine_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that is asked on the way of a message. `home` is the first domain of ours, "" where there is none."""

    inbounds: Inbounds
    outbounds: tuple[Outbound, ...]
    accepted: Domains
    home: str
    retry: RetryTerms
    contact: str | None
    hostname: str
    max_received: int
    listeners: tuple[Terms, ...]


def policy(loaded: Loaded) -> Policy:
    """The policy of these settings. Reads certificates and keys. Raises BadSettings, OSError."""
    settings = loaded.settings
    hostname = settings.server.hostname or machine_name()
    domains = accepted(loaded)
    return Policy(
        inbounds=inbounds(loaded),
        outbounds=outbounds(loaded),
        accepted=domains,
        home=next((pattern for pattern in domains.patterns if "*" not in pattern), ""),
        retry=RetryTerms.from_settings(settings.retry),
        contact=settings.contact,
        hostname=hostname,
        max_received=settings.server.max_received,
        listeners=tuple(_terms(loaded, listener, hostname) for listener in settings.listeners),
    )


def _terms(loaded: Loaded, listener: schema.Listener, hostname: str) -> Terms:
    context = None
    if listener.tls != "none" and listener.certificate is not None:
        certificate = loaded.resolve(listener.certificate)
        key = loaded.resolve(listener.key or listener.certificate)
        context = server_context(certificate, key, listener.minimum_tls)
    return Terms.made(
        name=listener.listen,
        hostname=listener.hostname or hostname,
        tls=context,
        implicit=listener.tls == "implicit",
        normalize=listener.bare_newline == "normalize",
        max_message_size=listener.max_message_size,
        max_line_length=listener.max_line_length,
        max_recipients=listener.max_recipients,
        max_messages=listener.max_messages,
        max_connections=listener.max_connections,
        max_connections_per_client=listener.max_connections_per_client,
        max_bad_commands=listener.max_bad_commands,
        deadlines=Deadlines(**listener.timeouts.model_dump()),
    )
