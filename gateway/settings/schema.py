"""What gateway.toml may say. The description of a key stands in its definition; docs/settings.md is made from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Octets = Annotated[int, Field(ge=1024, le=2 << 30)]


class Section(BaseModel):
    """Unknown keys are faults, never ignored; values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class AcceptedDomain(Section):
    """A domain of ours."""

    name: str = Field(description="The domain; `*.` in front takes its subdomains.")
    external_relay: bool = Field(
        False, description="Its mailboxes lie elsewhere; mail for it still counts as ours to take."
    )


class Timeouts(Section):
    """Deadlines of one session, in seconds (RFC 5321 4.5.3.2)."""

    greeting: Seconds = Field(60, description="TLS handshake of an implicit listener, until the banner.")
    command: Seconds = Field(300, description="Waiting for the next command.")
    data: Seconds = Field(180, description="Waiting for the next block of a message.")
    message: Seconds = Field(1800, description="One whole message after DATA.")
    session: Seconds = Field(7200, description="The whole session.")


class Listener(Section):
    """A door for clients."""

    listen: str = Field(description="HOST:PORT; an IPv6 address stands in brackets.")
    kind: Literal["relay", "submission"] = Field("relay", description="`submission` is refused until that part exists.")
    tls: Literal["none", "starttls", "implicit"] = Field(
        "starttls", description="STARTTLS offered, TLS at once, or none."
    )
    certificate: str | None = Field(None, description="PEM file with the chain, ours first.")
    key: str | None = Field(None, description="PEM file with the private key.")
    minimum_tls: Literal["1.2", "1.3"] = Field("1.2", description="Lowest TLS version taken.")
    hostname: str | None = Field(None, description="Name in banner and Received; default: [server] hostname.")
    bare_newline: Literal["reject", "normalize"] = Field(
        "reject", description="What becomes of a bare CR or LF in a message."
    )
    max_message_size: Octets = Field(50 * 1024 * 1024, description="Octets; announced by SIZE.")
    max_line_length: int | None = Field(
        None, ge=998, le=1 << 30, description="Octets of a line of the message; default: no limit."
    )
    max_recipients: Count = Field(1000, description="Of one message.")
    max_messages: Count = Field(1000, description="Of one session.")
    max_connections: Count = Field(2000, description="At once, in each worker.")
    max_connections_per_client: Count = Field(200, description="At once from one address, in each worker.")
    max_bad_commands: Count = Field(10, description="Before the session is closed.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="Deadlines.")


class Inbound(Section):
    """Who may hand us mail, and under which terms."""

    name: str = Field(min_length=1, max_length=64, description="Its name in log, trace and queue.")
    type: Literal["partner", "on_premises"] = Field(
        description="`partner`: from outside, to accepted domains only; "
        "`on_premises`: our own servers, may relay outward."
    )
    enabled: bool = Field(True, description="Whether it counts at all.")
    comment: str = Field("", description="For people.")
    sender_domains: list[str] = Field(
        default=["*"], description="Reverse-path domains; `*.example.com` takes subdomains, `*` all."
    )
    sender_ip_addresses: list[str] = Field(
        default=[], description="Addresses or networks it is for; empty: any (partner only)."
    )
    restrict_domains_to_ip_addresses: bool = Field(
        False, description="Mail from its sender_domains from any other address is refused."
    )
    require_tls: bool | None = Field(None, description="MAIL in clear is answered 530; default: true for partner.")
    minimum_tls: Literal["1.2", "1.3"] | None = Field(None, description="Lowest TLS version taken from it.")
    associated_accepted_domains: list[str] = Field(
        default=[], description="Sending domains of ours that may use it; empty: any."
    )
    recipient_domains: list[str] = Field(
        default=[], description="Domains that it may reach; empty: as its type allows."
    )
    tls_sender_certificate_name: str | None = Field(None, description="Refused until that part exists.")
    restrict_domains_to_certificate: bool = Field(False, description="Refused until that part exists.")
    trusted_ca: str | None = Field(None, description="Refused until that part exists.")


class Outbound(Section):
    """Where mail for a domain goes, and under which terms."""

    name: str = Field(min_length=1, max_length=64, description="Its name in log, trace and queue.")
    enabled: bool = Field(True, description="Whether it counts at all.")
    comment: str = Field("", description="For people.")
    recipient_domains: list[str] = Field(
        min_length=1, description="Most specific wins; `*.example.com` takes subdomains, `*` all."
    )
    deliver: Literal["smtp", "folder", "mailbox"] = Field(
        "smtp", description="`mailbox` is refused until that part exists."
    )
    folder: str | None = Field(None, description="For `folder`: each delivery becomes ID.eml there.")
    smart_hosts: list[str] = Field(
        default=[], description="HOST[:PORT], tried in order; `[HOST]` is looked up as an address alike."
    )
    use_mx: bool = Field(False, description="MX lookup of the recipient's domain.")
    port: int = Field(25, ge=1, le=65535, description="Port of hosts that name none.")
    tls_settings: Literal["opportunistic", "encryption_only", "certificate_validation", "domain_validation"] = Field(
        "opportunistic", description="Which TLS a delivery must leave under."
    )
    tls_domain: str | None = Field(
        None, description="For domain_validation: the name in the certificate; wildcard in the first label."
    )
    trusted_ca: str | None = Field(None, description="PEM file of trusted CAs; default: the system's.")
    allow_certificate_cn: bool = Field(False, description="Also take a name that stands in the subject's CN alone.")
    minimum_tls: Literal["1.2", "1.3"] = Field("1.2", description="Lowest TLS version taken.")
    client_certificate: str | None = Field(None, description="PEM file shown to the next hop.")
    client_key: str | None = Field(None, description="Its private key.")
    dane: Literal["opportunistic", "mandatory", "none"] = Field(
        "none", description="`mandatory` is refused until that part exists."
    )
    mta_sts: Literal["opportunistic", "mandatory", "none"] = Field(
        "none", description="`mandatory` is refused until that part exists."
    )
    source_address: str | None = Field(None, description="IP address to send from.")
    concurrency: int = Field(8, ge=1, le=1000, description="Connections at once to one destination, in each worker.")
    messages_per_minute: int | None = Field(
        None, ge=1, description="Rate to one destination, in each worker; default: no limit."
    )
    messages_per_connection: Count = Field(500, description="Before a kept connection is ended.")


class Retry(Section):
    """When a waiting delivery is tried again."""

    first: Seconds = Field(60, description="Seconds to the second attempt.")
    factor: float = Field(2.0, ge=1, le=10, description="By which each wait is longer than the one before.")
    longest: Seconds = Field(4 * 3600, description="Longest wait, in seconds.")
    jitter: float = Field(0.2, ge=0, le=0.9, description="Share of a wait that is left to chance.")
    expire: Seconds = Field(5 * 86400, description="Seconds until the sender gets a DSN (RFC 5321 4.5.4.1).")


class Server(Section):
    """The gateway as a whole."""

    hostname: str | None = Field(None, description="Its name in banner, EHLO and Received; default: the machine's.")
    workers: int | None = Field(None, ge=1, le=64, description="Processes that take and send mail; default: the CPUs.")
    max_received: int = Field(100, ge=10, le=1000, description="Received lines that make a loop (RFC 5321 6.3).")
    drain: Seconds = Field(30, description="Seconds that a stop waits for what is in hand.")


class Storage(Section):
    """Where mail lies."""

    url: str = Field("sqlite:data", description="`sqlite:FOLDER`. PostgreSQL is refused until that part exists.")
    min_free: int = Field(
        64 * 1024 * 1024, ge=0, description="Octets of disk left free; below it mail is answered 452."
    )
    trace_days: Annotated[float, Field(gt=0, le=3650)] = Field(
        30, description="Days after which a message's trace is erased."
    )


class Vault(Section):
    """A place that holds root keys."""

    name: str = Field("main", min_length=1, max_length=64, description="Its name.")
    provider: Literal["file", "pkcs11"] = Field("file", description="`pkcs11` is refused until that part exists.")
    path: str = Field("vault", description="Folder with the keys; another disk in earnest.")


class Dns(Section):
    """Name resolution."""

    resolvers: list[str] = Field(default=[], description="ADDRESS:PORT of each resolver; default: the system's.")
    timeout: Seconds = Field(10, description="Seconds for one question, all resolvers and tries together.")


class Metrics(Section):
    """Prometheus."""

    listen: str = Field(description="HOST:PORT of /metrics and /health.")


class Log(Section):
    """Log lines, JSON."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level written.")
    file: str | None = Field(None, description="Default: standard error.")


class Connectors(Section):
    """Who hands mail in, and where it goes."""

    inbound: list[Inbound] = Field(default=[], description="Who may hand us mail.")
    outbound: list[Outbound] = Field(default=[], description="Where mail goes.")


class Settings(Section):
    """gateway.toml as a whole."""

    accepted_domains: list[str | AcceptedDomain] = Field(default=[], description="Domains of ours.")
    contact: str | None = Field(None, description="Shown at the end of 5xx replies and in DSNs.")
    server: Server = Field(default_factory=Server)
    listeners: list[Listener] = Field(min_length=1, description="Doors for clients.")
    connectors: Connectors = Field(default_factory=Connectors)
    retry: Retry = Field(default_factory=Retry)
    storage: Storage = Field(default_factory=Storage)
    vaults: list[Vault] = Field(default_factory=lambda: [Vault(name="main", provider="file", path="vault")])
    dns: Dns = Field(default_factory=Dns)
    metrics: Metrics | None = Field(None)
    log: Log = Field(default_factory=Log)
