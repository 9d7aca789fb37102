"""The pages agree with the code, with one another and with the Makefile."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.house.tree import ROOT, committed, lines_of, name_of

PAGES = [path for path in committed() if path.suffix == ".md" and not path.is_relative_to(ROOT / "tests")]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


def test_the_reference_of_the_settings_is_fresh() -> None:
    command = [sys.executable, "-m", "gateway.settings.reference"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50).stdout
    assert (ROOT / "docs/settings.md").read_text("utf-8") == made, "run `make docs` and commit what it writes"


def test_the_reference_of_the_rules_is_fresh() -> None:
    command = [sys.executable, "-m", "gateway.rules.reference"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50).stdout
    assert (ROOT / "docs/rules.md").read_text("utf-8") == made, "run `make docs` and commit what it writes"


def test_links_lead_to_pages_that_exist() -> None:
    broken = [
        f"{name_of(page)}: {link}"
        for page in PAGES
        for link in LINK.findall(page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_page_of_the_docs_is_named_in_the_readme() -> None:
    said = (ROOT / "README.md").read_text("utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in said] == []


def test_targets_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {
        word for page in PAGES for line in lines_of(page) for word in re.findall(r"(?:`|^ {4}|\$ )make ([a-z-]+)", line)
    }
    assert {"run", "test"} <= named
    assert named <= targets


def test_ci_runs_make_test_and_nothing_else() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    code = [line for line in lines_of(script) if line and not line.startswith("#")]
    assert code == ['cd "$(dirname "$0")/.." && exec make test']


def test_make_alone_says_what_there_is() -> None:
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    assert "make run" in told
    assert "make test" in told
