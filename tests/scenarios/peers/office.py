"""An office whose gateway has a portal, and what people in it and outside of it do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scenarios.peers.browser import DESK, Browser, Person
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.portal import LINK, Client, Mailbox, Wrapped, read
from tests.scenarios.peers.ports import answers, free_port, until
from tests.scenarios.peers.swaks import swaks

IDA, OTTO, ANNA, BERT = "ida@corp.example", "otto@partner.example", "anna@else.example", "bert@corp.example"
WORD = "Obsidianlark"  # Stands in every message, and must stand nowhere else.
TEXT = f"Good morning, {WORD}."


@dataclass
class Office:
    """The gateway, its next hop, and what people do with both."""

    gateway: Gateway
    hop: Hop
    portal: int
    browser: Browser | None = None
    people: int = 0
    clients: list[Client] = field(default_factory=list)

    @property
    def ca(self) -> Path:
        return self.gateway.folder / "certs" / "ca.pem"

    def send(self, subject: str, *recipients: str, text: str = TEXT, more: Sequence[str] = ()) -> None:
        """Ida writes by swaks; `more` are its options."""
        body = [] if "--data" in more else ["--header", f"Subject: {subject}", "--body", text]
        done = swaks(self.gateway.port, "--from", IDA, "--to", ",".join(recipients or (OTTO,)), *body, *more)
        assert done.code == 0, done.text

    def letter(self, subject: str, *recipients: str, text: str = TEXT) -> Wrapped:
        """Send it, and what the first recipient finds in his mailbox; somebody new where none is named."""
        people = recipients or (self.somebody(),)
        self.send(subject, *people, text=text)
        return self.mailbox(people[0]).wrapped(subject)

    def somebody(self) -> str:
        """An address that nobody has written to yet: so many codes for one reader are slowed down."""
        self.people += 1
        return f"reader{self.people}@partner.example"

    def mailbox(self, address: str) -> Mailbox:
        return Mailbox(self.hop, address)

    def client(self, source: str = "127.0.0.1") -> Client:
        one = Client(self.portal, self.ca, source)
        self.clients.append(one)
        return one

    def close(self) -> None:
        """Hang up."""
        for one in self.clients:
            one.close()

    def person_of(self, client: Client, width: int = DESK, **options: Any) -> Person:
        """Somebody whose browser has the cookies of that client."""
        one = self.person(width, **options)
        for name, value in client.cookies.items():
            one.page.context.add_cookies(
                [{"name": name, "value": value, "url": f"https://127.0.0.1:{self.portal}/", "secure": True}]
            )
        return one

    def person(self, width: int = DESK, **options: Any) -> Person:
        assert self.browser is not None
        return self.browser.person(width, **options)

    def signed_in(self, letter: Wrapped) -> Client:
        """A client that has asked for a code, found it and typed it."""
        one, path, address = self.client(), f"/m/{letter.token}", letter.reader
        before = len(self.mailbox(address).codes())
        asked = one.submit(path, f"{path}/code")
        assert asked.status == 303, (asked.status, asked.text)
        digits = self.mailbox(address).code(before).digits
        opened = one.submit(f"{path}/code", f"{path}/open", code=digits)
        assert (opened.status, opened.headers["location"].endswith("/read")) == (303, True), opened.text
        return one

    def status(self, message_id: str) -> Any:
        """What `gateway rights status` tells of a message."""
        return self.gateway.json("rights", "status", message_id)


@contextmanager
def open_office(
    folder: Path, scenario: Path, more: str = "", *, waits: bool = True, files: Mapping[str, bytes] | None = None
) -> Iterator[Office]:
    """With the settings and rules of that scenario, and `more` at the end of the settings; served while it lasts.

    `waits`: until the portal listens. `files` lie in its folder, for nobody else to read.
    """
    portal = free_port()
    with Hop() as hop:
        settings = (scenario / "gateway.toml").read_text()
        gateway = Gateway(folder, settings, HOP=hop.port, PORTAL=portal, MORE=more).init()
        shutil.rmtree(folder / "rules", ignore_errors=True)
        shutil.copytree(scenario / "rules", folder / "rules")
        for name, octets in (files or {}).items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(octets)
        try:
            gateway.start()
            if waits:
                until(lambda: answers(portal), f"the portal to listen\n{gateway.log}")
            office = Office(gateway, hop, portal)
            try:
                yield office
            finally:
                office.close()
        finally:
            gateway.remove()


def links(octets: bytes) -> set[str]:
    """The links to a portal in a mail, without where it is."""
    parts = [part for part in read(octets).walk() if part.get_content_maintype() == "text"]
    return {found.group(1) for part in parts for found in LINK.finditer(str(part.get_content()))}
