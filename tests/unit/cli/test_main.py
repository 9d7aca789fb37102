"""The command line as a whole: help, wrong use, settings that are not there, and what starts lean."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from gateway.cli import serve
from gateway.cli.main import ORDER, app
from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

ROOT = Path(__file__).parents[3]


def commands() -> set[str]:
    """Every command by its words, whatever group it is in. Those that are only refused are not among them."""

    def below(command: object, words: str) -> set[str]:
        inner = getattr(command, "commands", None)
        if not inner:
            return {words.strip()}
        shown = {word: one for word, one in inner.items() if not one.hidden}
        return {name for word, one in shown.items() for name in below(one, f"{words} {word}")}

    return below(get_command(app), "")


def test_every_command_takes_config_but_those_that_make_settings() -> None:
    def without(command: object, words: str) -> set[str]:
        inner = getattr(command, "commands", None)
        if inner:
            return {name for word, one in inner.items() if not one.hidden for name in without(one, f"{words} {word}")}
        return set() if any("--config" in one.opts for one in getattr(command, "params", ())) else {words.strip()}

    assert without(get_command(app), "") == {"init", "restore"}  # A wrapper can put it behind any.


@pytest.mark.parametrize("words", [["version"], ["rule", "schema"], ["backup", "--help"]])
def test_output_that_a_full_disk_does_not_take_is_told_in_a_sentence(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (1, "gateway: No space left on device; make room on that disk\n")


def test_help_lists_every_command_with_a_line(command_line: CommandLine) -> None:
    command_line.settings = None
    said = command_line.run(None, "--help", columns=80)
    assert said.code == 0
    listed = re.findall(r"^\W+(\w+)\s{2,}\S.*$", said.out, re.MULTILINE)
    assert [name for name in listed if name in ORDER] == list(ORDER_OF_HELP)
    assert set(ORDER_OF_HELP) == set(ORDER)


ORDER_OF_HELP = ORDER


def test_no_word_of_any_help_is_taken_for_markup() -> None:
    def texts(command: object, words: str) -> list[tuple[str, str]]:
        found = [(words, getattr(command, "help", None) or "")]
        found += [(words, getattr(one, "help", None) or "") for one in getattr(command, "params", ())]
        for word, one in getattr(command, "commands", {}).items():
            found += texts(one, f"{words} {word}")
        return found

    told = texts(get_command(app), "gateway")
    assert len(told) > 100
    # Rich leaves out what stands in brackets, and nobody sees that something is missing.
    assert [one for one in told if re.search(r"\[[a-z#/@]", one[1])] == []


def test_the_manual_has_a_section_for_each_command() -> None:
    manual = (ROOT / "docs" / "command-line.md").read_text()
    known = commands()
    told = {
        name  # A section may tell of a small group at once.
        for section in re.findall(r"^## `gateway ([a-z -]+)`$", manual, re.MULTILINE)
        for name in {one for one in known if one == section or one.startswith(f"{section} ")} or {section}
    }
    assert told == known


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["key", "import", "main/own", "--file", "key.pem"], "bringing keys of your own (BYOK)"),
        (["dkim", "key", "publish", "corp.example"], "publishing records by itself"),
    ],
)
def test_a_command_of_a_later_part_is_refused_by_name(
    command_line: CommandLine, arguments: list[str], part: str
) -> None:
    said = command_line.run(FakeConsole(), *arguments)
    assert said.code == 2 and said.out == ""
    assert f"{part} is not built yet; right would be" in said.err


@pytest.mark.parametrize("arguments", [["status"], ["queue", "list"], ["trace", "Q1"], ["reload"], ["send"]])
def test_settings_that_are_not_there_are_named(command_line: CommandLine, arguments: list[str]) -> None:
    command_line.settings = Path("/nowhere/gateway.toml")
    said = command_line.run(FakeConsole(), *arguments)
    assert said.code == 1 and said.out == "" and "/nowhere/gateway.toml" in said.err


def test_an_unknown_option_is_wrong_use(command_line: CommandLine) -> None:
    assert command_line.run(FakeConsole(), "status", "--fast").code == 2


def test_a_fault_of_ours_is_not_hidden(command_line: CommandLine) -> None:
    with pytest.raises(KeyError):
        command_line.run(FakeConsole(), "status")


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (["--config", "a.toml"], Path("a.toml")),
        (["--config=a.toml"], Path("a.toml")),
        ([], None),
        (["--help"], None),
        (["--config"], None),
        (["--config", "a.toml", "--help"], None),
    ],
)
def test_only_the_plain_form_starts_lean(argv: list[str], path: Path | None) -> None:
    assert serve.settings_option(argv) == path


@pytest.mark.parametrize("module", ["gateway.__main__", "gateway.cli.migrate", "gateway.cli.serve"])
def test_what_serves_imports_no_command_line_library(module: str) -> None:
    code = (
        f"import sys, {module}; print([name for name in ('rich', 'typer', 'click', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_serve_puts_the_settings_into_its_command_line(tmp_path: Path) -> None:
    """Found in the folder, they still stand where `ps` shows them."""
    (tmp_path / "gateway.toml").write_text("")
    code = (
        "import sys, os\n"
        "sys.argv = ['gateway', 'serve']\n"
        "os.execve = lambda path, argv, environment: sys.exit(str(argv[-4:]))\n"
        "from gateway.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stderr.strip() == "['gateway', 'serve', '--config', 'gateway.toml']"
