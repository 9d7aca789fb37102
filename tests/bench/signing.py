"""What signing with DKIM costs: the same message of 4 KiB from domains without a key, with Ed25519, and with RSA-2048.

All go through the same gateway in the same run, in turn with Postfix whose OpenDKIM (a milter) signs with RSA-2048.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import gateways, relay
from tests.bench.counter import Counter
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.opendkim import OpenDkim
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.postfix import Postfix

PLAIN, ED25519, RSA, POSTFIX = "plain.example", "ed25519.example", "rsa.example", "postfix"
GATEWAY = gateways.settings(PLAIN, ED25519, RSA)
CHECK = "check.example"  # Ends at Postfix, to see there that it was signed.


def beside_opendkim(counter: Counter, rounds: int, settings: str) -> dict[str, float]:
    """Measure all four in turn; print the medians, and give the ratios. `settings` are those of a fast Postfix."""
    work = relay.WORKS["4k"]
    found: dict[str, list[float]] = {PLAIN: [], ED25519: [], RSA: [], POSTFIX: []}
    with _gateway(counter) as gateway, _postfix(counter, settings) as postfix:
        for turn in range(rounds):
            for name in list(found)[:: -1 if turn % 2 else 1]:
                port = postfix.port if name == POSTFIX else gateway.port
                sender = f"ida@{RSA if name == POSTFIX else name}"
                found[name].append(relay.rate(port, work, counter, sender=sender))
        made = _signatures(gateway)
    for algorithm in ("ed25519-sha256", "rsa-sha256"):
        if made.get(algorithm, 0) != rounds * work.messages:
            raise SystemExit(f"dkim: {made} signatures of {rounds * work.messages} each; the figures mean nothing")
    plain, ed25519, rsa, postfix_ = (statistics.median(rates) for rates in found.values())
    ratios = {
        "dkim": statistics.median(a / b for a, b in zip(found[ED25519], found[PLAIN], strict=True)),
        "dkim-rsa": statistics.median(a / b for a, b in zip(found[RSA], found[PLAIN], strict=True)),
        "dkim-postfix": statistics.median(a / b for a, b in zip(found[RSA], found[POSTFIX], strict=True)),
    }
    print(
        f"dkim      plain {plain:.1f}/s   Ed25519 {ed25519:.1f}/s ({ratios['dkim']:.2f})   "
        f"RSA-2048 {rsa:.1f}/s ({ratios['dkim-rsa']:.2f})   "
        f"postfix with opendkim {postfix_:.1f}/s (RSA ratio {ratios['dkim-postfix']:.2f})",
        flush=True,
    )
    return ratios


@contextmanager
def _gateway(counter: Counter) -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as place:
        Path(place).chmod(0o711)
        gateway = Gateway(Path(place) / "gateway", GATEWAY, SINK=counter.port, METRICS=free_port()).init()
        for domain, kind in ((ED25519, "ed25519"), (RSA, "rsa-2048")):
            done = gateway.run("dkim", "key", "create", domain, "--type", kind)
            if done.returncode:
                raise SystemExit(done.stderr)
        try:
            yield gateway.start()
        finally:
            gateway.stop()


@contextmanager
def _postfix(counter: Counter, settings: str) -> Iterator[Postfix]:
    signer = OpenDkim(free_port(), signs_for=RSA).start()
    try:
        extra = settings + signer.postfix
        with Postfix(hostname="bench.test", domains=CHECK, relay_to=counter.port, extra=extra) as postfix:
            address = f"127.0.0.1:{postfix.port}"
            subprocess.run(["smtp-source", "-f", f"ida@{RSA}", "-t", f"otto@{CHECK}", address], check=True)
            if b"DKIM-Signature:" not in postfix.wait(1)[0]:
                raise SystemExit("dkim: OpenDKIM does not sign; the figures mean nothing")
            yield postfix
    finally:
        signer.stop()


def _signatures(gateway: Gateway) -> dict[str, int]:
    """How many the gateway says that it has made, by algorithm."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.values['METRICS']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    start = 'gateway_dkim_signatures_total{algorithm="'
    return {
        line.removeprefix(start).split('"')[0]: int(float(line.split()[-1])) for line in lines if line.startswith(start)
    }
