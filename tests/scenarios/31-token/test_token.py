"""Root keys in a token and nowhere else, through the whole relay."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pkcs11 import MISSING, PIN, Token, TokenFolder, library
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.stream import Stream, marks

CLOSED = "451 4.3.0 Mail cannot be taken now; please try again later"
SECRET_WORDS = b"what nobody reads on the disk"
TROUBLES = {"vault_away", "vault_denied", "keys_closed"}
FILE = '[[vaults]]\nname = "file"\nprovider = "file"\npath = "vault"\nsecret_file = "service-secret"\n'


@pytest.fixture
def hop() -> Iterator[Hop]:
    with Hop() as hop:
        yield hop


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenFolder:
    if library() is None:
        pytest.skip(MISSING)
    folder = TokenFolder(tmp_path / "softhsm")
    for name, value in folder.environment.items():  # The gateway's processes inherit it.
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def token(tokens: TokenFolder) -> Token:
    return tokens.token()


def section(token: Token) -> str:
    return (
        f'[[vaults]]\nname = "hsm"\nprovider = "pkcs11"\nmodule = "{library()}"\n'
        f'token = "{token.label}"\npin_file = "{token.pin_file}"\n'
    )


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway], hop: Hop, token: Token) -> Iterator[Gateway]:
    """With the token as its only vault, and without the one that `init` made."""
    made = make_gateway(HOP=hop.port, FIRST=600, VAULTS=section(token))
    shutil.rmtree(made.folder / "vault")
    (made.folder / "service-secret").unlink()
    yield made
    made.stop()


def does(gateway: Gateway, *arguments: str) -> str:
    """What a command says that must succeed."""
    done = gateway.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def send(gateway: Gateway, subject: str) -> str:
    """The last reply of a transaction."""
    with Raw(gateway.port) as client:
        client.hello()
        said = client.ask("MAIL FROM:<ida@corp.example>")
        if not said.startswith("250"):
            return said
        client.ask("RCPT TO:<otto@partner.example>")
        client.ask("DATA")
        client.send(f"Subject: {subject}\r\n\r\n".encode() + SECRET_WORDS + b"\r\n")
        return client.ask(".")


def subjects(hop: Hop) -> list[str]:
    heads = (got.octets.partition(b"\r\n\r\n")[0] for got in hop.taken)
    return [line[9:].decode() for head in heads for line in head.split(b"\r\n") if line.startswith(b"Subject: ")]


def warnings(gateway: Gateway) -> dict[str, str]:
    return {one["code"]: one["text"] for one in gateway.json("status")["warnings"]}


def versions(gateway: Gateway) -> list[int]:
    """Of the root key."""
    (key,) = [one for one in gateway.json("key", "list")["keys"] if one["name"] == "default"]
    return [version["version"] for version in key["versions"]]


def test_the_whole_relay_with_its_root_key_in_a_token(gateway: Gateway, hop: Hop, token: Token) -> None:
    # Before there is a root key.
    checked = gateway.run("check")
    assert checked.returncode == 1
    assert "gateway key create hsm/default --type aes-256" in checked.stderr + checked.stdout
    refused = gateway.run("serve")
    assert refused.returncode == 1
    assert "gateway key create hsm/default --type aes-256" in refused.stderr

    does(gateway, "key", "create", "hsm/default", "--type", "aes-256")
    assert gateway.run("check").returncode == 0
    gateway.start()
    assert send(gateway, "first").startswith("250")
    hop.wait(1)
    hop.script({"MAIL": "450 4.7.1 not yet"})
    assert send(gateway, "waits").startswith("250")
    until(lambda: gateway.json("queue", "list"), "it to wait")

    # A restart, and the root key has another version meanwhile.
    assert gateway.stop() == 0
    does(gateway, "key", "rotate", "hsm/default")
    gateway.start()
    assert versions(gateway) == [1, 2]
    hop.healthy()
    gateway.retry_all()
    hop.wait(2)
    assert subjects(hop) == ["first", "waits"]

    # While it serves: the same, and the key disabled and enabled.
    does(gateway, "key", "rotate", "hsm/default")
    assert send(gateway, "rotated").startswith("250")
    does(gateway, "key", "disable", "hsm/default", "--yes")
    assert send(gateway, "disabled") == CLOSED
    does(gateway, "key", "enable", "hsm/default")
    until(lambda: send(gateway, "enabled").startswith("250"), "mail to be taken again")
    hop.wait(4)
    assert subjects(hop) == ["first", "waits", "rotated", "enabled"]
    assert gateway.stop() == 0

    # What lies where.
    for path in gateway.folder.rglob("*"):
        if path.is_file() and path.suffix != ".toml":
            assert SECRET_WORDS not in path.read_bytes(), path
    assert not (gateway.folder / "vault").exists()
    for octets in (gateway.log.encode(), token.octets()):
        assert SECRET_WORDS not in octets
        assert PIN.encode() not in octets


def test_another_tool_sees_the_keys_and_gets_none_out(gateway: Gateway, token: Token) -> None:
    tool = shutil.which("pkcs11-tool")
    if tool is None:
        pytest.skip("there is no pkcs11-tool here; Debian's package opensc has it")
    does(gateway, "key", "create", "hsm/default", "--type", "aes-256")
    does(gateway, "key", "create", "hsm/signs", "--type", "rsa-2048")
    asked = [tool, "--module", str(library()), "--token-label", token.label, "--login", "--pin", PIN]
    seen = subprocess.run([*asked, "--list-objects"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert "gateway:default" in seen
    assert "gateway:signs" in seen
    assert seen.count("sensitive, always sensitive, never extractable") == 2
    read = [*asked, "--read-object", "--type", "secrkey", "--label", "gateway:default"]
    out = subprocess.run(read, capture_output=True, text=True, timeout=30, check=False)
    assert out.returncode != 0
    assert "sensitive or is non-extractable" in out.stderr or "CKR_ATTRIBUTE_SENSITIVE" in out.stderr


def test_a_token_that_is_pulled_and_put_back_while_mail_comes_in_loses_nothing(
    gateway: Gateway, hop: Hop, token: Token
) -> None:
    does(gateway, "key", "create", "hsm/default", "--type", "aes-256")
    gateway.start()
    processes = gateway.pids()
    with Stream(gateway.port) as stream:
        stream.until_taken(30)
        token.take_away()
        # The next look at the vault comes within 30 s; nothing tells the gateway before that.
        until(lambda: len(stream.refused) >= 10, "the keys to close", 60)
        told = warnings(gateway)
        assert "there is no token 'gateway' of vault 'hsm'" in told["vault_away"]
        assert "keys_closed" in told
        taken = len(stream.taken)
        stream.until_refused(10)
        assert len(stream.taken) == taken
        token.bring_back()
        until(lambda: not TROUBLES & warnings(gateway).keys(), "every process to find it again", 60)
        stream.until_taken(30)
    assert {said[:9] for said in stream.refused.values()} == {"451 4.3.0"}
    assert stream.lost == []
    gateway.drained(60)
    assert sorted(marks(hop)) == sorted(stream.taken)
    assert gateway.pids() == processes
    assert gateway.stop() == 0


def test_a_gateway_that_began_with_a_file_moves_to_the_token(
    make_gateway: Callable[..., Gateway], hop: Hop, token: Token
) -> None:
    gateway = make_gateway(HOP=hop.port, FIRST=600, VAULTS=FILE)
    hop.script({"MAIL": "450 4.7.1 not yet"})
    gateway.start()
    assert send(gateway, "before").startswith("250")
    until(lambda: gateway.json("queue", "list"), "it to wait")
    assert gateway.stop() == 0

    gateway.configure(VAULTS=FILE + section(token))
    does(gateway, "key", "create", "hsm/default", "--type", "aes-256")
    gateway.start()
    assert send(gateway, "during").startswith("250")
    does(gateway, "key", "rehome", "--from", "file/default", "--to", "hsm/default")
    assert send(gateway, "after").startswith("250")
    assert gateway.stop() == 0

    gateway.configure(VAULTS=section(token))
    shutil.rmtree(gateway.folder / "vault")
    (gateway.folder / "service-secret").unlink()
    assert gateway.run("check").returncode == 0
    gateway.start()
    hop.healthy()
    gateway.retry_all()
    hop.wait(3)
    assert sorted(subjects(hop)) == ["after", "before", "during"]
    assert gateway.stop() == 0
