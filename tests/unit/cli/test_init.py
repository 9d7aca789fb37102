"""`gateway init` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.app import first_mailboxes
from gateway.cli.main import app


def test_it_tells_what_was_made_and_what_comes_next(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["init", str(tmp_path / "var"), "--domain", "a.example", "--domain", "b.example"])
    assert ended.exit_code == 0, ended.output
    assert "domains of yours: a.example, b.example" in ended.stdout
    assert f"gateway serve --config {tmp_path}/var/gateway.toml" in ended.stdout
    assert f"gateway key recovery verify main --config {tmp_path}/var/gateway.toml" in " ".join(ended.stdout.split())
    assert "outbox/" in ended.stdout
    assert ended.stderr == ""


def test_with_a_next_hop_there_is_no_outbox(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["init", str(tmp_path / "var"), "--next-hop", "[::1]:2526"])
    assert ended.exit_code == 0
    assert "outbox" not in ended.stdout
    assert "goes on to [::1]:2526" in ended.stdout


def test_a_second_init_is_refused(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["init", str(tmp_path)]).exit_code == 0
    ended = runner.invoke(app, ["init", str(tmp_path)])
    assert ended.exit_code == 1
    assert "gateway.toml is there already and is not overwritten" in ended.stderr
    assert ended.stdout == ""


def test_a_folder_that_may_not_be_entered_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", closed)
    ended = CliRunner().invoke(app, ["init", str(tmp_path / "closed" / "var")])
    assert ended.exit_code == 1
    assert ended.stderr == (
        f"gateway: {tmp_path}/closed/var could not be made: Permission denied. Nothing was left behind\n"
    )


def test_with_imap_it_tells_where_mailboxes_are_read_and_how_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(first_mailboxes, "build_policy", lambda settings, custodian: made.append(custodian))
    ended = CliRunner().invoke(app, ["init", str(tmp_path / "var"), "--imap", "127.0.0.1:9993"])
    assert ended.exit_code == 0, ended.output
    said = " ".join(ended.stdout.split())
    assert "Mail to corp.example will end in mailboxes, read by IMAP at 127.0.0.1:9993, TLS at once" in said
    assert f"gateway mailbox create ADDRESS --config {tmp_path}/var/gateway.toml" in said
    assert "root-a, root-b" in said and "certs/custodian.pem" in said
    assert [path.name for path in made] == ["custodian.pub.pem"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--portal", "8443"], "--portal '8443': right would be HOST:PORT"),
        (["--portal", "127.0.0.1:2525"], "--listen 127.0.0.1:2525 and --portal 127.0.0.1:2525 exclude each other"),
        (["--imap", "993"], "--imap '993': right would be HOST:PORT"),
        (["--imap", "127.0.0.1:2525"], "--listen 127.0.0.1:2525 and --imap 127.0.0.1:2525 exclude each other"),
        (["--listen", "2525"], "--listen '2525': right would be HOST:PORT"),
        (["--domain", "a b"], "--domain 'a b' is no domain"),
    ],
)
def test_wrong_use_ends_with_status_2_and_makes_nothing(tmp_path: Path, options: list[str], word: str) -> None:
    ended = CliRunner().invoke(app, ["init", str(tmp_path / "var"), *options])
    assert ended.exit_code == 2
    assert word in ended.stderr
    assert not (tmp_path / "var").exists()
