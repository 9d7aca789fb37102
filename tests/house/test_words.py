"""Nothing of one machine, no registry's host and no private key stands in the repository."""

from __future__ import annotations

import re

from tests.house.tree import ROOT, committed, lines_of, name_of

# Put together here, so that this file does not hold them.
HOSTS = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "deb." + "debian.org", "archive." + "ubuntu.com"]
PATHS = ["/wo" + "rk/", "/tmp" + "/w/", "/ro" + "ot/", "/opt" + "/pypi", "/opt" + "/wheels", ".lib" + "rary"]
FORBIDDEN = re.compile("|".join(re.escape(word) for word in HOSTS + PATHS))
BESIDE = re.compile(r"\.\./sha" + r"red(?!/corpus)")
PRIVATE_KEY = re.compile("-----BEGIN [A-Z ]*PRIVATE " + "KEY-----")


def test_no_host_of_a_registry_and_no_path_of_one_machine() -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()[:120]}"
        for path in committed()
        for number, line in enumerate(lines_of(path), 1)
        if FORBIDDEN.search(line) or BESIDE.search(line)
    ]
    assert found == []


def test_no_private_key_is_committed() -> None:
    found = [
        name_of(path)
        for path in committed()
        if not path.is_relative_to(ROOT / "tests") and PRIVATE_KEY.search(path.read_bytes().decode("latin-1"))
    ]
    assert found == []


def test_the_lock_files_name_no_index() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        options = [line for line in lines_of(path) if re.match(r"-|.*://|.*@ ", line.strip().removeprefix("--hash"))]
        assert options == [], path.name
