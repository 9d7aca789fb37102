"""What `make run` prints about the demo's mailbox, done line by line."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from types import ModuleType

import pytest

from gateway.mail.address import parse_address
from gateway.rights.branding import Branding
from gateway.rights.code_mail import CodeMail, code_mail
from gateway.rights.wording import WORDINGS
from tests.scenarios.peers.gateway import ROOT, Gateway
from tests.scenarios.peers.ports import answers, free_port, until

COMMAND = "GATEWAY"  # In the place of its path in the lines that are printed.


def script() -> ModuleType:
    """.ci/hello.py, which is no package."""
    spec = importlib.util.spec_from_file_location("hello", ROOT / ".ci" / "hello.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Demo:
    """A gateway as `make run` starts it, and the lines that it prints."""

    def __init__(self, gateway: Gateway, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gateway = gateway
        hello = script()

        def run(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
            assert words[0] == COMMAND
            return gateway.run(*words[1:], config=False, stdin=str(how.get("input") or ""))

        monkeypatch.setattr(hello.subprocess, "run", run)
        made = hello.mailbox(gateway.config, COMMAND)
        assert made is not None and hello.mailbox(gateway.config, COMMAND) == made, "made once, told each time"
        monkeypatch.undo()
        self.lines: list[str] = hello.hello(gateway.config, COMMAND, mailbox=made).splitlines()
        gateway.start()
        until(lambda: answers(port), f"the gateway to listen for IMAP\n{gateway.log}")

    def line(self, *words: str) -> str:
        """The one printed line with all those in it."""
        (found,) = [one.strip() for one in self.lines if one.startswith("  ") and all(word in one for word in words)]
        return found

    def do(self, *words: str) -> str:
        """Do what that line says; what is said then, on both outputs."""
        said = ""
        for line in self.line(*words).split(" && "):
            if line.startswith(f"{COMMAND} "):
                done = self.gateway.run(*shlex.split(line)[1:], config=False)
            else:
                done = call("/bin/sh", "-c", line)
            said += done.stdout + done.stderr
            assert done.returncode == 0, said + self.gateway.log[-3000:]
        return said


@pytest.fixture(scope="module")
def demo(make_gateway: Callable[..., Gateway]) -> Iterator[Demo]:
    port = free_port()
    gateway = make_gateway(file=None, options=("--imap", f"127.0.0.1:{port}"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Demo(gateway, port, monkeypatch)


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=30, cwd=ROOT)


def everything(gateway: Gateway) -> bytes:
    """What lies in the files of the shared database at this moment."""
    return b"".join(path.read_bytes() for path in sorted((gateway.folder / "data").glob("gateway.db*")))


def policies(gateway: Gateway) -> list[bytes]:
    """The sealed rows in which wrapped copies of policies' keys lie."""
    with closing(sqlite3.connect(gateway.folder / "data" / "gateway.db")) as connection:
        return [row[0] for row in connection.execute("SELECT sealed FROM mailbox_policies")]


def test_the_demo_does_what_it_prints(demo: Demo) -> None:
    """One test: each line needs the one before."""
    gateway = demo.gateway
    assert "Delivered to ida@corp.example" in demo.do(f"{COMMAND} send", "rhubarb")
    shown = demo.do("curl ")
    assert "To: ida@corp.example" in shown and "Nobody finds this word on the disk: rhubarb." in shown
    assert demo.do("grep -ra ") == "not a word\n"
    (before,) = policies(gateway)
    assert before in everything(gateway)

    demo.do("key disable")
    curl = shlex.split(demo.line("curl "))
    said = call(*curl, "--verbose").stderr
    assert re.search(r"NO \[UNAVAILABLE\] The mailbox ida@corp\.example is closed", said), said

    demo.do("policy order")
    demo.do("policy purge")
    told = demo.do("policy certificate")
    (line,) = [one for one in told.splitlines() if one.startswith("openssl ")]
    judged = call(*shlex.split(line))
    assert judged.stdout == "Verified OK\n", judged.stderr
    assert before not in everything(gateway), "a wrapped copy of the key is left in a file of the database"
    for vault in ("root-a", "root-b"):
        assert gateway.run("key", "enable", f"{vault}/mail").returncode == 0
    read = call(*curl)
    assert read.returncode != 0 and "rhubarb" not in read.stdout
    assert "rhubarb" not in gateway.log and "Traceback" not in gateway.log


def test_the_demo_says_where_a_code_and_an_answer_to_a_protected_mail_arrive(
    make_gateway: Callable[..., Gateway],
) -> None:
    portal, imap = (f"127.0.0.1:{free_port()}" for _ in range(2))
    gateway = make_gateway(file=None, options=("--portal", portal, "--imap", imap))
    hello = script()
    kept = hello.hello(gateway.config, COMMAND, mailbox=("ida@corp.example", "secret"))
    assert "your answer comes into the mailbox of ida@corp.example" in kept
    assert "your answer as well:" in hello.hello(gateway.config, COMMAND)
    (line,) = [one.strip() for one in kept.splitlines() if one.startswith("  grep -E ")]
    outbox = gateway.folder / "outbox"
    outbox.mkdir(exist_ok=True)
    for wording in WORDINGS.values():
        about = CodeMail(
            id="Q1",
            author=parse_address("portal@corp.example"),
            to=parse_address("otto@partner.example"),
            code="00012345",
            reference="ABCD",
            now=0.0,
            ends=900.0,
        )
        mail = code_mail(about, Branding(name="Corp", language=wording.language))
        assert mail.message.content.inline is not None
        (outbox / "code.eml").write_bytes(mail.message.content.inline)
        assert call("/bin/sh", "-c", line).stdout.strip() == "00012345"
