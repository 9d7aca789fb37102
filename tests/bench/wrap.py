"""What wrapping costs: the same message of 4 KiB plain, and sealed for one reader with a link of his own.

Both go through the same gateway in the same run, in turn. Beside them, without a relay: what sealing and opening a
message of 10 MiB takes on one core, and how much memory at its peak.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.rights.job import Job
from gateway.rights.opening import open_rpmsg
from gateway.rights.pem_tenant import PemTenant
from gateway.rights.sealing import Forms, seal
from gateway.rights.template import ENCRYPT_ONLY
from gateway.world.chance import SystemChance
from tests.bench import gateways, relay
from tests.bench.counter import Counter
from tests.fakes import mail_keys
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.ports import free_port

PORTAL = """
[portal]
listen = "127.0.0.1:$PORTAL"
url = "https://127.0.0.1:$PORTAL"
certificate = "certs/server.pem"
key = "certs/server.key"
"""
RULES = """\
- name: Wrapped
  when: {recipient_domain_is: [wrapped.example]}
  then: {apply_ome: true}
"""
PLAIN, WRAPPED = "plain.example", "wrapped.example"
LARGE = 10 << 20
TURNS = 5


def beside_plain(counter: Counter, rounds: int) -> dict[str, float]:
    """Measure both in turn; print the medians, and give the ratio."""
    work = relay.WORKS["4k"]
    found: dict[str, list[float]] = {PLAIN: [], WRAPPED: []}
    with gateway(counter.port) as one:
        _check(one, counter)
        for turn in range(rounds):
            for name in list(found)[:: -1 if turn % 2 else 1]:
                found[name].append(relay.rate(one.port, work, counter, recipient=f"otto@{name}"))
    plain, wrapped = (statistics.median(rates) for rates in found.values())
    ratio = statistics.median(a / b for a, b in zip(found[WRAPPED], found[PLAIN], strict=True))
    print(f"wrap      plain {plain:.1f}/s   wrapped {wrapped:.1f}/s ({ratio:.2f})", flush=True)
    return {"wrap": ratio} | alone()


def alone() -> dict[str, float]:
    """MB/s of a message of 10 MiB on one core, and memory at the peak, the message with it, by its size."""
    key = mail_keys.private_key("rsa").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    tenant, chance, forms = PemTenant([key]), SystemChance(), Forms()
    line = b"Seventy octets of a text that says nothing and is as long as others.\r\n"
    message = line * (LARGE // len(line))
    now = time.time()
    job = Job(
        owner="ida@corp.example",
        readers=("otto@wrapped.example",),
        template=ENCRYPT_ONLY,
        issued=now,
        expires=None,
        url="https://portal.corp.example",
        body=("text", "<p>text</p>"),
    )
    sealed = seal(message, job, tenant, chance, forms).rpmsg
    works: dict[str, Callable[[], object]] = {
        "sealed": lambda: seal(message, job, tenant, chance, forms),
        "opened": lambda: open_rpmsg(
            sealed, tenant, principal="otto@wrapped.example", now=now, is_revoked=lambda work, address: False
        ),
    }
    told: list[str] = []
    figures: dict[str, float] = {}
    for name, work in works.items():
        began = time.process_time()
        for _ in range(TURNS):
            work()
        speed = len(message) * TURNS / 1e6 / (time.process_time() - began)
        tracemalloc.start()
        work()
        peak = 1 + tracemalloc.get_traced_memory()[1] / len(message)
        tracemalloc.stop()
        told.append(f"{name} {speed:.0f} MB/s ({peak:.1f} times its size)")
        figures |= {f"wrap-{name}": speed}
    print(f"wrap      10 MiB on one core: {', '.join(told)}", flush=True)
    return figures


@contextmanager
def gateway(sink: int) -> Iterator[Gateway]:
    """One with a portal and a rule that wraps what goes to WRAPPED; `sink` is the port to which all goes."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        settings = gateways.settings("corp.example", more=PORTAL)
        one = Gateway(folder / "gateway", settings, SINK=sink, METRICS=free_port(), PORTAL=free_port()).init()
        for sample in (one.folder / "rules").glob("*.yaml"):
            sample.unlink()
        (one.folder / "rules" / "wrap.yaml").write_text(RULES)
        try:
            yield one.start()
        finally:
            one.stop()


def _check(gateway: Gateway, counter: Counter) -> None:
    """One message, to see that it is wrapped."""
    relay.rate(gateway.port, relay.Work(1, 1, 4 << 10), counter, recipient=f"otto@{WRAPPED}")
    done = [one for story in gateway.ask("trace") for one in story["events"] if one["event"] == "protected"]
    if len(done) != 1:
        raise SystemExit(f"wrap: {done} were wrapped; the figures mean nothing")
