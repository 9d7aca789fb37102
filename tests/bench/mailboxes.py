"""What mailboxes take, beside Dovecot with mail_crypt: from the listener to what IMAP shows, and on to a client.

Both get the same messages in the same run, in turn: the gateway over its listener into mailboxes under a policy with
two roots; Postfix over Dovecot's LMTP into Maildirs that mail_crypt encrypts. Both speak IMAP under TLS, with the same
certificate, to the same client. Beside that: the share of AES in what the gateway's processes took.
"""

from __future__ import annotations

import os
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.bench.fetching import Client, fetched
from tests.bench.relay import PATIENCE, Work
from tests.scenarios.peers.dovecot_imap import PASSWORD as THEIR_PASSWORD
from tests.scenarios.peers.dovecot_imap import DovecotServer
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.ports import answers, free_port, until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.raw import Raw

DOMAIN = "corp.example"
OURS = "kakapo-perambulate-7788"  # Everybody's password.
WORK = Work(1000, 20, 20 << 10)
SINGLE = 40  # Messages of which each is waited for.
TURNS = 3  # Fetches in one round, of which the best counts.
_HEAD = 1000  # Octets of a message's head, about.
_MAP = 72  # Of the map of one chunk: size, the head's key, the chunk's.
_LMTP = """\
virtual_transport = lmtp:inet:127.0.0.1:{port}
lmtp_destination_concurrency_limit = 50
"""


@dataclass(frozen=True)
class Side:
    """One of the two: where mail goes in, where it is read, and by whom."""

    name: str
    smtp: int
    imap: int
    password: str
    context: ssl.SSLContext

    def client(self, user: str) -> Client:
        return Client(self.imap, self.context, user, self.password)


@contextmanager
def gateway() -> Iterator[Gateway]:
    """One as `init --imap` makes it; its value IMAP is the port of that."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        port = free_port()
        one = Gateway(folder / "gateway", None, IMAP=port).init("--imap", f"127.0.0.1:{port}")
        try:
            one.start()
            until(lambda: answers(port), "the gateway to listen for IMAP")
            yield one
        finally:
            one.stop()


def beside_dovecot(rounds: int, postfix_settings: str, work: Work = WORK) -> dict[str, float]:
    """Measure both in turn; print the medians, and give the ratios and the shares of AES."""
    with gateway() as one:
        certificate = (one.folder / "certs" / "server.pem", one.folder / "certs" / "server.key")
        with DovecotServer(lmtp=True, crypt=True, certificate=certificate) as dovecot:
            extra = postfix_settings + _LMTP.format(port=dovecot.lmtp_port)
            with Postfix(hostname="bench.test", domains=DOMAIN, extra=extra) as postfix:
                ours = our_side(one)
                theirs = Side("dovecot", postfix.port, dovecot.secure_port, THEIR_PASSWORD, ours.context)
                for number in range(rounds):
                    create(one, f"round{number}@{DOMAIN}")
                create(one, f"single@{DOMAIN}")
                return _measured(one, (ours, theirs), rounds, work)


def our_side(one: Gateway) -> Side:
    """The gateway as one of them."""
    context = ssl.create_default_context(cafile=str(one.folder / "certs" / "ca.pem"))
    return Side("gateway", one.port, int(str(one.values["IMAP"])), OURS, context)


def create(one: Gateway, address: str) -> None:
    """Make that mailbox."""
    done = one.run("mailbox", "create", address, "--password-stdin", stdin=OURS + "\n")
    if done.returncode:
        raise SystemExit(f"mailbox: {address} could not be made: {done.stderr}")


def _measured(one: Gateway, sides: tuple[Side, Side], rounds: int, work: Work) -> dict[str, float]:
    delivered: dict[str, list[float]] = {side.name: [] for side in sides}
    read: dict[str, list[float]] = {side.name: [] for side in sides}
    spent: dict[str, list[float]] = {"deliver": [], "fetch": []}  # Seconds of CPU of the gateway's processes a message.
    shares: dict[str, list[float]] = {"deliver": [], "fetch": []}  # What of it AES is.
    for turn in range(rounds):
        for side in sides[:: -1 if turn % 2 else 1]:
            user = f"round{turn}@{DOMAIN}"
            pids = one.pids() if side.name == "gateway" else []
            took, delivering = _deliver(side, user, work, pids)
            delivered[side.name].append(work.messages / took)
            took, fetching = _fetch(side, user, work, pids)
            read[side.name].append(work.messages / took)
            if side.name == "gateway":  # At once: an hour later the machine may be twice as fast.
                for what, used, cipher in zip(spent, (delivering, fetching), aes(work.octets), strict=True):
                    spent[what].append(used / work.messages)
                    shares[what].append(cipher * work.messages / used)
    waits = {side.name: _single(side) for side in sides}
    figures = {
        "mailbox": _told("deliver", delivered, "from the listener to IMAP"),
        "mailbox-fetch": _told("fetch", read, f"{work.messages} messages of {work.octets >> 10} KiB"),
    }
    ours, theirs = (waits[side.name] * 1000 for side in sides)
    print(f"mailbox   one alone: shown {ours:.1f} ms after its 250; postfix and dovecot {theirs:.1f} ms", flush=True)
    sealed, opened = (statistics.median(one) for one in shares.values())
    figures |= {"mailbox-aes": sealed, "mailbox-fetch-aes": opened}
    deliver, fetch = (statistics.median(one) * 1e6 for one in spent.values())
    print(
        f"mailbox   AES takes {sealed:.1%} of the CPU of delivery ({deliver:.0f} us a message), {opened:.1%} "
        f"({min(shares['fetch']):.1%} to {max(shares['fetch']):.1%}) of that of a fetch ({fetch:.0f} us)",
        flush=True,
    )
    return figures


def _told(what: str, rates: dict[str, list[float]], words: str) -> float:
    """Print the medians; the median of the ratios."""
    mine, other = (statistics.median(one) for one in rates.values())
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(
        f"mailbox   {what}: gateway {mine:.1f}/s   dovecot {other:.1f}/s   ratio {statistics.median(ratios):.2f}   "
        f"({min(ratios):.2f} to {max(ratios):.2f}) {words}",
        flush=True,
    )
    return float(statistics.median(ratios))


def _deliver(side: Side, user: str, work: Work, pids: list[int]) -> tuple[float, float]:
    """Seconds from the first connection until all are to be seen in the mailbox; CPU that those processes took."""
    with closing(side.client(user)) as client:
        os.sync()
        before, began = cpu(pids), time.monotonic()
        subprocess.run(
            [
                "smtp-source",
                *("-s", str(work.sessions), "-m", str(work.messages), "-l", str(work.octets)),
                *("-f", "otto@partner.example", "-t", user, f"127.0.0.1:{side.smtp}"),
            ],
            check=True,
        )
        while time.monotonic() - began < PATIENCE:
            if client.count() >= work.messages:
                return time.monotonic() - began, cpu(pids) - before
            time.sleep(0.02)
        raise SystemExit(f"{side.name}: {client.count()} of {work.messages} in the mailbox after {PATIENCE:.0f} s")


def _fetch(side: Side, user: str, work: Work, pids: list[int]) -> tuple[float, float]:
    """Seconds of the fastest fetch of all messages; CPU that those processes took for one."""
    times: list[float] = []
    used = 0.0
    for _ in range(TURNS):
        with closing(side.client(user)) as client:
            client.ask(b"SELECT INBOX")
            before, began = cpu(pids), time.monotonic()
            octets = fetched(client)
            times.append(time.monotonic() - began)
            used += cpu(pids) - before
        if octets < work.messages * work.octets:
            raise SystemExit(f"{side.name}: {octets} octets of {work.messages} messages of {work.octets}")
    return min(times), used / TURNS


def _single(side: Side) -> float:
    """Seconds from a 250 until the message is to be seen, the median of some."""
    waits = []
    with closing(side.client(f"single@{DOMAIN}")) as client, Raw(side.smtp, seconds=60) as sender:
        sender.hello()
        for number in range(SINGLE):
            for command in ("MAIL FROM:<otto@partner.example>", f"RCPT TO:<single@{DOMAIN}>", "DATA"):
                sender.ask(command)
            sender.send(b"Subject: one\r\n\r\n" + b"x" * 70 + b"\r\n")
            said = sender.ask(".")
            began = time.monotonic()
            if not said.startswith("250"):
                raise SystemExit(f"{side.name}: {said}")
            while client.count() <= number:
                if time.monotonic() - began > PATIENCE:
                    raise SystemExit(f"{side.name}: the message was not to be seen after {PATIENCE:.0f} s")
                time.sleep(0.0005)
            waits.append(time.monotonic() - began)
    return statistics.median(waits)


def aes(octets: int) -> tuple[float, float]:
    """Seconds of CPU that sealing and opening a message of that size take, as `gateway.mailboxes.contents` does it: its
    one chunk and its head, each under a key of its own, and its map under the mailbox's.
    """
    nonce, place, maps = bytes(12), bytes(40), AESGCM(bytes(32))
    chunk, head, map_ = b"x" * octets, b"x" * _HEAD, b"x" * _MAP
    sealed_chunk, sealed_map = AESGCM(bytes(32)).encrypt(nonce, chunk, place), maps.encrypt(nonce, map_, place)
    turns = 2000
    began = time.process_time()
    for _ in range(turns):
        AESGCM(bytes(32)).encrypt(nonce, chunk, place)
        AESGCM(bytes(32)).encrypt(nonce, head, place)
        maps.encrypt(nonce, map_, place)
    between = time.process_time()
    for _ in range(turns):  # A fetch of whole messages opens no head.
        AESGCM(bytes(32)).decrypt(nonce, sealed_chunk, place)
        maps.decrypt(nonce, sealed_map, place)
    return (between - began) / turns, (time.process_time() - between) / turns


def cpu(pids: list[int]) -> float:
    """Seconds of CPU that these processes took so far."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
