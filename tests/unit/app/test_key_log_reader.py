"""`gateway key log` on a gateway as `init` and `migrate` make it: list, verify, export, accept."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.app import keyring
from gateway.app.channel import Fault
from gateway.app.database import open_shared
from gateway.app.init import init
from gateway.app.key_log import head_place, open_log, recorded, who
from gateway.app.key_log_known import heads_in
from gateway.app.key_log_reader import LogReader
from gateway.app.migrate import migrate
from gateway.keys.access_writer import AccessLog
from gateway.keys.recorded import Recorded
from gateway.keys.vault import KeyType
from gateway.settings.load import Loaded, loaded
from gateway.storage.key_log import KeyLogStore
from gateway.storage.shared import Shared
from gateway.storage.sharing import SharedStore
from gateway.world.account import account_name
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

CLI = f"cli {account_name()}"


class Made:
    """A gateway that was made and migrated, and processes that use its keys."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.folder = folder
        init(folder, hostname="mx.corp.example", clock=self.clock, chance=FakeChance())
        self.settings: Loaded = loaded(folder / "gateway.toml")
        migrate(self.settings.path)
        self.place = folder / "vault" / "key-log-head"

    def ask(self, verb: str, **arguments: Any) -> Any:
        return LogReader(self.settings, self.clock).answer(f"key.log.{verb}", arguments)

    def uses(self, *abouts: str, sign: bool = True) -> None:
        """A process wraps for each of these, and ends as it should."""
        shared: SharedStore = open_shared(self.settings)
        vaults: dict[str, Any] = {}
        log: AccessLog = open_log(
            self.settings, shared, process="worker-0", clock=self.clock, tell=lambda *_, **__: None, vaults=vaults
        )
        for name, vault in keyring.vaults(self.settings).items():
            vaults[name] = Recorded(vault, log, who="worker-0", clock=self.clock)
        for about in abouts:
            vaults["main"].wrap("default", b"k" * 32, b"context", about=about)
        if sign:
            log.close()
        else:
            assert log.flush()
        shared.close()

    def change(self, statement: str) -> None:
        """What somebody does who can write the database."""
        shared = Shared(self.folder / "data" / "gateway.db")
        shared.run(lambda connection: connection.exec_driver_sql(statement))
        shared.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "gateway"
    Made(folder)
    return folder


@pytest.fixture
def made(template: Path, tmp_path: Path) -> Made:
    shutil.copytree(template, tmp_path / "gateway")
    one = Made.__new__(Made)
    one.clock = FakeClock()
    one.folder = tmp_path / "gateway"
    one.settings = loaded(one.folder / "gateway.toml")
    one.place = one.folder / "vault" / "key-log-head"
    return one


# -- what is recorded --------------------------------------------------------------------------------------------------


def test_the_making_of_keys_is_the_beginning_of_the_log(made: Made) -> None:
    lines = made.ask("list")
    assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["who"] for line in lines} == {CLI}
    assert {"wrap", "unwrap"} == {line["operation"] for line in lines}
    # No head was signed yet.
    assert [one["what"] for one in made.ask("verify")["findings"]] == ["unproven"]


def test_the_vault_of_init_can_sign(made: Made) -> None:
    keys = {key.name: key.type for key in keyring.vaults(made.settings)["main"].keys()}
    assert keys["access-log"] is KeyType.EC_P256


def test_a_command_is_recorded_as_the_persons(made: Made) -> None:
    shared = open_shared(made.settings)
    opened = keyring.vaults(made.settings)
    with recorded(made.settings, shared, opened, process="cli ida", clock=made.clock) as held:
        held["main"].create("extra", KeyType.AES_256)
    shared.close()
    last = made.ask("list", limit=1)[0]
    assert (last["who"], last["operation"], last["key"], last["about"]) == ("cli ida", "create", "extra", "aes-256")


def test_a_command_whose_deed_fails_is_recorded_all_the_same(made: Made) -> None:
    shared = open_shared(made.settings)
    opened = keyring.vaults(made.settings)
    with (
        pytest.raises(Exception, match="access-log"),
        recorded(made.settings, shared, opened, process="cli ida", clock=made.clock) as held,
    ):
        held["main"].create("access-log", KeyType.AES_256)
    shared.close()
    assert made.ask("list", limit=1)[0]["outcome"] == "denied"


def test_before_the_first_start_there_is_nothing_to_record_in(made: Made) -> None:
    opened = keyring.vaults(made.settings)
    with recorded(made.settings, None, opened, process="cli ida", clock=made.clock) as held:
        assert held is opened


def test_where_several_machines_share_a_log_each_stands_in_it(made: Made) -> None:
    assert who(made.settings, "worker-0") == "worker-0"
    text = made.settings.path.read_text().replace("sqlite:data", "postgresql://gateway@db/gateway")
    text = text if "postgresql:" in text else f'{text}\n[storage]\nurl = "postgresql://gateway@db/gateway"\n'
    made.settings.path.write_text(f'{text}\n[server]\nhostname = "mx1.corp.example"\n')
    assert who(loaded(made.settings.path), "worker-0") == "mx1.corp.example worker-0"


# -- list --------------------------------------------------------------------------------------------------------------


def test_the_newest_that_fit_are_listed_oldest_first(made: Made) -> None:
    made.uses("message 1", "message 2", "message 3")
    assert [line["about"] for line in made.ask("list", about="message")] == ["message 1", "message 2", "message 3"]
    assert [line["about"] for line in made.ask("list", about="message", limit=2)] == ["message 2", "message 3"]
    assert [line["operation"] for line in made.ask("list", key="access-log")] == ["sign"]
    assert [line["operation"] for line in made.ask("list", key="main/access-log")] == ["sign"]
    assert made.ask("list", key="other/access-log") == []
    assert made.ask("list", operation="rotate") == []


async def test_lines_since_a_time_are_listed(made: Made) -> None:
    await made.clock.advance(10 * 86_400 * 365)
    made.uses("early")
    await made.clock.advance(60)
    begin = made.clock.now()
    made.uses("late")
    assert [line["about"] for line in made.ask("list", since=begin)] == ["late", made.ask("list", limit=1)[0]["about"]]


def test_without_a_database_there_is_nothing(made: Made) -> None:
    shutil.rmtree(made.folder / "data")
    assert made.ask("list") == []
    assert made.ask("export") == {"records": [], "next": None}
    (finding,) = made.ask("verify")["findings"]
    assert finding["what"] == "unproven" and "vault main holds the key access-log" in finding["sentence"]
    shutil.rmtree(made.folder / "vault")  # Nothing says that there was ever a log.
    assert made.ask("verify")["whole"]


@pytest.mark.parametrize("vault", ["there", "away"])
def test_a_log_that_was_emptied_with_all_its_heads_is_unproven(made: Made, vault: str) -> None:
    made.uses("one")
    made.change("DELETE FROM key_log")
    made.change("DELETE FROM key_log_heads")
    assert [one["what"] for one in made.ask("verify")["findings"]] == ["cut_off"]
    made.place.unlink()
    if vault == "away":
        (made.folder / "service-secret").unlink()
    report = made.ask("verify")
    assert not report["whole"]
    (finding,) = report["findings"]
    assert finding["what"] == "unproven"
    assert finding["sentence"].startswith("the log: unproven; no line is there, though there are domain keys")


# -- verify ------------------------------------------------------------------------------------------------------------


def test_a_whole_log_says_how_far_it_is_signed(made: Made) -> None:
    made.uses("one")
    report = made.ask("verify")
    assert report["whole"] and report["heads"] == 1 and report["last"] == report["signed"] + 1
    made.uses("two", "three", sign=False)
    assert "are not signed yet" in made.ask("verify")["notes"][0]


def test_lines_that_were_cut_off_are_found_by_the_head_beside_the_vault(made: Made) -> None:
    made.uses("one")
    kept = made.place.read_bytes()
    made.uses("two")
    made.change("DELETE FROM key_log WHERE first > (SELECT min(line) FROM key_log_heads)")
    made.change("DELETE FROM key_log_heads WHERE line > (SELECT min(line) FROM key_log_heads)")
    report = made.ask("verify")
    assert not report["whole"] and report["findings"][0]["what"] == "cut_off"
    # Who can reach both puts the older head back too; the one that was kept elsewhere tells.
    new = made.folder / "elsewhere"
    new.write_bytes(made.place.read_bytes())
    made.place.write_bytes(kept)
    assert made.ask("verify")["whole"]
    assert made.ask("verify", head=str(new))["findings"][0]["what"] == "cut_off"


def test_a_missing_head_is_told(made: Made) -> None:
    made.uses("one")
    made.place.unlink()
    report = made.ask("verify")
    assert [one["what"] for one in report["findings"]] == ["unproven"]
    assert "--head" in report["findings"][0]["sentence"]


def test_a_log_without_any_head_is_unproven(made: Made) -> None:
    made.uses("one")
    made.uses("two")
    made.place.unlink()
    made.change("DELETE FROM key_log_heads")
    made.change("DELETE FROM key_log WHERE first = (SELECT max(first) FROM key_log)")
    report = made.ask("verify")
    assert not report["whole"] and report["last"] > 1
    assert [one["what"] for one in report["findings"]] == ["unproven"]


def test_a_head_outside_the_database_says_alone_how_far_lines_are_signed(made: Made) -> None:
    made.uses("one")
    made.change("DELETE FROM key_log_heads")
    report = made.ask("verify")
    assert report["whole"] and report["heads"] == 0 and report["last"] == report["signed"] + 1
    assert report["notes"] == []


def test_a_damaged_head_is_told(made: Made) -> None:
    made.uses("one")
    made.place.write_bytes(b"{}")
    assert made.ask("verify")["findings"][0]["what"] == "forged"


def test_a_changed_line_is_told(made: Made) -> None:
    made.uses("one")
    made.change("UPDATE key_log SET lines = substr(lines, 1, length(lines) - 1) || x'00' WHERE first = 1")
    report = made.ask("verify")
    assert report["findings"][0]["sentence"].startswith("lines 1 to ")
    made.change("UPDATE key_log SET lines = 'text', before = 'text', time = 'text' WHERE first = 1")
    assert not made.ask("verify")["whole"]
    assert made.ask("list") != []


def test_heads_in_the_gateways_log_count(made: Made) -> None:
    made.uses("one")
    head = head_place(made.settings).read()
    assert head is not None
    log = made.folder / "gateway.log"
    line = {"time": "2026-11-26T06:26:14.599Z", "event": "key_log_head", "line": head.line, **head.told()}
    log.write_text("not json\n" + json.dumps({"event": "x", "statement": 5}) + "\n" + json.dumps(line) + "\n")
    assert heads_in(log) == [head]
    made.settings.path.write_text(made.settings.path.read_text() + '\n[log]\nfile = "gateway.log"\n')
    made.settings = loaded(made.settings.path)
    assert made.ask("verify")["whole"]
    made.place.unlink()
    made.change(f"DELETE FROM key_log WHERE last >= {head.line}")
    made.change("DELETE FROM key_log_heads")
    assert made.ask("verify")["findings"][0]["what"] == "cut_off"


def test_a_file_without_a_head_is_refused(made: Made) -> None:
    (made.folder / "empty").write_text("")
    with pytest.raises(Fault, match="holds no head"):
        made.ask("verify", head=str(made.folder / "empty"))
    with pytest.raises(Fault, match="No such file"):
        made.ask("verify", head=str(made.folder / "missing"))


def test_a_vault_that_does_not_open_is_judged_by_the_key_beside_it(made: Made) -> None:
    made.uses("one")
    (made.folder / "service-secret").unlink()
    report = made.ask("verify")
    assert report["whole"]
    assert "could not be asked" in report["notes"][0]
    made.place.unlink()
    assert {one["what"] for one in made.ask("verify")["findings"]} == {"unproven"}


# -- accept ------------------------------------------------------------------------------------------------------------


def test_who_answers_for_a_restored_database_stands_in_the_log(made: Made) -> None:
    made.uses("one")
    shutil.copytree(made.folder / "data", made.folder / "copy")
    made.uses("two")
    lost = made.folder / "lost"
    lost.write_bytes(made.place.read_bytes())
    shutil.rmtree(made.folder / "data")
    shutil.move(made.folder / "copy", made.folder / "data")
    assert not made.ask("verify")["whole"]
    made.uses("three")
    signed = made.ask("verify")["heads"]
    assert signed == 1  # Nothing is signed over a contradiction.
    answer = made.ask("accept", reason="the backup of Monday was restored")
    assert Path(answer["aside"]).read_bytes() == lost.read_bytes()
    made.uses("four")
    report = made.ask("verify")
    assert report["whole"] and report["heads"] == 2
    last = made.ask("list", limit=9)
    assert [one["reason"] for one in last if one["kind"] == "accepted"] == ["the backup of Monday was restored"]
    # The head that was given up is known to have been.
    report = made.ask("verify", head=str(lost))
    assert report["whole"] and "the backup of Monday was restored" in report["notes"][0]


def test_there_is_nothing_to_answer_for_where_the_log_fits(made: Made) -> None:
    with pytest.raises(Fault, match="not there"):
        made.ask("accept", reason="x")
    made.uses("one")
    with pytest.raises(Fault, match="fits the head"):
        made.ask("accept", reason="x")
    with pytest.raises(Fault, match="reason is empty"):
        made.ask("accept", reason=" ")


def test_a_forged_head_goes_when_somebody_has_looked(made: Made) -> None:
    made.uses("one")
    made.change(
        "INSERT INTO key_log_heads SELECT kind, 99999, statement, vault, key, version, signature FROM key_log_heads"
    )
    assert {one["what"] for one in made.ask("verify")["findings"]} == {"forged"}
    assert made.ask("accept", reason="a test")["heads_dropped"] == 1
    made.uses("two")
    assert made.ask("verify")["whole"]


# -- export ------------------------------------------------------------------------------------------------------------


def exported(made: Made, **arguments: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    after = None
    while True:
        page = made.ask("export", after=after, **arguments)
        records += page["records"]
        after = page["next"]
        if after is None:
            return records


def test_an_export_comes_in_pages(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        made.uses(f"message {number}")
    whole = exported(made)
    monkeypatch.setattr("gateway.app.key_log_reader.PAGE", 2)
    assert exported(made) == whole
    assert [next(iter(one)) for one in whole[:2]] == ["gateway_key_log", "public_key"]
    assert len([one for one in whole if "line" in one]) == made.ask("verify")["last"]


def test_an_export_can_be_verified_with_openssl_and_sha256sum_alone(made: Made, tmp_path: Path) -> None:
    """As docs/command-line.md has it."""
    made.uses("message ünï", "message 2")
    made.uses("message 3")
    file = tmp_path / "export.jsonl"
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in exported(made)))
    records = [json.loads(line) for line in file.read_text().splitlines()]
    hash_ = records[0]["before"]
    hashes = {}
    for number, one in enumerate((one for one in records if "line" in one), start=records[0]["first"]):
        text = f"{hash_}\n{one['line']}\n".encode()
        done = subprocess.run(["sha256sum"], input=text, capture_output=True, check=True, timeout=30)
        hash_ = done.stdout.split()[0].decode()
        assert hash_ == one["hash"]
        hashes[number] = hash_
    public = next(one for one in records if "public_key" in one)
    (tmp_path / "public.pem").write_text(public["public_key"])
    heads = [one["head"] for one in records if "head" in one]
    assert len(heads) == 2
    for head in heads:
        said = json.loads(head["statement"])
        assert hashes[said["line"]] == said["hash"]
        (tmp_path / "statement").write_text(head["statement"])
        decode = subprocess.run(["base64", "-d"], input=head["signature"].encode(), capture_output=True, timeout=30)
        (tmp_path / "signature").write_bytes(decode.stdout)
        command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "statement"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=30)
        assert done.stdout == b"Verified OK\n"
        (tmp_path / "statement").write_text(head["statement"].replace("1", "2"))
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=30).returncode != 0


async def test_an_export_since_a_time_begins_with_the_hash_before_it(made: Made) -> None:
    await made.clock.advance(10 * 86_400 * 365)
    begin = made.clock.now()
    made.uses("late")
    whole, late = exported(made), exported(made, since=begin)
    assert late[0]["first"] > 1
    before = [one for one in whole if "line" in one][late[0]["first"] - 2]
    assert late[0]["before"] == before["hash"]
    shared = open_shared(made.settings)
    assert KeyLogStore(shared).since(int((begin + 10**9) * 1000)) == whole_last(whole) + 1
    shared.close()


def whole_last(records: list[dict[str, Any]]) -> int:
    return len([one for one in records if "line" in one])
