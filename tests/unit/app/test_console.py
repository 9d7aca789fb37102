"""The command line's way to a gateway, where neither a gateway answers nor its files may be used."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from gateway import __version__
from gateway.app.build import own
from gateway.app.console import Console, ConsoleFault
from gateway.app.init import init
from gateway.app.lock import FileLock
from gateway.app.migrate import migrate
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock


def test_a_gateway_whose_control_socket_was_removed_is_told_of(tmp_path: Path) -> None:
    init(tmp_path / "var", hostname="mail", clock=FakeClock(), chance=FakeChance())
    path = tmp_path / "var" / "gateway.toml"
    migrate(path)
    lock = FileLock(tmp_path / "var" / "data" / "lock")
    try:
        with pytest.raises(ConsoleFault, match=r"another process.*control\.sock was removed.*has to be restarted"):
            Console.open(path).ask("queue.list")
    finally:
        lock.release()
    assert Console.open(path).ask("queue.list") == []


def test_a_folder_that_takes_no_file_is_told_without_a_word_of_a_gateway_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(tmp_path / "var", hostname="mail", clock=FakeClock(), chance=FakeChance())
    path = tmp_path / "var" / "gateway.toml"
    migrate(path)

    def refuse(file: Path) -> FileLock:
        raise OSError(errno.EROFS, "Read-only file system", str(file))

    monkeypatch.setattr("gateway.app.console.FileLock", refuse)
    with pytest.raises(ConsoleFault, match=r"^/.*lock: Read-only file system; it lies on a disk"):
        Console.open(path).ask("queue.list")


class Gateway:
    """A gateway that runs, with the settings of `init` in a folder: it answers each question as the test has it."""

    def __init__(self, folder: Path, *answers: dict[str, Any]) -> None:
        init(folder, hostname="mail", clock=FakeClock(), chance=FakeChance())
        (folder / "data").mkdir(exist_ok=True)
        self.path = folder / "gateway.toml"
        self.asked: list[dict[str, Any]] = []
        self._answers = list(answers)
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / "data" / "control.sock"))
        self._door.listen()
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while self._answers:
            client = self._door.accept()[0]
            with client, client.makefile("rwb") as stream:
                if line := stream.readline():  # Whoever only looks whether somebody is there asks nothing.
                    self.asked.append(json.loads(line))
                    stream.write(json.dumps({"id": 1, **self._answers.pop(0)}).encode() + b"\n")

    def close(self) -> None:
        self._thread.join(30)
        self._door.close()


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def start(*answers: dict[str, Any]) -> Gateway:
        made.append(Gateway(tmp_path_factory.mktemp("g") / "var", *answers))
        return made[-1]

    yield start
    for one in made:
        one.close()


THIS = f"this command is version {__version__}"
SAME = own().facts
OLDER: dict[str, str] = {}  # Those of the first versions say nothing of themselves.


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (OLDER, f"the running gateway is of an older version, {THIS}"),
        ({"version": "0.0.7", "files": "x"}, f"the running gateway is version 0.0.7, {THIS}"),
        ({"version": "99.1", "files": "x"}, f"the running gateway is version 99.1, {THIS}"),
        (SAME | {"files": "x"}, f"was started from other files than this command has, both of version {__version__}"),
    ],
)
def test_a_fault_of_a_gateway_of_another_version_says_so_and_what_to_do(
    running: Callable[..., Gateway], facts: dict[str, str], words: str
) -> None:
    gateway = running({"fault": "something failed in a worker; the log says what", **facts})
    with pytest.raises(ConsoleFault) as raised:
        Console.open(gateway.path).ask("queue.list", replies=True)
    first, second = str(raised.value).splitlines()
    assert first == "something failed in a worker; the log says what"
    assert words in second and "systemctl restart gateway" in second
    assert gateway.asked == [{"id": 1, "ask": "queue.list", "with": {"replies": True}, "version": __version__}]


@pytest.mark.parametrize("facts", [OLDER, {"version": "99.1", "files": "x"}, SAME])
def test_what_both_versions_know_goes_on_working(running: Callable[..., Gateway], facts: dict[str, str]) -> None:
    gateway = running({"answer": [], **facts}, {"answer": {"warnings": []}, **facts})
    there = Console.open(gateway.path)
    assert there.ask("queue.list") == []
    told = there.ask("status")["warnings"]
    assert [one["code"] for one in told] == ([] if facts is SAME else ["other_version"])


def test_a_fault_of_a_gateway_of_the_same_version_is_told_alone(running: Callable[..., Gateway]) -> None:
    gateway = running({"fault": "there is no such thing", **SAME})
    with pytest.raises(ConsoleFault, match=r"^there is no such thing$"):
        Console.open(gateway.path).ask("queue.show", id="Q")
