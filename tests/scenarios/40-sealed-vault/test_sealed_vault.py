"""What opens a vault: a person at a terminal, a secret, a recovery key; and what does not."""

from __future__ import annotations

import base64
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.app.file_vaults import means_of
from gateway.keys.providers.file.software import SoftwareKey
from gateway.keys.providers.file.vault import FileVault, sheet_in
from gateway.settings.load import loaded
from tests.fakes import clear_vault
from tests.scenarios.peers.gateway import ROOT, Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import greets, until
from tests.scenarios.peers.swaks import swaks

PHRASE = "ein langer Satz, den sich jemand merkt"


class Terminal:
    """A person who starts the gateway: reads what stands on the screen, and types."""

    def __init__(self, gateway: Gateway) -> None:
        ours, theirs = pty.openpty()
        self._door = ours
        self.screen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--config", str(gateway.config)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(theirs)
        gateway.process = self.process

    def see(self, words: str) -> None:
        """Wait until these words stand on the screen."""

        def look() -> bool:
            self.read()
            return words.encode() in self.screen

        until(look, f"{words!r} on the screen, where there is\n{self.screen.decode(errors='replace')}")

    def read(self) -> None:
        """What is there by now."""
        while select.select([self._door], [], [], 0)[0]:
            try:
                octets = os.read(self._door, 4096)
            except OSError:  # Nobody is at the other end any more.
                return
            if not octets:
                return
            self.screen += octets

    def type(self, text: str) -> None:
        os.write(self._door, text.encode() + b"\n")


def forms(secret: bytes) -> list[bytes]:
    """How a program would show it."""
    return [secret, secret.hex().encode(), base64.b64encode(secret)]


def test_a_passphrase_is_asked_for_once_and_stands_nowhere(make_gateway: Callable[..., Gateway], hop: Hop) -> None:
    gateway = make_gateway(HOP=hop.port, WORKERS=2, OPENS="")
    added = gateway.run("key", "protector", "add", "main", "--passphrase-stdin", stdin=PHRASE + "\n")
    assert added.returncode == 0, added.stderr
    section = loaded(gateway.config).settings.vaults[0]
    found = sheet_in(gateway.folder / "vault")
    assert found is not None
    master = means_of(loaded(gateway.config), section).master_of("main", found)
    gone = gateway.run("key", "protector", "remove", "main", "service", "--yes")
    assert gone.returncode == 0, gone.stderr
    (gateway.folder / "service-secret").unlink()

    nobody = gateway.run("serve")
    assert nobody.returncode == 1
    assert "gateway serve on a terminal, which asks for a passphrase" in nobody.stderr
    assert gateway.run("check").returncode == 0, "whether it is right is known at the start"

    person = Terminal(gateway)
    person.see("passphrase of vault main: ")
    person.type("a wrong passphrase of somebody")
    person.see("that does not open vault main; once more: ")
    person.type(PHRASE)
    until(lambda: greets(gateway.port), f"the gateway to greet\n{person.screen.decode()}")
    assert swaks(gateway.port).code == 0
    hop.wait(1)

    gateway.all_started()
    before = gateway.workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(gateway.workers()) == 2 and before[0] not in gateway.workers(), "a new worker")
    until(lambda: all(one["ready"] for one in gateway.json("status")["processes"] if "ready" in one), "it is ready")
    for _ in range(6):
        assert swaks(gateway.port).code == 0
    hop.wait(7)

    secrets = [form for secret in (PHRASE.encode(), master) for form in forms(secret)]
    for pid in gateway.pids():
        for name in ("cmdline", "environ"):
            octets = (Path("/proc") / str(pid) / name).read_bytes()
            assert not any(secret in octets for secret in secrets), (pid, name)
    for path in gateway.folder.rglob("*"):
        if path.is_file() and not path.is_socket():
            octets = path.read_bytes()
            assert not any(secret in octets for secret in secrets), path
    person.read()
    assert not any(secret in person.screen for secret in secrets)
    assert person.screen.count(b"passphrase of vault") == person.screen.count(b"once more: ") == 1, (
        "nobody was asked again"
    )
    assert gateway.stop() == 0


def test_the_recovery_key_opens_it_on_the_day_when_the_secret_is_lost(
    make_gateway: Callable[..., Gateway], hop: Hop
) -> None:
    gateway = make_gateway(HOP=hop.port, WORKERS=1, OPENS='secret_file = "service-secret"')
    digits = gateway.json("key", "recovery", "create", "main", "--name", "safe")["shown"][0]
    hop.script({"MAIL": ["450 4.7.1 not yet"]})
    gateway.start()
    codes = {one["code"] for one in gateway.json("status")["warnings"]}
    assert "recovery_key_unproved" in codes
    assert swaks(gateway.port).code == 0
    until(gateway.queue, "it waits in the queue")
    assert gateway.stop() == 0

    (gateway.folder / "service-secret").unlink()
    refused = gateway.run("serve")
    assert refused.returncode == 1
    assert "service-secret is missing" in refused.stderr
    wrong = gateway.run(
        "key", "recovery", "open", "main", "--secret-file", str(gateway.folder / "x"), stdin="123456" * 8
    )
    assert (wrong.returncode, "group 1 of 8 is mistyped" in wrong.stderr) == (1, True)
    opened = gateway.run(
        "key", "recovery", "open", "main", "--secret-file", str(gateway.folder / "service-secret"), stdin=digits
    )
    assert opened.returncode == 0, opened.stderr
    assert gateway.run("key", "recovery", "verify", "main", stdin=digits).returncode == 0
    hop.healthy()
    gateway.start()
    rows = gateway.json("key", "protector", "list")
    assert [one["name"] for one in rows if one["proved"]] == ["safe"]
    gateway.run("queue", "retry", "--all")
    hop.wait(1)


def test_a_file_that_was_cut_off_is_refused_and_the_generation_before_it_serves(
    make_gateway: Callable[..., Gateway], hop: Hop
) -> None:
    gateway = make_gateway(HOP=hop.port, WORKERS=1, OPENS="")
    assert gateway.run("key", "create", "main/second", "--type", "aes-256").returncode == 0
    file = gateway.folder / "vault/root-keys"
    octets = file.read_bytes()
    for part in (octets[:-1], octets[: len(octets) // 2], b"", octets[:40] + b"\0" + octets[41:]):
        file.write_bytes(part)
        checked = gateway.run("check")
        assert checked.returncode == 1
        assert "vaults[0].path" in checked.stderr
        assert "root-keys" in checked.stderr
    assert "Restore it" in checked.stderr or "root-keys.before" in checked.stderr
    assert gateway.run("serve").returncode == 1
    shutil.copy(file.with_name("root-keys.before"), file)
    assert gateway.run("check").returncode == 0
    gateway.start()
    assert swaks(gateway.port).code == 0
    hop.wait(1)


def test_a_clear_vault_of_before_is_sealed_by_the_start_and_its_mail_leaves(
    make_gateway: Callable[..., Gateway], hop: Hop
) -> None:
    gateway = make_gateway(HOP=hop.port, WORKERS=1, OPENS="")
    section = loaded(gateway.config).settings.vaults[0]
    vault = FileVault("main", gateway.folder / "vault", means_of(loaded(gateway.config), section))
    key: SoftwareKey = vault._keys["default"].versions[0].key
    shutil.move(gateway.folder / "service-secret", gateway.folder / "kept")
    shutil.rmtree(gateway.folder / "vault")
    clear_vault.write(gateway.folder / "vault", [("default", 1, key.octets())])

    hop.script({"MAIL": ["450 4.7.1 not yet"]})
    gateway.start()
    assert "vault_unsealed" in {one["code"] for one in gateway.json("status")["warnings"]}
    assert swaks(gateway.port).code == 0
    until(gateway.queue, "it waits in the queue")
    assert gateway.stop() == 0

    hop.healthy()
    gateway.configure(OPENS='secret_file = "kept"')
    gateway.start()
    assert (gateway.folder / "vault/root-keys").read_text().startswith("gateway-vault 2\n")
    assert "vault_unsealed" not in {one["code"] for one in gateway.json("status")["warnings"]}
    for one in (gateway.folder / "vault").iterdir():
        assert key.octets() not in one.read_bytes()
        assert b"gateway-vault 1" not in one.read_bytes()
    gateway.run("queue", "retry", "--all")
    hop.wait(1)
