"""Settings of a gateway that takes mail from this machine and relays it into the sink: what most figures add to."""

from __future__ import annotations

import json

_PLAIN = """\
accepted_domains = {accepted}

[[listeners]]
listen = "127.0.0.1:$PORT"
tls = "none"

[[connectors.inbound]]
name = "ours"
type = "on_premises"
sender_ip_addresses = ["127.0.0.0/8"]
{ours}
[[connectors.outbound]]
name = "sink"
recipient_domains = ["*"]
smart_hosts = ["127.0.0.1:$SINK"]

[metrics]
listen = "127.0.0.1:$METRICS"
"""


def settings(*accepted: str, ours: str = "", more: str = "") -> str:
    """A template for PORT, SINK and METRICS. `ours` are more lines of the inbound connector, `more` whole sections."""
    return _PLAIN.format(accepted=json.dumps(accepted), ours=ours) + more
