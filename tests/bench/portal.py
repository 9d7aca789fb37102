"""What the portal takes: a page of 100 KiB, two hundred readers at once, an attachment of 10 MiB and its memory."""

from __future__ import annotations

import re
import statistics
import threading
import time
from email.message import EmailMessage

from tests.bench import memory, wrap
from tests.bench.wrap import WRAPPED
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.portal import Client, Mailbox
from tests.scenarios.peers.ports import answers, until
from tests.scenarios.peers.raw import Raw

READERS = 200
EACH = 100  # Readers of one message.
TURNS = 20
PAGE = 100 << 10
LARGE = 10 << 20


def figures() -> dict[str, float]:
    """Print them; give milliseconds of the page, errors among the readers, and times of the attachment's size."""
    with Hop() as hop, wrap.gateway(hop.port) as gateway:
        until(lambda: answers(_port(gateway)), "the portal to listen")
        page = _page(gateway, hop)
        errors, took = _crowd(gateway, hop)
        large, speed = _attachment(gateway, hop)
    print(
        f"portal    a page of 100 KiB in {page * 1000:.0f} ms; {READERS} readers at once in {took:.1f} s, {errors} "
        f"errors; an attachment of 10 MiB at {speed:.0f} MB/s, {large:.1f} times its size in memory",
        flush=True,
    )
    return {"portal-page": page * 1000, "portal-errors": errors, "portal-memory": large}


def _port(gateway: Gateway) -> int:
    return int(str(gateway.values["PORTAL"]))


def _letter(subject: str, text: str, octets: bytes = b"") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ida@corp.example", "undisclosed:;", subject
    message.set_content(text)
    message.add_alternative(f"<p>{text.replace(chr(10), '</p>' + chr(10) + '<p>')}</p>", subtype="html")
    if octets:
        message.add_attachment(octets, "application", "octet-stream", filename="large.bin")
    return bytes(message).replace(b"\n", b"\r\n")


def _send(gateway: Gateway, octets: bytes, people: list[str]) -> None:
    head = b"To: " + b",\r\n ".join(one.encode() for one in people) + b"\r\n"
    with Raw(gateway.port, seconds=120) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example>")
        for one in people:
            client.ask(f"RCPT TO:<{one}>")
        client.ask("DATA")
        client.send(octets.replace(b"To: undisclosed:;\r\n", head))
        said = client.ask(".")
    if not said.startswith("250"):
        raise SystemExit(f"portal: {said}")


def _signed_in(gateway: Gateway, hop: Hop, address: str, subject: str, source: str) -> tuple[Client, str]:
    """Somebody who has typed his code, and the path of his message."""
    path = f"/m/{Mailbox(hop, address).wrapped(subject).token}"
    client = Client(_port(gateway), gateway.folder / "certs" / "ca.pem", source)
    before = len(Mailbox(hop, address).codes())
    client.submit(path, f"{path}/code")
    digits = Mailbox(hop, address).code(before).digits
    said = client.submit(f"{path}/code", f"{path}/open", code=digits)
    if said.status != 303:
        raise SystemExit(f"portal: {said.status} instead of the message")
    return client, path


def _page(gateway: Gateway, hop: Hop) -> float:
    """Seconds that page and body take together, as one reader on one connection sees it."""
    subject, line = "A page", "Seventy octets of a text that says nothing and is as long as others.\n"
    _send(gateway, _letter(subject, line * (PAGE // len(line))), [f"page@{WRAPPED}"])
    client, path = _signed_in(gateway, hop, f"page@{WRAPPED}", subject, "127.0.0.1")
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        page, body = client.get(f"{path}/read"), client.get(f"{path}/body")
        times.append(time.perf_counter() - began)
        if (page.status, body.status) != (200, 200) or len(body.octets) < PAGE:
            raise SystemExit(f"portal: {page.status} and {body.status}, {len(body.octets)} octets")
    return statistics.median(times)


def _crowd(gateway: Gateway, hop: Hop) -> tuple[int, float]:
    """Errors, and seconds until all have read page and body, each with a session and a connection of his own."""
    people = [f"reader{number}@{WRAPPED}" for number in range(READERS)]
    for start in range(0, READERS, EACH):
        _send(gateway, _letter(f"For many {start}", "Good morning.\n" * 300), people[start : start + EACH])
    ready = [
        _signed_in(gateway, hop, one, f"For many {number // EACH * EACH}", f"127.0.{number + 1}.1")
        for number, one in enumerate(people)
    ]
    for client, _ in ready:
        client.close()
    errors: list[str] = []
    gate = threading.Barrier(READERS + 1)

    def one(client: Client, path: str) -> None:
        gate.wait()
        try:
            for what in ("read", "body"):
                if (said := client.get(f"{path}/{what}")).status != 200:
                    errors.append(str(said.status))
        except OSError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=one, args=each) for each in ready]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return len(errors), time.perf_counter() - began


def _attachment(gateway: Gateway, hop: Hop) -> tuple[float, float]:
    """How many times its size the portal's process grows while an attachment is taken, and MB/s."""
    subject, octets = "A large one", bytes(range(256)) * (LARGE // 256)
    _send(gateway, _letter(subject, "See the file.\n", octets), [f"large@{WRAPPED}"])
    client, path = _signed_in(gateway, hop, f"large@{WRAPPED}", subject, "127.0.0.1")
    shown = re.search(rf"{re.escape(path)}/file/\d+", client.get(f"{path}/read").text)
    if shown is None:
        raise SystemExit("portal: the page shows no attachment")
    client.get(shown.group(0))  # The first one also loads what stays loaded.
    time.sleep(1.0)
    pids = gateway.pids("portal")
    before, answers_ = memory.pss(pids), []
    began = time.perf_counter()
    most = memory.peak(pids, lambda: answers_.append(client.get(shown.group(0))))
    took = time.perf_counter() - began
    (found,) = answers_
    if found.octets != octets:
        raise SystemExit(f"portal: {found.status}, {len(found.octets)} octets of {len(octets)}")
    return (most - before) * 1024 / LARGE, LARGE / 1e6 / took
