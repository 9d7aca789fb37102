"""What gateway.toml may say. The description of a key stands in its definition; docs/settings.md is made from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings.branding import Branding
from gateway.settings.imap import Imap
from gateway.settings.mailboxes import Mailboxes
from gateway.settings.portal import Portal
from gateway.settings.rights import Rights
from gateway.settings.rules import Rules
from gateway.settings.section import CREDENTIAL, Count, Octets, Seconds
from gateway.settings.section import Section as Section
from gateway.settings.smime import Smime


class RecipientSource(Section):
    """Who says whether a recipient exists."""

    by: Literal["list", "directory", "ldap", "next_hop"] = Field(
        description="`list`: a text file; `directory`: a YAML file; `ldap`: an LDAP server; "
        "`next_hop`: the server that the mail would go to is asked (RCPT)."
    )
    when_unsure: Literal["accept", "defer"] = Field(
        "defer",
        description="What becomes of a recipient while the source can't say: answered 451, so that the client tries "
        "again, or taken unverified. A 550 never comes of it.",
    )
    file: str | None = Field(None, description="For `list` and `directory`; read again when it changes.")
    subaddress: str | None = Field(
        None, description='For `list`, `directory`, `ldap`: with "+" `ida+news@` is known where `ida@` is (RFC 5233).'
    )
    url: str | None = Field(None, description="For `ldap`: `ldaps://HOST[:PORT]`, or `ldap://` with STARTTLS.")
    allow_clear: bool = Field(
        False, description="For `ldap`: `ldap://` without TLS to another machine; to this one it always goes so."
    )
    trusted_ca: str | None = Field(None, description="For `ldap`: PEM file of trusted CAs; default: the system's.")
    base: str | None = Field(None, description="For `ldap`: where the search begins, such as `dc=corp,dc=example`.")
    filter: str | None = Field(
        None,
        description="For `ldap`: what to search, such as `(proxyAddresses=smtp:{address})`; `{address}`, `{local}` and "
        "`{domain}` are put in, escaped.",
    )
    bind_dn: str | None = Field(None, description="For `ldap`: name to log in with; default: nobody's.")
    password_file: str | None = Field(None, description="For `ldap`: file with its password in the first line.")
    connector: str | None = Field(
        None, description="For `next_hop`: outbound connector that is asked; default: the one that carries the mail."
    )
    sender: str | None = Field(
        None, description="For `next_hop`: address in MAIL; default: the null sender, which no host may refuse."
    )
    timeout: Seconds = Field(10, description="For `ldap`, `next_hop`: seconds for an answer.")
    remember_known: Seconds = Field(4 * 3600, description="For `ldap`, `next_hop`: seconds that a yes counts.")
    remember_unknown: Seconds = Field(300, description="For `ldap`, `next_hop`: seconds that a no counts.")
    remember_while_away: Seconds = Field(
        7 * 86400, description="For `ldap`, `next_hop`: seconds that a yes still counts while nobody answers."
    )
    questions_at_once: int = Field(
        4, ge=1, le=100, description="For `ldap`, `next_hop`: connections for questions, in each worker."
    )
    questions_per_minute: int = Field(
        600,
        ge=1,
        le=1_000_000,
        description="For `ldap`, `next_hop`: rate to a server in each worker; more is unsure.",
    )


class NamedRecipientSource(RecipientSource):
    """A source that several domains or connectors share: they name it in their recipient_verification."""

    name: str = Field(min_length=1, max_length=64, description="Its name; not `none`.")


class AcceptedDomain(Section):
    """A domain of ours."""

    name: str = Field(description="The domain; `*.` in front takes its subdomains.")
    external_relay: bool = Field(
        False, description="Its mailboxes lie elsewhere; mail for it still counts as ours to take."
    )
    recipient_verification: str | RecipientSource | None = Field(
        None,
        description="Who says whether a recipient in it exists: a table, or the name of one of recipient_sources; "
        '"none": nobody is asked; "mailboxes": who has a mailbox here, which is asked by itself where mail for it is '
        "delivered into mailboxes. Wins over the connector's.",
    )


class Timeouts(Section):
    """Deadlines of one session, in seconds (RFC 5321 4.5.3.2)."""

    greeting: Seconds = Field(60, description="TLS handshake of an implicit listener, until the banner.")
    command: Seconds = Field(300, description="Waiting for the next command.")
    data: Seconds = Field(180, description="Waiting for the next block of a message.")
    message: Seconds = Field(1800, description="One whole message after DATA.")
    session: Seconds = Field(7200, description="The whole session.")


class ListenerCertificate(Section):
    """A further certificate of a listener, for clients who ask for one of its names (SNI)."""

    certificate: str = Field(description="PEM file with the chain, ours first.")
    key: str | None = Field(None, description="PEM file with the private key; default: in the same file.")


class Listener(Section):
    """A door for clients."""

    listen: str = Field(description="HOST:PORT; an IPv6 address stands in brackets.")
    kind: Literal["relay", "submission"] = Field(
        "relay",
        description="`submission`: for people and programs who log in and send as themselves (RFC 6409); asks for TLS.",
    )
    auth: bool | None = Field(
        None, description="AUTH offered under TLS to those of `gateway user`; default: true for submission."
    )
    tls: Literal["none", "starttls", "implicit"] = Field(
        "starttls", description="STARTTLS offered, TLS at once, or none."
    )
    certificate: str | None = Field(None, description="PEM file with the chain, ours first.")
    key: str | None = Field(None, description="PEM file with the private key.")
    certificates: list[ListenerCertificate] = Field(
        default=[], description="More of them, for other names; the one above is for clients who ask for none of them."
    )
    minimum_tls: Literal["1.2", "1.3"] = Field("1.2", description="Lowest TLS version taken.")
    proxy_protocol_from: list[str] = Field(
        default=[],
        description="Addresses or networks of load balancers that have to say for whom they connect, by the PROXY "
        "protocol (version 1 or 2); from all others no header is taken.",
    )
    hostname: str | None = Field(None, description="Name in banner and Received; default: [server] hostname.")
    bare_newline: Literal["reject", "normalize"] = Field(
        "reject", description="What becomes of a bare CR or LF in a message."
    )
    max_message_size: Octets = Field(50 * 1024 * 1024, description="Octets; announced by SIZE.")
    max_line_length: int | None = Field(
        None, ge=998, le=1 << 30, description="Octets of a line of the message; default: no limit."
    )
    max_recipients: Count = Field(1000, description="Of one message.")
    max_recipient_domains: Count | None = Field(
        None, description="Different domains among the recipients of one message; default: no limit."
    )
    max_messages: Count = Field(1000, description="Of one session.")
    max_connections: Count = Field(2000, description="At once, in each worker.")
    max_connections_per_client: Count = Field(200, description="At once from one address, in each worker.")
    max_bad_commands: Count = Field(10, description="Before the session is closed.")
    max_failed_log_ins: Count = Field(3, description="Of one session, before it is closed.")
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
    recipient_verification: str | RecipientSource | None = Field(
        None,
        description="Who says whether a recipient in accepted_domains exists, where the domain itself does not say; "
        'as there. Default: "none".',
    )
    tls_sender_certificate_name: str | None = Field(
        None,
        description="Name that the client's certificate must have (SAN); `*.` in front: one first label.",
    )
    restrict_domains_to_certificate: bool = Field(
        False, description="Mail from its sender_domains without that certificate is refused, whatever its address."
    )
    trusted_ca: str | None = Field(
        None, description="PEM file of the CAs that client certificates must come from; default: the system's."
    )
    allow_certificate_cn: bool = Field(False, description="Also take a name that stands in the subject's CN alone.")
    allow_certificate_subdomains: bool = Field(
        False, description="The wildcard stands for subdomains at any depth, as in Exchange."
    )
    allow_server_certificate: bool = Field(
        False, description="Also take a certificate for servers alone (no clientAuth), as many public CAs issue them."
    )


class Outbound(Section):
    """Where mail for a domain goes, and under which terms."""

    name: str = Field(min_length=1, max_length=64, description="Its name in log, trace and queue.")
    enabled: bool = Field(True, description="Whether it counts at all.")
    comment: str = Field("", description="For people.")
    recipient_domains: list[str] = Field(
        min_length=1, description="Most specific wins; `*.example.com` takes subdomains, `*` all."
    )
    deliver: Literal["smtp", "folder", "mailbox"] = Field(
        "smtp",
        description="To other servers; into a folder; or, where mail ends here, into the mailboxes of `gateway "
        "mailbox`: then whoever has none there is refused at RCPT.",
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
    auth_user: str | None = Field(
        None, description="User name shown to the smart hosts (AUTH PLAIN or LOGIN), under TLS alone."
    )
    auth_password_file: str | None = Field(
        None, description="File that holds its password alone; others may not read it (mode 0600)."
    )
    dane: Literal["opportunistic", "mandatory", "none"] = Field(
        "none", description="`mandatory` is refused until that part exists."
    )
    mta_sts: Literal["opportunistic", "mandatory", "none"] = Field(
        "none", description="`mandatory` is refused until that part exists."
    )
    source_address: str | None = Field(None, description="IP address to send from.")
    concurrency: int = Field(
        8,
        ge=1,
        le=1000,
        description="Connections at once to one destination, in each worker; for `mailbox` deliveries at once, and 64 "
        "where nothing is said.",
    )
    messages_per_minute: int | None = Field(
        None, ge=1, description="Rate to one destination, in each worker; default: no limit."
    )
    messages_per_connection: Count = Field(500, description="Before a kept connection is ended.")
    deliver_decrypted: bool | None = Field(
        None,
        description="Mail that a key of ours opens goes on decrypted to those whose key it is; default: [smime] "
        "deliver_decrypted.",
    )


class Retry(Section):
    """When a waiting delivery is tried again."""

    first: Seconds = Field(60, description="Seconds to the second attempt.")
    factor: float = Field(2.0, ge=1, le=10, description="By which each wait is longer than the one before.")
    longest: Seconds = Field(4 * 3600, description="Longest wait, in seconds.")
    jitter: float = Field(0.2, ge=0, le=0.9, description="Share of a wait that is left to chance.")
    expire: Seconds = Field(5 * 86400, description="Seconds until the sender gets a DSN (RFC 5321 4.5.4.1).")
    delay_notice: float = Field(
        4 * 3600, ge=0, le=30 * 86400, description="Seconds until the sender is told once that it is late; 0: never."
    )


class Server(Section):
    """The gateway as a whole."""

    hostname: str | None = Field(None, description="Its name in banner, EHLO and Received; default: the machine's.")
    workers: int | None = Field(None, ge=1, le=64, description="Processes that take and send mail; default: the CPUs.")
    max_received: int = Field(100, ge=10, le=1000, description="Received lines that make a loop (RFC 5321 6.3).")
    drain: Seconds = Field(30, description="Seconds that a stop waits for what is in hand.")
    certificate_look_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        15,
        description="Seconds between two looks at the files of certificates, keys and `trusted_ca`. What has changed "
        "is used from then on; half of a pair is told of at the second look.",
    )


class S3(Section):
    """The bucket of `[storage] blobs`, where AWS' own ways (environment, container, machine) do not say it."""

    endpoint: str | None = Field(None, description="URL of the service; default: Amazon's for the region.")
    region: str | None = Field(None, description="Default: AWS_REGION, then us-east-1.")
    access_key_file: str | None = Field(None, description="File with the access key id; default: AWS' own ways.")
    secret_key_file: str | None = Field(None, description="File with the secret access key.")
    allow_http: bool = Field(False, description="Also speak HTTP without TLS to the endpoint.")


class Storage(Section):
    """Where mail lies."""

    # Its repr is left out: the address of a database may hold a password.
    url: str = Field(
        "sqlite:data",
        repr=False,
        description="`sqlite:FOLDER`, or `postgresql://USER@HOST/DATABASE` (libpq), which several gateways share.",
    )
    password_file: str | None = Field(
        None,
        description="File with PostgreSQL's password; default: libpq's ways (PGPASSWORD, passfile, service).",
    )
    folder: str = Field("data", description="With PostgreSQL: folder of this machine's control socket and lock.")
    blobs: str | None = Field(
        None,
        description="Where messages over 128 KiB lie: a folder, or `s3://BUCKET/PREFIX`. Default: beside the spools; "
        "with PostgreSQL: in the database.",
    )
    s3: S3 = Field(default_factory=S3)
    min_free: int = Field(
        64 * 1024 * 1024, ge=0, description="Octets of disk left free; below it mail is answered 452."
    )
    trace_days: Annotated[float, Field(gt=0, le=3650)] = Field(
        30, description="Days after which a message's trace is erased."
    )


class Vault(Section):
    """A place that holds root keys."""

    name: str = Field("main", min_length=1, max_length=64, description="Its name.")
    provider: Literal["file", "pkcs11"] = Field(
        "file", description="`file`: a sealed file of the gateway's own; `pkcs11`: a token (an HSM, SoftHSM2)."
    )
    path: str = Field("vault", description="For `file`: folder with the keys; another disk in earnest.")
    secret_file: str | None = Field(
        None,
        description="File of mode 0600 with the secret that opens the vault; in earnest elsewhere than the vault. "
        "Default: `service-secret` beside gateway.toml, where `gateway init` puts it, or beside or in the vault's "
        "folder, unless one of the next three is given.",
    )
    secret_credential: str | None = Field(
        None,
        **CREDENTIAL,
        description="Name of the systemd credential (LoadCredential=, LoadCredentialEncrypted=) with that secret.",
    )
    secret_environment: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        json_schema_extra={"right": "the variable's name alone: letters, digits and `_`, no digit first"},
        description="Variable of the environment with that secret.",
    )
    passphrase_file: str | None = Field(
        None,
        description="File of mode 0600 with a passphrase that opens the vault. Where nothing of the four is there and "
        "the vault has a passphrase, `gateway serve` asks for it on its terminal.",
    )
    module: str | None = Field(
        None, description="For `pkcs11`: the library that came with the token, as `/usr/lib/softhsm/libsofthsm2.so`."
    )
    token: str | None = Field(None, min_length=1, max_length=32, description="For `pkcs11`: the token's label.")
    pin_file: str | None = Field(
        None, description="For `pkcs11`: file of mode 0600 with the PIN of the token's user in its first line."
    )
    pin_credential: str | None = Field(
        None,
        **CREDENTIAL,
        description="Name of the systemd credential (LoadCredential=, LoadCredentialEncrypted=) with that PIN.",
    )


class Authenticate(Section):
    """Who mail from elsewhere really comes from. Mail of our own servers and of people who logged in is not judged."""

    dkim: bool = Field(True, description="DKIM signatures are judged; the mail goes on whatever comes of it.")
    authserv_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9._-]+$",
        json_schema_extra={"right": "a name of letters, digits, `.`, `_` and `-`, such as `mail.corp.example`"},
        max_length=253,
        description="Our name in Authentication-Results fields; those that come with it from elsewhere are removed. "
        "Default: [server] hostname.",
    )


class Dkim(Section):
    """Signing what leaves in the name of our domains; `gateway dkim key create DOMAIN` makes the keys."""

    sign: bool = Field(
        True,
        description="Mail of our own servers, of people who logged in and of the gateway itself is signed, where the "
        "domain of its author, or one above, has a key.",
    )
    required: bool = Field(
        True,
        description="What becomes of such mail while the key's vault does not answer: 451, so that it waits with the "
        "client, or, with `false`, relayed without a signature. A key that its owner has disabled holds nothing up.",
    )
    vault: str | None = Field(
        None, description="Vault in which `gateway dkim key create` makes keys; default: the first one."
    )


class Keys(Section):
    """What the processes do with the keys that vaults give out to them."""

    cache_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        60,
        description="Seconds that unwrapped keys stay in use while their vault does not answer; then mail is answered "
        "451 and waits. A vault that says no is heeded at once. Takes a restart.",
    )
    look_seconds: Annotated[float, Field(ge=1, le=300)] = Field(
        30,
        description="Seconds between two looks at the vaults, of each process: so long it may take until one that went "
        "away or came back by itself is noticed. What `gateway key` changes is known at once. Takes a restart.",
    )
    log_days: Annotated[float, Field(ge=1, le=36500)] = Field(
        400,
        description="Days after which lines of the key-access log are removed, whole batches at a time and with a "
        "signed statement that says so. Takes a restart.",
    )


class Security(Section):
    """Which cryptography is used."""

    fips: bool = Field(
        False,
        description="Only what FIPS 140 allows: passwords by PBKDF2 instead of Argon2id, TLS as NIST SP 800-52r2 has "
        "it (no ChaCha20, no X25519), tests with known answers at the start of each process. Takes a restart.",
    )


class Dns(Section):
    """Name resolution."""

    resolvers: list[str] = Field(default=[], description="ADDRESS:PORT of each resolver; default: the system's.")
    timeout: Seconds = Field(10, description="Seconds for one question, all resolvers and tries together.")


class Metrics(Section):
    """Prometheus."""

    listen: str = Field(description="HOST:PORT of /metrics, /health and /live.")


class Log(Section):
    """Log lines, JSON."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level written.")
    file: str | None = Field(
        None, description="Default: standard error. A file that was rotated is opened anew by itself."
    )
    journal: bool | None = Field(
        None,
        description="On standard error: priorities in front of the lines, as sd-daemon(3) has them. "
        "Default: where systemd's journal reads them.",
    )


class Connectors(Section):
    """Who hands mail in, and where it goes."""

    inbound: list[Inbound] = Field(default=[], description="Who may hand us mail.")
    outbound: list[Outbound] = Field(default=[], description="Where mail goes.")


class Settings(Section):
    """gateway.toml as a whole."""

    accepted_domains: list[str | AcceptedDomain] = Field(default=[], description="Domains of ours.")
    recipient_sources: list[NamedRecipientSource] = Field(
        default=[], description="Who says whether a recipient exists, for several domains or connectors."
    )
    contact: str | None = Field(None, description="Shown at the end of 5xx replies and in DSNs.")
    server: Server = Field(default_factory=Server)
    listeners: list[Listener] = Field(min_length=1, description="Doors for clients.")
    connectors: Connectors = Field(default_factory=Connectors)
    retry: Retry = Field(default_factory=Retry)
    storage: Storage = Field(default_factory=Storage)
    vaults: list[Vault] = Field(default_factory=lambda: [Vault(name="main", provider="file", path="vault")])
    keys: Keys = Field(default_factory=Keys)
    security: Security = Field(default_factory=Security)
    authenticate: Authenticate = Field(default_factory=Authenticate)
    dkim: Dkim = Field(default_factory=Dkim)
    smime: Smime = Field(default_factory=Smime)
    branding: Branding = Field(default_factory=Branding)
    portal: Portal | None = Field(None)
    imap: Imap | None = Field(None)
    rights: Rights = Field(default_factory=Rights)
    mailboxes: Mailboxes = Field(default_factory=Mailboxes)
    rules: Rules = Field(default_factory=Rules)
    dns: Dns = Field(default_factory=Dns)
    metrics: Metrics | None = Field(None)
    log: Log = Field(default_factory=Log)
