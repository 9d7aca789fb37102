"""Settings as a test writes them."""

from __future__ import annotations

from pathlib import Path

from gateway.settings.load import Loaded, loaded

PLAIN = """
accepted_domains = ["corp.example"]
contact = "help@corp.example"
[server]
hostname = "mx.corp.example"
max_received = 10
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
[[connectors.inbound]]
name = "local"
type = "on_premises"
sender_ip_addresses = ["192.0.2.0/24"]
[[connectors.outbound]]
name = "partner"
recipient_domains = ["partner.example"]
use_mx = true
[[connectors.outbound]]
name = "ours"
recipient_domains = ["corp.example"]
smart_hosts = ["127.0.0.1:2500"]
"""


def settings_in(folder: Path, text: str = PLAIN) -> Loaded:
    """These settings, in a gateway.toml in `folder`."""
    path = folder / "gateway.toml"
    path.write_text(text)
    return loaded(path)
