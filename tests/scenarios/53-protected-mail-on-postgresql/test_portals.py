"""What one gateway wraps, the portal of the other opens."""

from __future__ import annotations

import re
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.postgres import Cluster
from tests.scenarios.peers.office import IDA, TEXT, WORD, Office
from tests.scenarios.peers.portal import Client, read
from tests.scenarios.peers.ports import answers, until
from tests.scenarios.peers.swaks import swaks

Offices = tuple[Office, Office]
FILE = re.compile(r'href="(/m/[^"]+/file/\d+)"')
LARGE = bytes(range(256)) * 1600  # 400 KiB: its copy is no column.


def rows(office: Office, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(str(office.gateway.values["DATABASE"]), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def goes_to(client: Client, office: Office) -> None:
    """The same browser, led to another gateway, as a load balancer does."""
    client.close()
    client.port, client.ca = office.portal, office.ca


@pytest.mark.timeout(400)
def test_a_reader_asks_here_reads_there_and_answers(offices: Offices, tmp_path: Path) -> None:
    first, second = offices
    subject, reader = "[secure] Figures", first.somebody()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"Ida Berg <{IDA}>", reader, subject
    message["Message-ID"] = "<figures@corp.example>"
    message.set_content(f"{TEXT}\n")
    message.add_attachment(LARGE, "application", "octet-stream", filename="figures.bin")
    file = tmp_path / "letter.eml"
    file.write_bytes(bytes(message))
    first.send(subject, reader, more=("--data", f"@{file}"))
    came = first.mailbox(reader).wrapped(subject)
    path = f"/m/{came.token}"

    client = first.client()
    assert client.submit(path, f"{path}/code").status == 303
    digits = first.mailbox(reader).code().digits
    goes_to(client, second)
    opened = client.submit(f"{path}/code", f"{path}/open", code=digits)
    assert (opened.status, opened.headers["location"].endswith("/read")) == (303, True), opened.text
    for office in (second, first, second):
        goes_to(client, office)
        assert subject in client.get(f"{path}/read").text
        assert WORD in client.get(f"{path}/body").text
        (place,) = FILE.findall(client.get(f"{path}/read").text)
        assert client.get(place).octets == LARGE
    reply = f"{path}/reply"
    said = client.submit(reply, reply, text="thank you")
    assert said.status in (200, 303), said.text
    answer = until(
        lambda: [one for one in first.mailbox(IDA).all() if b"Re: [secure] Figures" in one.octets], "the answer"
    )[0]
    assert reader in read(answer.octets)["Reply-To"]

    done = first.gateway.run("rights", "revoke", came.message["Message-ID"])
    assert done.returncode == 0, done.stderr
    for office in (second, first):
        goes_to(client, office)
        assert WORD not in client.get(f"{path}/read").text
        assert WORD not in client.get(f"{path}/body").text
        assert office.gateway.json("rights", "status", came.message["Message-ID"]) == first.status(
            came.message["Message-ID"]
        )


def test_wrong_codes_are_counted_over_both(offices: Offices) -> None:
    first, second = offices
    came = first.letter("[secure] Guesses")
    path = f"/m/{came.token}"
    client = second.client()
    assert client.submit(path, f"{path}/code").status == 303
    digits = first.mailbox(came.reader).code().digits
    wrong = f"{(int(digits) + 1) % 10**8:08d}"
    for number in range(5):
        goes_to(client, offices[number % 2])
        assert client.submit(f"{path}/code", f"{path}/open", code=wrong).status != 303
    for office in offices:
        goes_to(client, office)
        assert f"{path}/open" not in client.get(f"{path}/code").forms(), "no code can be typed any more"
        assert client.get(f"{path}/read").status == 401


@pytest.mark.timeout(400)
def test_what_has_expired_loses_its_key_and_its_copy(offices: Offices, copies: str, tmp_path: Path) -> None:
    first, second = offices
    lasting = first.letter("[secure] Lasting")
    subject, reader, file = "[secure] Ending", first.somebody(), tmp_path / "letter.eml"
    file.write_text(f"From: {IDA}\nTo: {reader}\nSubject: {subject}\n\n" + f"{TEXT}\n" * 12_000)
    first.send(subject, reader, more=("--data", f"@{file}"))
    came = first.mailbox(reader).wrapped(subject)
    path = f"/m/{came.token}"
    client = second.signed_in(came)
    assert WORD in client.get(f"{path}/body").text
    folder = first.gateway.folder / "blobs"
    found = rows(first, "SELECT work FROM rights_messages ORDER BY created DESC LIMIT 1")[0][0]

    def blobs() -> set[str]:
        if copies == "in a folder":
            return {one.name for one in folder.rglob("*") if one.is_file()}
        return {name for (name,) in rows(first, "SELECT DISTINCT name FROM rights_pieces")}

    before = blobs()
    assert second.gateway.stop() == 0  # It looks at its start, and then once a minute.
    just_now = int((time.time() - 60) * 1000)  # What expired long ago would be forgotten altogether.
    rows(first, f"UPDATE rights_messages SET expires = {just_now} WHERE work = '{found}'")
    second.gateway.start()
    until(lambda: answers(second.portal), "the portal to listen")

    def destroyed() -> bool:
        (row,) = rows(first, f"SELECT key IS NULL FROM rights_messages WHERE work = '{found}'")
        return bool(row[0])

    until(destroyed, "the key to be destroyed", 90)
    until(lambda: len(blobs()) == len(before) - 1, f"the copy to go; {sorted(before)}", 30)
    for office in offices:
        goes_to(client, office)
        assert WORD not in client.get(f"{path}/body").text
    assert WORD in first.signed_in(lasting).get(f"/m/{lasting.token}/body").text


def test_a_reader_hears_nothing_of_connections_that_the_server_has_ended(offices: Offices) -> None:
    first, _ = offices
    subject, reader = "[secure] After all", first.somebody()
    first.send(subject, reader)
    path = f"/m/{first.mailbox(reader).wrapped(subject).token}"
    client = first.client()
    assert client.get(path).status == 200
    before = first.gateway.log.count('"portal_away"')
    ended = rows(
        first,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert len(ended) > 2 and all(one == (True,) for one in ended)
    assert client.submit(path, f"{path}/code").status == 303, "who asks for a code writes"
    digits = first.mailbox(reader).code().digits
    assert client.submit(f"{path}/code", f"{path}/open", code=digits).headers["location"].endswith("/read")
    assert WORD in client.get(f"{path}/body").text
    assert first.gateway.log.count('"portal_away"') == before


def test_an_outage_is_told_to_readers_while_it_lasts_and_to_the_log_once(offices: Offices, server: Cluster) -> None:
    first, second = offices
    subject, reader = "[secure] After all", first.somebody()
    first.send(subject, reader)
    path = f"/m/{first.mailbox(reader).wrapped(subject).token}"
    clients = [office.client() for office in offices for _ in range(3)]
    assert [client.get(path).status for client in clients] == [200] * 6
    server.halt()
    try:
        until(lambda: [client.get(path).status for client in clients] == [503] * 6, "all to hear of it")
        before = first.gateway.log.count('"portal_away"')
        assert [client.get(path).status for client in clients for _ in range(5)] == [503] * 30
        assert first.gateway.log.count('"portal_away"') - before <= 2, "a line for each fault, not for each page"
    finally:
        server.resume()
    for client in (clients[0], clients[3]):
        until(lambda client=client: client.get(path).status == 200, "the portals to be back", 60)  # type: ignore[misc]
    assert [client.get(path).status for client in clients for _ in range(3)] == [200] * 18, "back is back"
    client = clients[0]
    assert client.submit(path, f"{path}/code").status == 303
    digits = first.mailbox(reader).code().digits
    assert client.submit(f"{path}/code", f"{path}/open", code=digits).headers["location"].endswith("/read")
    assert WORD in client.get(f"{path}/body").text
    assert "portal_request_failed" not in first.gateway.log + second.gateway.log
    for office in offices:  # A worker rests between two tries at the database.
        until(lambda office=office: takes_mail(office), "mail to be taken again", 60)  # type: ignore[misc]


def takes_mail(office: Office) -> bool:
    return swaks(office.gateway.port, "--from", IDA, "--to", IDA, "--quit-after", "RCPT").code == 0
