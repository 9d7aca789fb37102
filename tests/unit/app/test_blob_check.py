"""Each fault of `[storage] blobs` with its key and what would be right; a store that is away is a warning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.blob_check import judge_blobs
from gateway.settings.fault import Fault
from gateway.storage.blob_terms import FolderTerms, S3Terms, blob_terms
from gateway.world.clock import SystemClock
from tests.fakes.s3 import S3
from tests.fakes.settings import PLAIN, settings_in
from tests.scenarios.peers.ports import free_port


def judged(folder: Path, text: str, *, ask: bool = False) -> list[Fault]:
    return list(judge_blobs(settings_in(folder, f"{PLAIN}\n[storage]\n{text}\n"), SystemClock(), ask=ask))


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    s3 = S3(tmp_path, free_port()).start()
    s3.empty()
    yield s3
    s3.stop()


def section(s3: S3) -> str:
    return (
        f'blobs = "s3://mail/gateway"\n[storage.s3]\nendpoint = "{s3.url}"\nregion = "us-east-1"\nallow_http = true\n'
        'access_key_file = "s3.id"\nsecret_key_file = "s3.key"'
    )


def test_the_settings_become_terms(tmp_path: Path) -> None:
    def terms(text: str) -> object:
        return blob_terms(settings_in(tmp_path, f"{PLAIN}\n[storage]\n{text}\n"))

    assert terms("") is None
    assert terms('blobs = "data/blobs"') == FolderTerms(folder=tmp_path / "data/blobs")
    assert terms('blobs = "s3://mail"') == S3Terms(bucket="mail")
    assert terms('blobs = "s3://mail/a/b/"\n[storage.s3]\nregion = "eu-1"\nsecret_key_file = "k"') == S3Terms(
        bucket="mail", prefix="a/b", region="eu-1", secret_key_file=tmp_path / "k"
    )


@pytest.mark.parametrize(
    ("text", "key", "right"),
    [
        ('blobs = ""', "storage.blobs", "a folder"),
        ('blobs = "gs://mail"', "storage.blobs", "s3://BUCKET/PREFIX"),
        ('blobs = "s3://"', "storage.blobs", "lower case"),
        ('blobs = "s3://Mail"', "storage.blobs", "lower case"),
        ('blobs = "s3://mail/a b"', "storage.blobs", "letters, digits"),
        ('blobs = "s3://mail/../other"', "storage.blobs", "without"),
        ('blobs = "data/blobs"\n[storage.s3]\nregion = "eu-1"', "storage.s3", "leave the section out"),
        ('blobs = "s3://mail"\n[storage.s3]\nendpoint = "s3.example"', "storage.s3.endpoint", "a URL"),
        ('blobs = "s3://mail"\n[storage.s3]\nendpoint = "http://s3.example"', "storage.s3.endpoint", "allow_http"),
        (
            'blobs = "s3://mail"\n[storage.s3]\naccess_key_file = "gateway.toml"',
            "storage.s3.secret_key_file",
            "other half",
        ),
    ],
)
def test_each_fault_is_told_with_its_key(tmp_path: Path, text: str, key: str, right: str) -> None:
    fault = judged(tmp_path, text)[0]
    assert (fault.key, fault.severity) == (key, "error")
    assert right in fault.right


def test_key_files_are_looked_at(tmp_path: Path, s3: S3) -> None:
    s3.make_bucket()
    assert judged(tmp_path, section(s3), ask=True) == []
    s3.secret_key_file.chmod(0o644)
    (fault,) = judged(tmp_path, section(s3))
    assert (fault.key, fault.severity, fault.right) == (
        "storage.s3.secret_key_file",
        "warning",
        f"chmod 600 {s3.secret_key_file}",
    )
    s3.secret_key_file.unlink()
    assert [one.severity for one in judged(tmp_path, section(s3))] == ["error"]


def test_a_store_that_is_away_or_has_no_such_bucket_is_a_warning(tmp_path: Path, s3: S3) -> None:
    (fault,) = judged(tmp_path, section(s3), ask=True)
    assert fault.severity == "warning"
    assert "NoSuchBucket" in fault.found
    s3.stop()
    (fault,) = judged(tmp_path, section(s3), ask=True)
    assert "does not answer" in fault.found
    assert judged(tmp_path, section(s3), ask=False) == []
