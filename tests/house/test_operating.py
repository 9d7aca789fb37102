"""What starts the gateway elsewhere: the systemd unit, the image, the compose files. They can't be run here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings.fault import errors
from gateway.settings.load import read
from tests.house.tree import ROOT

UNIT = ROOT / "docs/systemd/gateway.service"
DOCKER = ROOT / "docker"
COMPOSE = [DOCKER / "compose.yaml", DOCKER / "compose.two-nodes.yaml"]
# What `systemd-analyze security` says at most, in tenths: 1.6 when it was written.
EXPOSURE = 20


def unit() -> dict[str, list[str]]:
    """The unit's settings, each with its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_gives_up_what_the_gateway_does_not_need() -> None:
    said = unit()
    for key in ("DynamicUser", "NoNewPrivileges", "PrivateDevices", "PrivateTmp", "ProtectHome", "RestrictNamespaces"):
        assert said[key] == ["yes"], key
    assert said["ProtectSystem"] == ["strict"]
    assert said["CapabilityBoundingSet"] == said["AmbientCapabilities"] == ["CAP_NET_BIND_SERVICE"]
    assert said["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert said["LimitCORE"] == ["0"]
    assert said["Type"] == ["notify"]
    assert [one.split(":")[0] for one in said["LoadCredential"]] == ["gateway-vault", "tls.key"]


def test_the_unit_waits_longer_than_the_gateway_drains() -> None:
    assert int(unit()["TimeoutStopSec"][0]) > 30 + 10


def analyze(*arguments: str, unit: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([program, *arguments, str(unit)], capture_output=True, text=True, check=False, timeout=50)


@pytest.fixture
def startable(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text("utf-8").replace("/opt/gateway/bin/gateway", "/bin/true"))
    return copy


def test_systemd_finds_no_fault_in_the_unit(startable: Path) -> None:
    done = analyze("verify", "--man=no", unit=startable)
    assert (done.returncode, done.stderr) == (0, "")
    startable.write_text(startable.read_text().replace("NoNewPrivileges=yes", "NoNewPrivilege=yes"))
    assert "NoNewPrivilege" in analyze("verify", "--man=no", unit=startable).stderr


def test_systemd_counts_it_as_hardened(startable: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit=startable)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


# -- containers --------------------------------------------------------------------------------------------------------


def test_hadolint_finds_no_fault_in_the_image() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        [program, str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_built_from_what_is_there_and_runs_as_nobodys_root() -> None:
    text = (DOCKER / "Dockerfile").read_text("utf-8")
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
    users = re.findall(r"^USER (.+)$", text, re.MULTILINE)
    assert users == ["10025:10025"]
    assert "HEALTHCHECK" in text
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert {"!gateway", "!requirements", "!pyproject.toml"} <= set(ignored)


@pytest.fixture(params=COMPOSE, ids=lambda path: path.name)
def compose(request: pytest.FixtureRequest) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load(request.param.read_text("utf-8"))
    return said


KEYS = {
    *("build", "image", "restart", "init", "stop_grace_period", "user", "read_only", "cap_drop", "security_opt"),
    *("ulimits", "tmpfs", "ports", "volumes", "depends_on", "environment", "secrets", "healthcheck", "shm_size"),
}


def test_each_service_is_closed_in(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service) <= KEYS, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] not in ("root", "0", "0:0"), name


def test_what_services_name_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"]
        for other in service.get("depends_on", {}):
            assert "healthcheck" in compose["services"][other]
        for secret in service.get("secrets", ()):
            assert secret in compose["secrets"]
        if "build" in service:
            assert (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).exists()
            assert service["volumes"][0].endswith(":ro")  # Settings, and the secret that opens the vault.
            assert service["volumes"][1] == "./vault:/etc/gateway/vault"  # Keys are rotated in it.


def test_no_password_stands_in_a_compose_file() -> None:
    for path in COMPOSE:
        for line in path.read_text("utf-8").splitlines():
            assert not re.search(r"password\s*[:=]\s*\S", line, re.IGNORECASE), line


def test_the_sample_settings_are_right(tmp_path: Path) -> None:
    """But for the files that they name, which each machine has for itself."""
    reading = read(DOCKER / "gateway.toml")
    assert errors(reading.faults) == ()
    assert reading.loaded is not None
    settings = reading.loaded.settings
    assert settings.metrics is not None
    assert settings.metrics.listen == "127.0.0.1:9125"
    assert settings.metrics.listen in (DOCKER / "Dockerfile").read_text("utf-8")
    assert settings.listeners[0].listen.endswith(":2525")
