"""What judging a DKIM signature costs: one RSA-signed message of 4 KiB, from our own server and from a partner.

Both are the same octets through the same gateway in the same run; only what comes from the partner is judged, with the
key at hand after the first question to a scripted DNS server.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from tests.bench import gateways, relay
from tests.bench.counter import Counter
from tests.fakes.dkim import record, sign
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.names import Names

GATEWAY = gateways.settings(
    "corp.example",
    ours='sender_domains = ["corp.example"]\n',
    more="""
[dns]
resolvers = ["$DNS"]

[[connectors.inbound]]
name = "partner"
type = "partner"
sender_domains = ["partner.example"]
require_tls = false
""",
)
KEY = "sel._domainkey.partner.example"
LINE = b"Seventy octets of a text that says nothing and is as long as others.\r\n"


def message() -> bytes:
    """About 4 KiB, signed by partner.example, with the fields that mail programs write."""
    head = (
        b"Received: from mail.partner.example ([192.0.2.1])\r\n\tby mx.partner.example with ESMTPS id 4XYZ\r\n"
        b"\tfor <otto@corp.example>; Tue, 03 Nov 2026 09:12:00 +0100\r\n"
        b"From: Ida Berg <ida@partner.example>\r\nTo: Otto Falk <otto@corp.example>\r\nSubject: figures\r\n"
        b"Date: Tue, 03 Nov 2026 09:12:00 +0100\r\nMessage-ID: <c0ffee@partner.example>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\nUser-Agent: Mail 1.0\r\n\r\n"
    )
    names = "from:to:subject:date:message-id:mime-version:content-type:from:to:subject"
    return sign(head + LINE * ((4096 - len(head)) // len(LINE)), d="partner.example", h=names)


def beside_plain(counter: Counter, rounds: int) -> float:
    """Measure both in turn; print the medians; the median of the ratios."""
    from tests.scenarios.peers.ports import free_port

    text = record().decode()
    strings = " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))
    work = relay.WORKS["4k"]
    with (
        Names(f"{KEY}. 86400 IN TXT {strings}") as names,
        tempfile.TemporaryDirectory(prefix="gateway-bench-") as place,
    ):
        file = Path(place) / "message"
        file.write_bytes(message().replace(b"\r\n", b"\n"))  # smtp-source ends the lines itself.
        gateway = Gateway(
            Path(place) / "gateway", GATEWAY, SINK=counter.port, METRICS=free_port(), DNS=names.address
        ).init()
        try:
            gateway.start()
            pairs = []
            for turn in range(rounds):
                seen = {}
                for domain in ("partner.example", "corp.example")[:: 1 if turn % 2 else -1]:
                    seen[domain] = relay.rate(
                        gateway.port, work, counter, sender=f"ida@{domain}", recipient="otto@corp.example", file=file
                    )
                pairs.append((seen["partner.example"], seen["corp.example"]))
            passes = _passes(gateway)
        finally:
            gateway.stop()
    if passes != rounds * work.messages:
        raise SystemExit(f"verify: {passes} signatures passed of {rounds * work.messages}; the figure means nothing")
    judged, plain = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"verify    judged {judged:9.1f}/s   plain {plain:9.1f}/s   ratio {ratio:5.2f} (RSA-2048)", flush=True)
    return ratio


def _passes(gateway: Gateway) -> int:
    """How many signatures the gateway says have held."""
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.values['METRICS']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith('gateway_dkim_results_total{result="pass"}')]
    return int(float(found[0].split()[-1])) if found else 0
