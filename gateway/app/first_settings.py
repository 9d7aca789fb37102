"""The gateway.toml that `gateway init` writes: the first that a newcomer sees, so it explains itself."""

from __future__ import annotations

from collections.abc import Sequence

_HEAD = """\
# Settings of the gateway. `gateway check` tells every fault in this file, `gateway reload` takes a changed file.
# Relative paths count from the folder of this file. Every key stands in docs/settings.md.

# The domains of yours: mail to them is taken from partners too.
accepted_domains = [{domains}]

# Shown at the end of every refusal, so that senders know whom to ask.
contact = "postmaster@{first}"

# Where clients connect. A listener is open to nobody by itself; the inbound connectors below say who may come.
"""

_LISTENER = """\
[[listeners]]
listen = "{listen}"
tls = "starttls"                    # TLS is offered; "implicit": TLS at once; "none"
certificate = "certs/server.pem"    # a development certificate, for this machine alone: see certs/ca.pem
key = "certs/server.key"
"""

_INBOUND = """
# Who may hand us mail. "on_premises": your own servers, which may send to anybody.
[[connectors.inbound]]
name = "local"
type = "on_premises"
sender_ip_addresses = ["127.0.0.0/8", "::1"]
require_tls = false                 # this machine's own programs may come without TLS

# A partner reaches accepted_domains alone, and must come with TLS:
# [[connectors.inbound]]
# name = "partner-in"
# type = "partner"
# sender_domains = ["partner.example", "*.partner.example"]
# sender_ip_addresses = ["192.0.2.0/24"]
# restrict_domains_to_ip_addresses = true
"""

_FOLDER = """
# Where mail goes; the connector whose domain fits best is taken.
# This one is for trying things out: each delivery becomes a file in outbox/.
[[connectors.outbound]]
name = "outbox"
recipient_domains = ["*"]
deliver = "folder"
folder = "outbox"
"""

_MAILBOXES = """
# Mail to your domains ends here, in mailboxes: `gateway mailbox create ADDRESS` makes one.
[[connectors.outbound]]
name = "mailboxes"
recipient_domains = [{domains}]
deliver = "mailbox"
"""

_IMAP = """
# Where people read their mailboxes, with the mail program that they have and the password of `gateway user`.
[imap]
listen = "{imap}"                   # TLS at once; 993 in earnest
certificate = "certs/server.pem"    # a development certificate: mail programs believe it once certs/ca.pem is trusted
key = "certs/server.key"

# Mailboxes lie encrypted under a policy, whose key lies wrapped under two roots in two vaults, any of which opens it.
# `gateway policy show default` tells of it; who holds the roots decides whether the mail can be read. It was made in
# the database of [storage] below; one that you put in its place, such as PostgreSQL, has none until you say once:
# gateway policy create default --root root-a/mail --root root-b/mail --custodian certs/custodian.pub.pem --default
[mailboxes]
default_policy = "default"
availability_key = "main/availability"    # the service's own: counts only while neither root's vault answers at all
# blobs = "s3://BUCKET/PREFIX"            # or azure://CONTAINER/PREFIX, or a folder; default: data/mailboxes
"""

_ROOTS = """
# The two vaults with the roots of the policy. To begin with they lie beside the other one; in earnest they are their
# owner's: tokens (provider = "pkcs11"), or files on two disks that are not the gateway's administrator's.
[[vaults]]
name = "root-a"
provider = "file"
path = "root-a"
secret_file = "root-a-secret"

[[vaults]]
name = "root-b"
provider = "file"
path = "root-b"
secret_file = "root-b-secret"
"""

_SMART_HOST = """
# Where mail goes; the connector whose domain fits best is taken.
[[connectors.outbound]]
name = "next-hop"
recipient_domains = ["*"]
smart_hosts = ["{next_hop}"]
"""

_PORTAL = """
# Where recipients outside read protected mail, in a browser, with a one-time code that is mailed to them. The links in
# protected mail begin with `url`; in earnest that is a name that the world knows, with a certificate for it.
[portal]
listen = "{listen}"
url = "{url}"
certificate = "certs/server.pem"    # a development certificate: browsers believe it once certs/ca.pem is trusted
key = "certs/server.key"
# address = "portal@{first}"        # what codes and readers' answers come from

# How protected mail and the portal look; docs/settings.md has logo, colour and texts.
[branding]
name = "{first}"
"""

_TAIL = """
# A partner to whom nothing goes without TLS and the right name in the certificate:
# [[connectors.outbound]]
# name = "partner-out"
# recipient_domains = ["partner.example", "*.partner.example"]
# use_mx = true                     # or smart_hosts = ["mx.partner.example:25"]
# tls_settings = "domain_validation"
# tls_domain = "*.partner.example"

# Mail waiting to go out, and the trace. Everything in it is sealed with keys that the vault holds.
[storage]
url = "sqlite:data"                 # or one that several gateways share: "postgresql://gateway@HOST/gateway"

# The root keys. In earnest they lie on another disk than the data, and in a backup of their own:
# without them nothing that is stored can be read again.
[[vaults]]
name = "main"
provider = "file"
path = "vault"
# What opens the vault when the gateway starts. This file lies beside it to begin with; in earnest it is a credential
# of systemd (secret_credential = "gateway-vault"), so that a copy of the disk alone opens nothing.
secret_file = "service-secret"
"""

_END = """
# Transport rules: what becomes of a message by what it is. Their files lie here; see rules/README.md.
[rules]
folder = "rules"

# Figures for Prometheus, and a health address. Opens a port, so it is off until you ask for it.
# [metrics]
# listen = "127.0.0.1:9125"
"""


def first_settings(
    domains: Sequence[str],
    listen: Sequence[str],
    next_hop: str | None,
    *,
    portal: str | None = None,
    url: str | None = None,
    imap: str | None = None,
) -> str:
    """The file's text. All values are names and places that were validated, so none needs escaping in TOML."""
    listeners = "\n".join(_LISTENER.format(listen=place) for place in listen)
    outbound = _FOLDER if next_hop is None else _SMART_HOST.format(next_hop=next_hop)
    listed = ", ".join(f'"{domain}"' for domain in domains)
    head = _HEAD.format(domains=listed, first=domains[0])
    if imap is not None:
        outbound += _MAILBOXES.format(domains=listed)
    web = "" if portal is None else _PORTAL.format(listen=portal, url=url, first=domains[0])
    mailboxes = "" if imap is None else _IMAP.format(imap=imap)
    roots = "" if imap is None else _ROOTS
    return head + listeners + _INBOUND + outbound + web + mailboxes + _TAIL + roots + _END
