"""What a reload replaces: connectors, listeners' terms, retry. Made whole from settings, swapped at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.app.branding import branding
from gateway.app.rights_check import rights_terms
from gateway.app.smime_terms import smime_terms
from gateway.app.verification import Verification, verification
from gateway.authenticate.terms import AuthenticateTerms
from gateway.connectors.inbound import Inbounds, inbounds
from gateway.connectors.model import Domains, Outbound
from gateway.connectors.networks import network
from gateway.connectors.outbound import outbounds
from gateway.connectors.own_names import OwnFiles, door_context
from gateway.connectors.patterns import accepted
from gateway.delivery.schedule import RetryTerms
from gateway.rights.branding import Branding
from gateway.rights.terms import RightsTerms
from gateway.settings import schema
from gateway.settings.load import Loaded
from gateway.smime.terms import SmimeTerms
from gateway.smtp.desk import Deadlines, Terms
from gateway.world.sockets import machine_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that is asked on the way of a message. `home` is the first domain of ours, "" where there is none.
    `portal`: the address at which recipients find it, without a slash at its end; None: there is none.
    """

    inbounds: Inbounds
    outbounds: tuple[Outbound, ...]
    accepted: Domains
    home: str
    retry: RetryTerms
    contact: str | None
    hostname: str
    max_received: int
    listeners: tuple[Terms, ...]
    verification: Verification
    authenticate: AuthenticateTerms
    smime: SmimeTerms = field(default_factory=SmimeTerms)
    rights: RightsTerms = field(default_factory=RightsTerms)
    branding: Branding = field(default_factory=lambda: Branding(name="localhost"))
    portal: str | None = None


def policy(loaded: Loaded) -> Policy:
    """The policy of these settings. Reads certificates and keys. Raises BadSettings, OSError."""
    settings = loaded.settings
    made = inbounds(loaded)
    hostname = settings.server.hostname or machine_name()
    domains = accepted(loaded)
    return Policy(
        inbounds=made,
        outbounds=outbounds(loaded),
        accepted=domains,
        home=next((pattern for pattern in domains.patterns if "*" not in pattern), ""),
        retry=RetryTerms.from_settings(settings.retry),
        contact=settings.contact,
        hostname=hostname,
        max_received=settings.server.max_received,
        listeners=tuple(listener_terms(loaded, one, hostname, asking=made.asking) for one in settings.listeners),
        verification=verification(loaded),
        authenticate=AuthenticateTerms.from_settings(settings.authenticate, hostname),
        smime=smime_terms(loaded),
        rights=rights_terms(loaded),
        branding=branding(loaded),
        portal=None if settings.portal is None else settings.portal.url.rstrip("/"),
    )


def own_files(loaded: Loaded, listener: schema.Listener) -> tuple[OwnFiles, ...]:
    """The certificates that a listener shows, the one for clients who ask for none by name first; none without TLS."""
    if listener.tls == "none" or listener.certificate is None:
        return ()
    pairs = [(listener.certificate, listener.key), *((one.certificate, one.key) for one in listener.certificates)]
    return tuple(OwnFiles(loaded.resolve(one), loaded.resolve(key or one)) for one, key in pairs)


def listener_terms(loaded: Loaded, listener: schema.Listener, hostname: str, *, asking: bool) -> Terms:
    """One listener's terms. `asking`: some inbound connector has certificate terms. Raises OSError.

    People's mail programs on a submission listener would ask them which certificate to show; there nobody is asked.
    """
    context = None
    if files := own_files(loaded, listener):
        context = door_context(
            files,
            listener.minimum_tls,
            asking=asking and listener.kind == "relay",
            fips=loaded.settings.security.fips,
        )
    return Terms.made(
        name=listener.listen,
        hostname=listener.hostname or hostname,
        tls=context,
        implicit=listener.tls == "implicit",
        proxies=tuple(network(text) for text in listener.proxy_protocol_from),
        normalize=listener.bare_newline == "normalize",
        max_message_size=listener.max_message_size,
        max_line_length=listener.max_line_length,
        max_recipients=listener.max_recipients,
        max_recipient_domains=listener.max_recipient_domains,
        max_messages=listener.max_messages,
        max_connections=listener.max_connections,
        max_connections_per_client=listener.max_connections_per_client,
        max_bad_commands=listener.max_bad_commands,
        max_failed_log_ins=listener.max_failed_log_ins,
        submission=listener.kind == "submission",
        auth=listener.kind == "submission" if listener.auth is None else listener.auth,
        deadlines=Deadlines(**listener.timeouts.model_dump()),
    )
