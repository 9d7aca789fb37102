"""What all tests share: the corpus of others' messages, and a guard that keeps unit tests off the network."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import MISSING, Cluster, programs

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is there once all tests are known stays to the end: the garbage collector looks at it no more."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of messages that others wrote. It is read where it lies and never committed."""
    folder = Path(os.environ.get("GATEWAY_CORPUS") or ROOT / "../shared/corpus").resolve()
    if not folder.is_dir():
        pytest.skip("there is no corpus of messages here; GATEWAY_CORPUS names its folder")
    return folder


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder that is not in memory, as `tmp_path` may be (Makefile): there the kernel writes nothing by itself."""
    with tempfile.TemporaryDirectory(prefix="gateway-disk-", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of our own, for all tests of this process. Where there is none, they are skipped."""
    if programs() is None:
        pytest.skip(MISSING)
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def postgres(cluster: Cluster) -> Iterator[str]:
    """The address of a database of this test's own, migrated and otherwise empty."""
    url = cluster.migrated()
    yield url
    cluster.drop(url)


@pytest.fixture
def empty_postgres(cluster: Cluster) -> Iterator[str]:
    """The address of a database of this test's own with nothing in it."""
    url = cluster.new_database()
    yield url
    cluster.drop(url)


def is_here(address: Any) -> bool:
    """Whether `address`, as sockets take it, is on this machine: a path, or a loopback address."""
    if isinstance(address, (str, bytes)):  # a Unix socket
        return True
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        there = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(there, ipaddress.IPv6Address) and there.ipv4_mapped is not None:
        return there.ipv4_mapped.is_loopback
    return there.is_loopback


def guarded(name: str) -> Callable[..., Any]:
    """The method `name` of sockets, for tests that stay on this machine."""
    original = getattr(socket.socket, name)

    def call(self: socket.socket, *arguments: Any) -> Any:
        if arguments and not is_here(arguments[-1]):
            pytest.fail(f"a unit test reached out to {arguments[-1]!r}; hand in a fake instead")
        return original(self, *arguments)

    return call


@pytest.fixture(autouse=True)
def stay_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Unit and house tests open no socket but to loopback and Unix paths."""
    part = request.path.relative_to(ROOT / "tests").parts[0]
    if part in ("unit", "house"):
        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, guarded(name))
    yield
