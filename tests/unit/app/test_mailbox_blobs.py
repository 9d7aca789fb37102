"""`[mailboxes] blobs`: each fault says which key, what was found, what would be right."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.app import mailbox_blobs
from gateway.app.mailbox_blobs import judge_mailbox_blobs, open_mailbox_blobs
from gateway.settings.load import Loaded
from gateway.storage.mailbox_blob_folder import FolderMailboxBlobs
from gateway.storage.mailbox_blob_objects import ObjectMailboxBlobs
from gateway.storage.mailbox_blob_terms import FolderPlace, ObjectPlace, Role, mailbox_blob_place
from gateway.storage.writer import StorageBroken
from gateway.world.clock import SystemClock
from tests.fakes.settings import PLAIN, settings_in
from tests.scenarios.peers.ports import free_port

Write = Callable[..., Loaded]
ROLES = "".join(f'{role}_credentials = "{role}"\n' for role in Role)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Settings with these lines in [mailboxes]; beside them a file of credentials for each role."""
    for number, role in enumerate(Role):
        (tmp_path / role).write_text(f"id{number}\nsecret{number}\n")
        (tmp_path / role).chmod(0o600)

    def write(*lines: str) -> Loaded:
        return settings_in(tmp_path, "\n".join([PLAIN, "[mailboxes]", *lines]))

    return write


def faults(found: Loaded, ask: bool = False) -> list[tuple[str, str, str]]:
    return [
        (fault.key.removeprefix("mailboxes."), fault.severity, fault.found + " / " + fault.right)
        for fault in judge_mailbox_blobs(found, SystemClock(), ask=ask)
    ]


def test_a_folder_is_the_default_and_lies_beside_the_settings(write: Write, tmp_path: Path) -> None:
    found = write()
    assert faults(found, ask=True) == []
    assert mailbox_blob_place(found) == FolderPlace(tmp_path / "data" / "mailboxes")
    with ThreadPoolExecutor(1) as executor:
        assert isinstance(open_mailbox_blobs(found, executor, SystemClock()), FolderMailboxBlobs)


def test_a_bucket_has_a_file_for_each_role(write: Write, tmp_path: Path) -> None:
    found = write('blobs = "s3://mail/post/x/"', 'endpoint = "https://s3.example:9000"', ROLES)
    assert faults(found) == []
    place = mailbox_blob_place(found)
    assert isinstance(place, ObjectPlace)
    assert (place.bucket, place.prefix, place.where) == ("mail", "post/x", "s3://mail/post/x")
    assert [place.file(role) for role in Role] == [tmp_path / role for role in Role]
    with ThreadPoolExecutor(1) as executor:
        assert isinstance(open_mailbox_blobs(found, executor, SystemClock()), ObjectMailboxBlobs)


@pytest.mark.parametrize(
    ("blobs", "right"),
    [
        ("", "a folder, such as"),
        ("gs://mail", '"azure://CONTAINER/PREFIX"'),
        ("s3://Mail", "the name in lower case"),
        ("s3://mail/a b", "the prefix of letters"),
        ("s3://mail/a/../b", 'without "." and ".."'),
        ("azure://a--b", "the name in lower case"),
        ("azure://mail", "account beside it"),
    ],
)
def test_what_names_no_place_is_refused(write: Write, blobs: str, right: str) -> None:
    found = write(f'blobs = "{blobs}"', ROLES)
    ((key, severity, words),) = faults(found)
    assert (key, severity) == ("blobs", "error")
    assert right in words
    with ThreadPoolExecutor(1) as executor, pytest.raises(StorageBroken, match=r"\[mailboxes\] blobs: right would be"):
        open_mailbox_blobs(found, executor, SystemClock())


def test_without_credentials_of_reader_and_writer_there_is_no_bucket(write: Write) -> None:
    ((key, _, words),) = faults(write('blobs = "s3://mail"', 'read_credentials = "read"'))
    assert key == "blobs"
    assert "read_credentials and write_credentials beside it" in words


def test_a_bucket_whose_deleter_is_nobody_is_warned_of(write: Write) -> None:
    lines = ('blobs = "s3://mail"', 'read_credentials = "read"', 'write_credentials = "write"')
    ((key, severity, words),) = faults(write(*lines))
    assert (key, severity) == ("blobs", "warning")
    assert "nobody may delete" in words


def test_files_of_credentials_are_judged_one_by_one(write: Write, tmp_path: Path) -> None:
    (tmp_path / "read").write_text("secret")
    (tmp_path / "write").chmod(0o640)
    (tmp_path / "delete").write_bytes((tmp_path / "write").read_bytes())
    told = faults(write('blobs = "s3://mail"', ROLES))
    assert [(key, severity) for key, severity, _ in told] == [
        ("read_credentials", "error"),
        ("write_credentials", "warning"),
        ("delete_credentials", "warning"),
    ]
    words = " ".join(words for *_, words in told)
    assert "chmod 600" in words
    assert "the same credentials as in write_credentials" in words
    assert "secret1" not in words


def test_an_endpoint_without_tls_has_to_be_wanted(write: Write) -> None:
    lines = ('blobs = "s3://mail"', ROLES, 'endpoint = "http://s3.example"')
    assert [key for key, *_ in faults(write(*lines))] == ["endpoint"]
    assert faults(write(*lines, "allow_http = true")) == []
    assert [key for key, *_ in faults(write(*lines[:2], 'endpoint = "s3.example"'))] == ["endpoint"]


def test_keys_that_a_folder_does_not_use_are_refused(write: Write) -> None:
    assert [key for key, *_ in faults(write('endpoint = "https://s3.example"', ROLES))] == [
        "endpoint",
        "read_credentials",
        "write_credentials",
        "delete_credentials",
    ]


def test_a_store_that_does_not_answer_is_warned_of_when_asked(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_blobs, "PATIENCE", 2.0)
    found = write('blobs = "s3://mail"', ROLES, f'endpoint = "http://127.0.0.1:{free_port()}"', "allow_http = true")
    assert faults(found) == []
    ((key, severity, words),) = faults(found, ask=True)
    assert (key, severity) == ("blobs", "warning")
    assert "answer" in words


@pytest.mark.parametrize(
    ("mailboxes", "ends_here", "warned"),
    [("", True, True), ('blobs = "/srv/mailboxes"', True, False), ("", False, False)],
)
def test_gateways_on_one_database_are_to_name_a_folder_that_all_of_them_see(
    write: Write, mailboxes: str, ends_here: bool, warned: bool
) -> None:
    storage = '[storage]\nurl = "postgresql://gateway@/gateway?host=/nowhere"\nfolder = "data"\n'
    connector = '[[connectors.outbound]]\nname = "here"\nrecipient_domains = ["here.example"]\ndeliver = "mailbox"\n'
    found = write(mailboxes, storage, connector if ends_here else "")
    assert [(key, severity) for key, severity, _ in faults(found)] == [("blobs", "warning")] * warned
