"""Forked mail under kill -9: all copies or none, and none of them in clear."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.search import needles, search
from tests.scenarios.peers.smime import People

HERE = Path(__file__).parent
WORD = "Obsidianlark"
IDA, OTTO, LATE, HELD = "ida@corp.example", "otto@partner.example", "late@partner.example", "held@partner.example"
ARCHIVE = "archive@corp.example"
_MARK = re.compile(rb"^Subject: mark(\d+)\r$", re.MULTILINE)


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop, tmp_path_factory: pytest.TempPathFactory) -> Gateway:
    made = make_gateway(HOP=hop.port)
    shutil.rmtree(made.folder / "rules", ignore_errors=True)
    shutil.copytree(HERE / "rules", made.folder / "rules")
    people = People(tmp_path_factory.mktemp("people"))
    together = made.folder.with_name("together.pem")
    together.write_bytes(
        b"".join(people.person(one, curve=True).certificate.read_bytes() for one in (OTTO, HELD, ARCHIVE))
    )
    done = made.run("certificate", "import", str(together))
    assert done.returncode == 0, done.stdout + done.stderr
    return made.start()


def letter(mark: int, size: int = 0) -> bytes:
    text = f"Good morning, {WORD} {mark}.\r\n"
    return (
        f"From: Ida <{IDA}>\r\nTo: {OTTO}\r\nSubject: mark{mark}\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    ).encode() + f"{WORD} says it again and again.\r\n".encode() * (size // 40)


def send(client: Raw, octets: bytes) -> str:
    """The last reply; empty where the server is gone."""
    lines = [f"MAIL FROM:<{IDA}>", *(f"RCPT TO:<{one}>" for one in (OTTO, LATE, HELD)), "DATA"]
    for line in lines:
        if not (said := client.ask(line)).startswith(("2", "3")):
            return said
    client.send(octets)
    return client.ask(".")


class Senders:
    """Two clients, from entering to leaving the block. `taken`: queue ids of what got 250, by mark."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.taken: dict[int, str] = {}
        self.refused: list[str] = []
        self._tried = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]

    def __enter__(self) -> Senders:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join(30)

    def more(self, count: int) -> None:
        goal = len(self.taken) + count
        until(lambda: len(self.taken) >= goal, f"{count} more messages to be taken; {self.refused[-3:]}", 40)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with Raw(self.port, seconds=20) as client:
                    client.hello()
                    while not self._over.is_set() and self._one(client):
                        pass
            except OSError:
                time.sleep(0.05)

    def _one(self, client: Raw) -> bool:
        with self._lock:
            self._tried += 1
            mark = self._tried
        said = send(client, letter(mark, 200_000 if mark % 7 == 0 else 0))
        with self._lock:
            if said.startswith("250"):
                self.taken[mark] = said.split()[-1]
            elif said:
                self.refused.append(said)
        return said.startswith("250")


def copies(hop: Hop) -> dict[int, set[str]]:
    """By mark, who has got a copy at the next hop."""
    found: dict[int, set[str]] = {}
    for one in tuple(hop.taken):
        assert WORD.encode() not in one.octets
        match = _MARK.search(one.octets)
        assert match is not None
        found.setdefault(int(match[1]), set()).update(one.recipients)
    return found


def test_all_copies_are_there_or_none_whatever_is_killed(gateway: Gateway, hop: Hop) -> None:
    with Senders(gateway.port) as senders:
        gateway.all_started()
        senders.more(20)
        for _ in range(2):
            workers = until(lambda: found if len(found := gateway.workers()) == 2 else None, "two workers")
            assert workers is not None
            os.kill(workers[0], signal.SIGKILL)
            senders.more(20)
        gateway.kill()
        gateway.start()
        senders.more(20)
    taken = senders.taken
    until(lambda: all({OTTO, ARCHIVE} <= copies(hop).get(mark, set()) for mark in taken), f"{len(taken)} messages", 60)
    waiting = {row["id"].split(".")[0]: row for row in gateway.queue()}
    held = {row["id"].split(".")[0]: row for row in gateway.json("held", "list")}
    for id_ in taken.values():
        assert [one["address"] for one in waiting[id_]["recipients"]] == [LATE]
        assert held[id_]["recipients"] == [HELD]
        assert held[id_]["protection"] == "encrypt"
    # What was taken, and whose client did not hear it any more, is whole as well.
    assert set(waiting) == set(held)
    assert LATE not in set().union(*copies(hop).values()) and HELD not in set().union(*copies(hop).values())
    assert search(gateway.folder / "data", needles([WORD], {})) == []


def test_large_messages_keep_no_other_client_waiting(gateway: Gateway, hop: Hop) -> None:
    """Judged, forked and encrypted three times over, four at once."""
    said: list[str] = []

    def one(mark: int) -> None:
        with Raw(gateway.port, seconds=120) as client:
            client.hello()
            said.append(send(client, letter(mark, 20_000_000)))

    threads = [threading.Thread(target=one, args=(9_000_000 + number,)) for number in range(4)]
    worst = 0.0
    for thread in threads:
        thread.start()
    clients = [Raw(gateway.port, seconds=60) for _ in range(6)]  # On both workers.
    while any(thread.is_alive() for thread in threads):
        for client in clients:
            began = time.monotonic()
            assert client.ask("NOOP" if client.heard else "EHLO x").startswith("2")
            worst = max(worst, time.monotonic() - began)
        time.sleep(0.01)
    for client in clients:
        client.close()
    print(
        "worst",
        worst,
        said,
        [Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2][:20] for pid in gateway.workers()],
    )
    assert [one[:3] for one in said] == ["250"] * 4
    assert worst < 1.0
