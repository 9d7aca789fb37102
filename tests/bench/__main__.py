"""`make bench`: all in one run on one machine, the gateway and Postfix in turn into the same sink. Needs root."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import __doc__ as about
from tests.bench import (
    greeting,
    key_log,
    large_mailbox,
    mailboxes,
    memory,
    portal,
    relay,
    rules,
    signing,
    smime,
    verify,
    wrap,
)
from tests.bench.counter import Counter
from tests.postgres import MISSING, Cluster, programs
from tests.scenarios.peers.dovecot_imap import HAS_LMTP
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.postfix import Postfix

# Postfix as fast as it goes on this work: no limits that slow it down, no DNS, no TLS, nothing looked up.
POSTFIX = """\
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_destination_concurrency_limit = 50
initial_destination_concurrency = 20
default_process_limit = 100
in_flow_delay = 0
"""
# The gateway as it is installed: encrypted spool, every commit on disk, trace, limits, log and metrics.
GATEWAY = """\
accepted_domains = ["corp.example"]

[[listeners]]
listen = "127.0.0.1:$PORT"
tls = "starttls"
certificate = "certs/server.pem"
key = "certs/server.key"

[[connectors.inbound]]
name = "local"
type = "on_premises"
sender_ip_addresses = ["127.0.0.0/8"]
require_tls = false

[[connectors.outbound]]
name = "sink"
recipient_domains = ["*"]
smart_hosts = ["127.0.0.1:$SINK"]

[metrics]
listen = "127.0.0.1:$METRICS"

[storage]
$STORAGE
"""
# PostgreSQL as it comes, each commit on disk; tests' servers leave dead rows lying, a server in earnest does not.
POSTGRESQL = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "autovacuum=on")
STORAGES = ("sqlite", "postgresql")
FIGURES = (
    *relay.WORKS,
    "dkim",
    "verify",
    "rules",
    "smime",
    "wrap",
    "portal",
    "mailbox",
    "largebox",
    "memory",
    "greeting",
    "keylog",
)


def main() -> int:
    """Print the figures; 1 where one is below what --least asks."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(FIGURES))
    about_storage = "where the gateway's queue and trace lie; postgresql: a server of the run's own, with fsync=on"
    parser.add_argument("--storage", choices=STORAGES, default="sqlite", help=about_storage)
    parser.add_argument("--least", action="append", default=[], metavar="WORK=RATIO")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(FIGURES):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    if options.storage == "postgresql" and programs() is None:
        parser.error(MISSING)
    if "mailbox" in wanted and not HAS_LMTP.exists():
        parser.error("mailbox: Dovecot has no LMTP here (Debian package dovecot-lmtpd); --only leaves figures out")
    least = {name: float(value) for name, _, value in (entry.partition("=") for entry in options.least)}
    counter = Counter()
    short = False
    try:
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder, _storage(options.storage) as storage:
            Path(folder).chmod(0o711)
            gateway = Gateway(
                Path(folder) / "gateway", GATEWAY, SINK=counter.port, METRICS=_free(), STORAGE=storage
            ).init()
            try:
                figures = _measure(gateway.start(), counter, wanted, options.rounds)
            finally:
                gateway.stop()
    finally:
        counter.stop()
    for name, value in figures.items():
        if name in least and value < least[name]:
            short = True
            print(f"{name}: {value:.2f} is below {least[name]:.2f}")
    return 1 if short else 0


@contextmanager
def _storage(kind: str) -> Iterator[str]:
    """What [storage] has to say for that kind; while this lasts, the database is there."""
    if kind == "sqlite":
        yield ""
        return
    with Cluster(durable=True, settings=POSTGRESQL) as cluster:
        yield f'url = "{cluster.migrated()}"'


def _free() -> int:
    from tests.scenarios.peers.ports import free_port

    return free_port()


def _measure(gateway: Gateway, counter: Counter, wanted: list[str], rounds: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    pids = gateway.pids()
    if "memory" in wanted:
        time.sleep(3)
        print(f"memory    idle {memory.pss(pids) / 1024:.0f} MiB (PSS of {len(pids)} processes)", flush=True)
        # Before the loads: what they have taken and given back a message would find ready.
        times = memory.one_large(gateway.port, counter, pids)
        print(f"memory    a message of 10 MiB raises it by {times:.2f} times its size at most", flush=True)
    names = [name for name in relay.WORKS if name in wanted]
    if names:
        with Postfix(hostname="bench.test", relay_to=counter.port, extra=POSTFIX) as postfix:
            for name in names:
                figures[name] = relay.beside(gateway.port, postfix.port, name, counter, rounds)
    if "greeting" in wanted:
        median, longest, count = greeting.seconds(gateway.port)
        print(
            f"greeting  answered in {median * 1000:.1f} ms (median of {count}), {longest * 1000:.0f} ms at most,"
            " while four sessions send 20 MB each",
            flush=True,
        )
    if "dkim" in wanted:
        figures |= signing.beside_opendkim(counter, rounds, POSTFIX)
    if "verify" in wanted:
        figures["verify"] = verify.beside_plain(counter, rounds)
    if "rules" in wanted:
        figures |= rules.beside_plain(counter, rounds)
    if "smime" in wanted:
        figures |= smime.beside_plain(counter, rounds, POSTFIX)
    if "wrap" in wanted:
        figures |= wrap.beside_plain(counter, rounds)
    if "portal" in wanted:
        figures |= portal.figures()
    if "mailbox" in wanted:
        figures |= mailboxes.beside_dovecot(rounds, POSTFIX)
    if "largebox" in wanted:
        figures |= large_mailbox.figures()
    if "keylog" in wanted:
        use, message = key_log.of_a_use(), key_log.of_a_message(gateway.port, pids, counter)
        print(
            f"keylog    a use costs {use * 1e6:.1f} us of CPU, a message {message * 1e6:.0f} us: a log line for each"
            f" message takes {use / message:.1%} of the rate",
            flush=True,
        )
    return figures


if __name__ == "__main__":
    sys.exit(main())
