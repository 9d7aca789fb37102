"""A mailbox of 100,000 messages: how long it takes to open, what a session that has it open holds, and what it costs to
give it another policy or its policy another version of a root key.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, closing

from tests.bench import memory
from tests.bench.mailboxes import DOMAIN, Side, create, gateway, our_side
from tests.scenarios.peers.gateway import ROOT, Gateway
from tests.scenarios.peers.ports import until

COUNT = 100_000
SESSIONS = 20  # That have it open at once.
TURNS = 7
IMPORTED = 1000  # Messages that are imported; the others are copies of them, which takes minutes less.
PATIENCE = 600.0  # Seconds for that.
ADDRESS = f"large@{DOMAIN}"


def figures(count: int = COUNT) -> dict[str, float]:
    """Print them; give milliseconds of SELECT, octets for each message and session, seconds of assign and refresh."""
    with gateway() as one:
        create(one, ADDRESS)
        side = our_side(one)
        imported = min(count, IMPORTED)
        took = _import(one, imported)
        _copy(side, imported, count)
        times = [_select(side, count) for _ in range(TURNS)]
        held = _held(one, side, count)
        assigned, refreshed = _assign(one), _refresh(one)
    print(
        f"mailbox   {count} messages (imported at {imported / took:.0f}/s): SELECT in {statistics.median(times):.0f} "
        f"ms ({times[0]:.0f} the first time); {held:.1f} octets a message for each session; assign {assigned:.2f} s, "
        f"refresh {refreshed:.2f} s",
        flush=True,
    )
    return {
        "mailbox-select": statistics.median(times),
        "mailbox-held": held,
        "mailbox-assign": assigned,
        "mailbox-refresh": refreshed,
    }


def _import(one: Gateway, count: int) -> float:
    """Seconds that `mailbox import` takes for an mbox of so many small messages."""
    box = one.folder / "large.mbox"
    with box.open("wb") as stream:
        for number in range(count):
            stream.write(
                b"From otto@partner.example Tue Nov  3 08:12:00 2026\nFrom: Otto <otto@partner.example>\n"
                b"To: Ida <large@corp.example>\nSubject: message %d\nDate: Tue, 3 Nov 2026 08:12:00 +0000\n"
                b"Message-ID: <%d@partner.example>\n\nGood morning.\n\n" % (number, number)
            )
    began = time.monotonic()
    command = [sys.executable, "-m", "gateway", "mailbox", "import", ADDRESS, str(box), "--config", str(one.config)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    box.unlink()
    if done.returncode:
        raise SystemExit(f"mailbox: the import ended with {done.returncode}: {done.stderr[-2000:]}")
    return time.monotonic() - began


def _copy(side: Side, there: int, count: int) -> None:
    """Copy what is there in the mailbox until it has `count` messages."""
    with closing(side.client(ADDRESS)) as client:
        client.ask(b"SELECT INBOX")
        while there < count:
            more = min(there, count - there)
            client.ask(b"COPY 1:%d INBOX" % more)
            there += more


def _select(side: Side, count: int) -> float:
    """Milliseconds of one SELECT by a session of its own."""
    with closing(side.client(ADDRESS)) as client:
        began = time.monotonic()
        said = client.ask(b"SELECT INBOX")
        took = time.monotonic() - began
    if b"* %d EXISTS" % count not in said:
        raise SystemExit(f"mailbox: SELECT said {said[:500]!r}")
    return took * 1000


def _held(one: Gateway, side: Side, count: int) -> float:
    """Octets of memory that each message takes in each session that has the mailbox open."""
    pids = one.pids("imap")
    if not pids:
        raise SystemExit("mailbox: there is no process that serves IMAP")
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(side.client(ADDRESS))) for _ in range(SESSIONS)]
        time.sleep(1.0)
        before = memory.pss(pids)
        for client in clients:
            client.ask(b"SELECT INBOX")
        time.sleep(1.0)
        after = memory.pss(pids)
    return (after - before) * 1024 / SESSIONS / count


def _assign(one: Gateway) -> float:
    """Seconds until the mailbox lies under another policy."""
    for vault in ("root-a", "root-b"):
        _done(one, "key", "create", f"{vault}/second", "--type", "aes-256")
    _done(one, "policy", "create", "second", "--root", "root-a/second", "--root", "root-b/second")
    began = time.monotonic()
    one.ask("mailbox.assign", address=ADDRESS, policy="second", roll=False)
    took = time.monotonic() - began
    until(lambda: one.json("mailbox", "show", ADDRESS)["policy"] == "second", "the other policy")
    return took


def _refresh(one: Gateway) -> float:
    """Seconds until the policy key is wrapped under a new version of a root."""
    _done(one, "key", "rotate", "root-a/second")
    began = time.monotonic()
    one.ask("policy.refresh", name="second")
    return time.monotonic() - began


def _done(one: Gateway, *command: str) -> None:
    done = one.run(*command)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
