"""What goes over from the supervisor to a worker: whatever stands in the files by then, it gets what was checked."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from gateway.app.child import Child
from gateway.app.forks import Forks
from gateway.app.handover import TakenOver, taken_over
from gateway.app.rule_files import judge_rules, load_rules
from gateway.rules import files
from gateway.settings.load import Loaded
from gateway.world.sockets import Socket, bind, pair
from tests.fakes.clock import FakeClock
from tests.fakes.settings import PLAIN, settings_in

NOW = 1_796_000_000.0
RULE = "- {name: Größe, when: {recipient_domain_is: partner.example}, then: {quarantine: true}}\n"


def handed(
    loaded: Loaded, masters: dict[str, bytes] | None = None, sockets: dict[str, list[Socket]] | None = None
) -> TakenOver:
    """What a worker gets of `loaded` by way of a socket."""
    ours, theirs = pair()
    child = Child(0, loaded.path, FakeClock(), Forks(loaded.path, FakeClock()), masters)
    child._handover = ours
    sender = Thread(target=child.hand, args=(loaded, sockets or {}))
    sender.start()
    try:
        return taken_over(theirs, loaded.path)
    finally:
        sender.join(10)
        ours.close()
        theirs.close()


def rules_in(folder: Path, text: str) -> None:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "rules" / "a.yaml").write_text(text, "utf-8")


def test_a_worker_gets_settings_and_rules_as_they_were_checked(tmp_path: Path) -> None:
    rules_in(tmp_path, RULE)
    faults, checked = judge_rules(settings_in(tmp_path), NOW)
    assert faults == []
    rules_in(tmp_path, "- {name: Größe, then: {nonsense")
    (tmp_path / "gateway.toml").write_text("nonsense")
    taken = handed(checked, {"main": b"\x00\xff"})
    assert [one.name for one in load_rules(taken.settings)] == ["Größe"]
    assert taken.settings.settings == checked.settings
    assert taken.masters == {"main": b"\x00\xff"}
    assert "\\xff" not in repr(taken)


def test_a_worker_gets_all_sockets_of_each_listener(tmp_path: Path) -> None:
    _, checked = judge_rules(settings_in(tmp_path), NOW)
    doors = [bind("127.0.0.1", 0) for _ in range(3)]
    taken = handed(checked, sockets={"a": doors[:2], "b": doors[2:]})
    ports = {name: [door.getsockname()[1] for door in those] for name, those in taken.listening.items()}
    assert ports == {
        "a": [doors[0].getsockname()[1], doors[1].getsockname()[1]],
        "b": [doors[2].getsockname()[1]],
    }
    for door in [*doors, *taken.listening["a"], *taken.listening["b"]]:
        door.close()


def test_a_worker_of_a_gateway_without_rules_finds_none_that_were_laid_there_since(tmp_path: Path) -> None:
    _, checked = judge_rules(settings_in(tmp_path), NOW)
    rules_in(tmp_path, RULE)
    assert len(load_rules(handed(checked).settings)) == 0


def test_as_many_rules_as_are_taken_go_over(tmp_path: Path) -> None:
    """JSON writes a line's end as two letters: lines of nothing else are the most that may come of what is taken."""
    rules_in(tmp_path, RULE)
    for number in range(4):
        (tmp_path / "rules" / f"b{number}.yaml").write_text("\n" * (files.MAX_FILE - len(RULE.encode())))
    faults, checked = judge_rules(settings_in(tmp_path), NOW)
    assert faults == []
    assert [one.name for one in load_rules(handed(checked).settings)] == ["Größe"]


def test_more_than_can_go_over_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ALL", len(RULE.encode()))
    rules_in(tmp_path, RULE)
    loaded = settings_in(tmp_path, PLAIN)
    assert judge_rules(loaded, NOW)[0] == []
    (tmp_path / "rules" / "b.yaml").write_text("#")
    ((fault,), _) = judge_rules(loaded, NOW)
    assert "more rules than can be handed" in fault.found and fault.file == str(tmp_path / "rules")
