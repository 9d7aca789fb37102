"""Scenarios: the gateway as whole processes between real peers. Each NN-name folder tells one story in its README."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.sink import Sink

HERE = Path(__file__).parent
RUNNING = pytest.StashKey[list[Gateway]]()
# Files that take longest, the longest first; then the folders in which more such lie, then all others.
LONG = (
    "47-mailboxes/test_killed_work.py", "47-mailboxes/test_life.py", "47-mailboxes/test_fire.py",
    "47-mailboxes/test_kill.py", "47-mailboxes/test_backup.py", "31-token/test_token.py",
    "46-portal/test_safety.py", "39-separation/test_postgresql.py", "32-vault-away/test_vault_away.py",
    "47-mailboxes/test_away.py", "39-separation/test_blobs.py", "39-separation/test_sqlite.py",
    "40-sealed-vault/test_sealed_vault.py", "49-mailbox-blobs/test_mailbox_blobs.py", "46-portal/test_story.py",
    "29-database-away/test_database_away.py", "46-portal/test_dropped.py",
    "52-", "53-", "51-", "45-", "48-", "36-", "21-", "08-", "35-", "25-", "27-", "26-", "44-", "33-",
)  # fmt: skip
LOG_LINES = 60  # Of each gateway's log behind a failure.


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUNNING] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in Path(str(item.path)).parents:
            item.add_marker(pytest.mark.scenario)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(180))
    # So that none of them is left over when all others are done.
    items.sort(key=lambda item: place_of(item.path))


def place_of(path: Path) -> int:
    """When a file has its turn."""
    name = f"{path.parent.name}/{path.name}"
    return next((place for place, start in enumerate(LONG) if name.startswith(start)), len(LONG))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the gateway's log where a test fails: what went wrong happened in another process."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for gateway in item.config.stash.get(RUNNING, []):
            tail = "\n".join(gateway.log.splitlines()[-LOG_LINES:])
            report.sections.append((f"log of the gateway in {gateway.folder}", tail))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this scenario."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def make_gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Gateway]]:
    """`make_gateway(HOP=..., ...)`: initialised with the scenario's gateway.toml, not started; removed at the end.

    `options` are more of `gateway init`.
    """
    made: list[Gateway] = []
    scenario = Path(str(request.path)).parent

    def make(
        *,
        file: str | None = "gateway.toml",
        host: str = "127.0.0.1",
        options: tuple[str, ...] = (),
        **values: object,
    ) -> Gateway:
        folder = tmp_path_factory.mktemp(scenario.name) / "gw"
        gateway = Gateway(folder, (scenario / file).read_text() if file else None, host=host, **values)
        made.append(gateway)
        request.config.stash[RUNNING].append(gateway)
        return gateway.init(*options)

    yield make
    for gateway in made:
        request.config.stash[RUNNING].remove(gateway)
        gateway.remove()


@pytest.fixture
def hop() -> Iterator[Hop]:
    """A scripted next hop without TLS."""
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    """Postfix's smtp-sink."""
    one = Sink()
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def make_postfix() -> Iterator[Callable[..., Postfix]]:
    """`make_postfix(hostname=..., ...)`: started; nothing of it remains at the end."""
    made: list[Postfix] = []

    def make(**arguments: object) -> Postfix:
        one = Postfix(**arguments)  # type: ignore[arg-type]
        made.append(one)
        return one.start()

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="session")
def mime_corpus(corpus: Path) -> list[Path]:
    """Other people's messages, where they lie; they are not part of the repository."""
    found = sorted((corpus / "mime").glob("*"))
    if not found:
        pytest.skip(f"{corpus} has no messages in mime/")
    return found
