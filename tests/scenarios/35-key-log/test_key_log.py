"""The key-access log of a gateway in use, and what happens to it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.stream import Stream
from tests.scenarios.peers.swaks import swaks


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Iterator[Gateway]:
    made = signing(make_gateway, hop)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def used(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    """One for all who only read what a day leaves behind: it has signed three messages, and the first of them stops
    it.
    """
    made = signing(make_gateway, hop).start()
    for _ in range(3):
        swaks(made.port)
    return made


def signing(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    made = make_gateway(HOP=hop.port)
    done = made.run("dkim", "key", "create", "corp.example")
    assert done.returncode == 0, done.stderr
    return made


def lines(gateway: Gateway, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = gateway.json("key", "log", "list", *options)
    return found


def verify(gateway: Gateway, *options: str) -> dict[str, Any]:
    done = gateway.run("key", "log", "verify", "--json", *options)
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode == 0) == report["whole"], done.stderr
    return report


def database(gateway: Gateway) -> Path:
    return gateway.folder / "data" / "gateway.db"


def change(gateway: Gateway, *statements: str) -> None:
    """With sqlite3, as somebody who can write the file."""
    with closing(sqlite3.connect(database(gateway))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_each_use_stands_in_the_log_with_what_it_was_for(used: Gateway) -> None:
    gateway = used
    taken = swaks(gateway.port).queue_id
    until(lambda: len(lines(gateway, "--about", taken)) == 2, "both signatures of the message to be logged")
    signed = lines(gateway, "--about", taken)
    assert {one["operation"] for one in signed} == {"sign"} and {one["outcome"] for one in signed} == {"done"}
    assert all(one["key"].startswith("dkim.corp.example.") for one in signed)
    assert signed[0]["who"] in ("worker-0", "worker-1")
    # What a person does, while the gateway serves and while it does not.
    assert gateway.run("key", "create", "main/extra", "--type", "aes-256").returncode == 0
    assert gateway.run("key", "disable", "main/extra", "--yes").returncode == 0
    gateway.stop()
    assert gateway.run("key", "enable", "main/extra").returncode == 0
    deeds = lines(gateway, "--key", "main/extra")
    assert [one["operation"] for one in deeds] == ["create", "disable", "enable"]
    assert {one["who"].split()[0] for one in deeds} == {"cli"} and len({one["who"] for one in deeds}) == 1
    report = verify(gateway)
    assert report["whole"], report["findings"]
    assert report["heads"] >= 1


def test_after_kill_9_the_chain_goes_on(gateway: Gateway) -> None:
    gateway.start()
    with Stream(gateway.port) as stream:  # Its mail has no From, and is relayed unsigned.
        for _ in range(20):
            swaks(gateway.port)
        stream.until_taken(50)
        gateway.kill()
    there = verify(gateway)
    assert there["whole"], there["findings"]
    gateway.start()
    swaks(gateway.port)
    gateway.stop()
    report = verify(gateway)
    assert report["whole"], report["findings"]
    assert report["last"] > there["last"] > 30
    # Two processes wrote; numbers have no gap all the same.
    numbers = [one["line"] for one in lines(gateway, "--limit", "100000")]
    assert numbers == list(range(1, report["last"] + 1))


def test_what_is_done_to_the_database_is_found(used: Gateway) -> None:
    gateway = used
    gateway.stop()
    assert verify(gateway)["whole"]
    kept = database(gateway).read_bytes()
    # A line is changed.
    change(gateway, "UPDATE key_log SET lines = substr(lines, 1, 80) || x'00' || substr(lines, 82) WHERE first = 1")
    said = gateway.run("key", "log", "verify")
    assert said.returncode == 1 and "lines 1 to " in said.stderr and "can't be read" in said.stderr
    database(gateway).write_bytes(kept)
    assert verify(gateway)["whole"]
    # The last lines are cut off, and the heads over them too.
    first = "(SELECT min(line) FROM key_log_heads)"
    change(gateway, f"DELETE FROM key_log WHERE first > {first}", f"DELETE FROM key_log_heads WHERE line > {first}")
    assert [one["what"] for one in verify(gateway)["findings"]] == ["cut_off"]
    # Nothing is left at all.
    change(gateway, "DELETE FROM key_log", "DELETE FROM key_log_heads")
    assert [one["what"] for one in verify(gateway)["findings"]] == ["cut_off"]
    database(gateway).write_bytes(kept)


def test_a_database_that_was_put_back_stops_the_signing_until_somebody_answers_for_it(gateway: Gateway) -> None:
    gateway.start()
    swaks(gateway.port)
    gateway.stop()
    old = gateway.folder / "old"
    shutil.copytree(gateway.folder / "data", old)
    gateway.start()
    swaks(gateway.port)
    gateway.stop()
    shutil.rmtree(gateway.folder / "data")
    shutil.copytree(old, gateway.folder / "data")
    gateway.start()
    taken = swaks(gateway.port)
    assert taken.code == 0  # Mail goes on.

    def warned() -> bool:
        return "key_log_contradicted" in {one["code"] for one in gateway.json("status")["warnings"]}

    until(warned, "status to warn")
    assert '"key_log_contradicted"' in gateway.log
    heads = verify(gateway)["heads"]
    assert not verify(gateway)["whole"]
    assert gateway.run("key", "log", "accept", "--reason", "the copy of Monday was restored").returncode == 0
    gateway.stop()
    report = verify(gateway)
    assert report["whole"], report["findings"]
    assert report["heads"] > heads
    accepted = [one for one in lines(gateway) if one["kind"] == "accepted"]
    assert accepted[0]["reason"] == "the copy of Monday was restored" and accepted[0]["who"].startswith("cli ")


def test_somebody_with_openssl_and_sha256sum_alone_judges_an_export(used: Gateway, tmp_path: Path) -> None:
    gateway = used
    gateway.stop()
    export = gateway.run("key", "log", "export")
    assert export.returncode == 0
    records = [json.loads(line) for line in export.stdout.splitlines()]
    head = [one["head"] for one in records if "head" in one][-1]
    said = json.loads(head["statement"])
    rows = [one for one in records if "line" in one][: said["line"]]
    (tmp_path / "lines").write_text("".join(one["line"] + "\n" for one in rows))
    (tmp_path / "public.pem").write_text(next(one["public_key"] for one in records if "public_key" in one))
    (tmp_path / "statement").write_text(head["statement"])
    (tmp_path / "signature.b64").write_text(head["signature"])
    script = f"""
        hash={records[0]["before"]}
        while IFS= read -r line; do
            hash=$(printf '%s\\n%s\\n' "$hash" "$line" | sha256sum | cut -d' ' -f1)
        done < lines
        base64 -d signature.b64 > signature
        openssl dgst -sha256 -verify public.pem -signature signature statement
        grep -c "\\"hash\\":\\"$hash\\"" statement
    """
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "Verified OK\n1\n", done
