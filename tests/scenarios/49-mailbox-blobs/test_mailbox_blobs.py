"""Contents in a bucket and in a container, whose reader, writer and deleter have credentials of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.peers.azurite import ACCOUNT, Azurite
from tests.scenarios.peers.bucket import Bucket
from tests.scenarios.peers.mailroom import IDA, Mailroom, marks, open_mailroom
from tests.scenarios.peers.ports import until

HERE = Path(__file__).parent
LARGE = b"Obsidianlark, once more and once more after that, to the end of it.\r\n" * 45_000  # Three chunks.
ROLES = ("read", "write", "delete")


def settings(folder: Path, *lines: str) -> str:
    """The lines about blobs. The credentials' files lie in that folder."""
    return "\n".join([*lines, *(f'{role}_credentials = "{folder}/{role}"' for role in ROLES)])


def blobs(remote: Any) -> list[str]:
    """Every blob but the one that is always there, by which a store that won't list tells what is missing."""
    return [name for name in remote.keys() if not name.endswith("/" + "0" * 32)]


@pytest.fixture(params=["s3", "azure"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """The store and its settings."""
    if request.param == "s3":
        with Bucket() as bucket:
            for role in ROLES:
                bucket.users[role].write(tmp_path / role)
            lines = (f'blobs = "s3://{bucket.name}/gw"', f'endpoint = "{bucket.url}"', 'region = "us-east-1"')
            yield bucket, settings(tmp_path, *lines, "allow_http = true")
    else:
        with Azurite() as azurite:
            for role in ROLES:
                azurite.write(role, tmp_path / role)
            lines = (f'blobs = "azure://{azurite.container}/gw"', f'endpoint = "{azurite.endpoint}"')
            yield azurite, settings(tmp_path, *lines, f'account = "{ACCOUNT}"', "allow_http = true")


@pytest.fixture
def room(store: Any, tmp_path: Path) -> Iterator[Mailroom]:
    with open_mailroom(tmp_path / "gw", (HERE / "gateway.toml").read_text(), BLOBS=store[1]) as room:
        yield room.start()


def test_mail_lies_in_it_sealed_and_is_read_and_deleted(room: Mailroom, store: Any) -> None:
    remote = store[0]
    checked = room.gateway.run("check")
    assert checked.returncode == 0, checked.stderr
    room.create(IDA)
    room.write("small")
    room.arrived(1)
    assert len(blobs(remote)) == 1, "a small message is one write"
    room.write("large", text=LARGE)
    found = room.arrived(2)
    assert marks(found) == ["small", "large"]
    assert found[1].endswith(LARGE)
    names = blobs(remote)
    assert len(names) == 4
    assert all(name.startswith("gw/") for name in names)
    assert not any(word in remote.octets() for word in (b"Obsidianlark", b"X-Mark", b"Good morning"))
    assert room.chunks() == {}, "none lies here"

    # A message that is damaged or gone there says so, and the other reads on.
    kept = {name: remote.get(name) for name in names}
    chunk = names[0] if len(kept[names[0]]) > 4096 else names[1]
    for harm in ("flipped", "gone"):
        if harm == "flipped":
            octets = bytearray(kept[chunk])
            octets[100] ^= 1
            remote.put(chunk, bytes(octets))
        else:
            remote.delete(chunk)
        with room.session() as session:
            session.select()
            assert session.imap.uid("FETCH", "2", "(BODY.PEEK[])")[0] == "NO"
            assert marks(list(session.octets("1").values())) == ["small"]
        remote.put(chunk, kept[chunk])
    with room.session() as session:
        assert marks(session.all()) == ["small", "large"]
        session.select()
        session.does("uid", "STORE", "2", "+FLAGS", "(\\Deleted)")
        session.does("expunge")
    until(lambda: len(blobs(remote)) == 1, "what nothing points to any more to be deleted", 60)
    assert marks(room.arrived(1)) == ["small"]


def test_credentials_are_changed_while_it_serves_and_mail_waits_for_them(
    room: Mailroom, store: Any, tmp_path: Path
) -> None:
    remote = store[0]
    room.create(IDA)
    room.write("first")
    room.arrived(1)
    good = {role: (tmp_path / role).read_text() for role in ROLES}
    # The writer is somebody who may not write: mail waits, what is there is read.
    (tmp_path / "write").write_text(good["read"])
    until(lambda: is_kept_waiting(room, remote), "mail to wait for whoever may write", 30)
    assert marks(room.arrived(1))[0] == "first"
    (tmp_path / "write").write_text(good["write"])
    room.gateway.retry_all()
    room.gateway.drained()
    # The reader is somebody who may not read: it says so, and does not call it damaged for ever.
    (tmp_path / "read").write_text(good["delete"])

    def is_refused() -> bool:
        with room.session() as session:
            session.select()
            return session.imap.uid("FETCH", "1", "(BODY.PEEK[])")[0] == "NO"

    until(is_refused, "reading to be refused", 60)
    (tmp_path / "read").write_text(good["read"])
    until(lambda: not is_refused(), "reading to go on", 60)
    assert "Traceback" not in room.gateway.log


def is_kept_waiting(room: Mailroom, remote: Any) -> bool:
    """Whether a message waits now that was just sent."""
    count = len(blobs(remote))
    id_ = room.write("more")
    done = until(
        lambda: (not room.gateway.queue(id_) and "gone") or [one for one in room.gateway.queue(id_) if one["attempts"]],
        "it to be delivered or to wait",
    )
    return done != "gone" and len(blobs(remote)) == count


def test_a_store_that_is_silent_makes_mail_wait_and_loses_nothing(room: Mailroom, store: Any) -> None:
    remote = store[0]
    if not isinstance(remote, Bucket):
        pytest.skip("Azurite is not made silent here; the bucket is")
    room.create(IDA)
    room.write("first")
    room.arrived(1)
    remote.freeze()
    try:
        id_ = room.write("meanwhile")
        with room.session() as session:
            session.select()
            assert session.flags() == {1: set()}, "what needs no content goes on"
    finally:
        remote.freeze(False)
    if room.gateway.queue(id_):
        room.gateway.retry_all()
    assert marks(room.arrived(2, seconds=90)) == ["first", "meanwhile"]
    room.gateway.drained()


def test_nobody_of_the_three_may_do_what_another_does(store: Any) -> None:
    """The emulator's rules themselves: else the tests above would show nothing."""
    remote = store[0]
    if not isinstance(remote, Bucket):
        pytest.skip("judged by the signatures' permissions")
    may: dict[str, list[str]] = {}
    actions: dict[str, Callable[[Any], object]] = {
        "put": lambda client: client.put_object(Bucket=remote.name, Key="x", Body=b"x"),
        "get": lambda client: client.get_object(Bucket=remote.name, Key="x"),
        "list": lambda client: client.list_objects_v2(Bucket=remote.name),
        "delete": lambda client: client.delete_object(Bucket=remote.name, Key="x"),
    }
    for role in ("write", "read", "delete"):
        for name, act in actions.items():
            try:
                act(remote.client(role))
            except Exception as error:
                assert "AccessDenied" in str(error) or "Forbidden" in str(error), error
            else:
                may.setdefault(role, []).append(name)
    assert may == {"write": ["put"], "read": ["get"], "delete": ["delete"]}
