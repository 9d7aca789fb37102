"""A reader outside: what he finds in his mailbox, and a client for the portal that does what no browser would."""

from __future__ import annotations

import email
import http.client
import re
import ssl
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.scenarios.peers.hop import Got, Hop
from tests.scenarios.peers.ports import until

RPMSG = "application/x-microsoft-rpmsg-message"
LINK = re.compile(r"https://[^\s\"'<>]+/m/([A-Za-z0-9_-]{43})")
DIGITS = re.compile(r"(?<!\d)(\d{4})\s?(\d{4})(?!\d)")
FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
HIDDEN = re.compile(r"<input\b[^>]*type=\"hidden\"[^>]*>")
ATTRIBUTE = re.compile(r"\b(name|value|action|enctype)=\"([^\"]*)\"")
EDGE = "----edge"


def read(octets: bytes) -> EmailMessage:
    """A message as another mail program reads it."""
    found = email.message_from_bytes(octets, policy=default)
    assert isinstance(found, EmailMessage)
    return found


@dataclass(frozen=True)
class Wrapped:
    """One wrapped mail, as it lay in a mailbox."""

    octets: bytes
    message: EmailMessage
    reader: str = ""  # In whose mailbox.

    @classmethod
    def of(cls, octets: bytes, reader: str = "") -> Wrapped:
        return cls(octets, read(octets), reader)

    @property
    def plain(self) -> str:
        """The text part."""
        body = self.message.get_body(("plain",))
        assert body is not None, "the wrapped mail has no text part"
        return str(body.get_content())

    @property
    def html(self) -> str:
        """The HTML part."""
        body = self.message.get_body(("html",))
        assert body is not None, "the wrapped mail has no HTML part"
        return str(body.get_content())

    @property
    def link(self) -> str:
        """The one way to the portal: the same in both parts, and in the HTML part alone of its kind."""
        plain = {match.group(0) for match in LINK.finditer(self.plain)}
        html = {match.group(0) for match in LINK.finditer(self.html)}
        assert len(plain) == 1 and plain == html, (plain, html)
        (found,) = plain
        return found

    @property
    def token(self) -> str:
        return urlsplit(self.link).path.removeprefix("/m/")

    @property
    def rpmsg(self) -> bytes:
        """What is attached under its one name and type."""
        found = [one for one in self.message.walk() if one.get_content_type() == RPMSG]
        assert [one.get_filename() for one in found] == ["message.rpmsg"], found
        octets = found[0].get_payload(decode=True)
        assert isinstance(octets, bytes)
        return octets


@dataclass(frozen=True)
class Code:
    """One code mail."""

    digits: str
    octets: bytes
    text: str


def code(octets: bytes) -> Code | None:
    """What that message has of a code, None where it has none."""
    message = read(octets)
    if message["Auto-Submitted"] is None or any(one.get_content_type() == RPMSG for one in message.walk()):
        return None
    body = message.get_body(("plain",))
    text = str(body.get_content()) if body is not None else ""
    found = DIGITS.search(text)
    return Code("".join(found.groups()), octets, text) if found else None


class Mailbox:
    """What one address has got at a next hop, from the beginning."""

    def __init__(self, hop: Hop, address: str) -> None:
        self.hop, self.address = hop, address

    def all(self) -> list[Got]:
        return [one for one in self.hop.taken if self.address in one.recipients]

    def wrapped(self, subject: str) -> Wrapped:
        """The wrapped mail under that subject, once it is there."""

        def look() -> Wrapped | None:
            found = [Wrapped.of(one.octets, self.address) for one in self.all() if b"message.rpmsg" in one.octets]
            return next((one for one in found if one.message["Subject"] == subject), None)

        found = until(look, f"the wrapped mail {subject!r} for {self.address}", 30)
        assert found is not None
        return found

    def codes(self) -> list[Code]:
        """All codes that came, the newest last."""
        return [found for one in self.all() if (found := code(one.octets)) is not None]

    def code(self, before: int = 0) -> Code:
        """The newest code, once there are more than `before`."""
        return until(lambda: self.codes()[before:], f"a code for {self.address}", 30)[-1]


@dataclass
class Answer:
    """One answer of the portal."""

    status: int
    headers: Mapping[str, str]
    octets: bytes

    @property
    def text(self) -> str:
        return self.octets.decode()

    def forms(self) -> dict[str, tuple[dict[str, str], bool]]:
        """Its forms by their action: the hidden fields, and whether it is sent as multipart/form-data."""
        found = {}
        for head, inside in FORM.findall(self.text):
            own = dict(ATTRIBUTE.findall(head))
            hidden = [dict(ATTRIBUTE.findall(one)) for one in HIDDEN.findall(inside)]
            fields = {one["name"]: unescape(one.get("value", "")) for one in hidden}
            found[unescape(own["action"])] = fields, own.get("enctype") == "multipart/form-data"
        return found

    @property
    def csrf(self) -> str:
        """The value of the hidden field of its forms; "" where there is none."""
        return next((fields["csrf"] for fields, _ in self.forms().values() if "csrf" in fields), "")


@dataclass
class Client:
    """An HTTPS client that keeps cookies as a browser does, on one connection, and sends what it is told to.

    `source` is the loopback address from which it comes.
    """

    port: int
    ca: Path
    source: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPSConnection | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request and its answer; redirects are not followed. A header of None's text "" is left out."""
        sent = {"Host": self.host, "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **(headers or {})}
        connection = self._connection or self._connected()
        try:
            connection.request(method, path, body, {name: one for name, one in sent.items() if one})
            said = connection.getresponse()
            octets = said.read()
        except (http.client.HTTPException, OSError):
            self.close()
            raise
        if said.getheader("Connection", "").lower() == "close":
            self.close()
        for line in said.headers.get_all("Set-Cookie", []):
            for name, one in SimpleCookie(line).items():
                self.cookies[name] = one.value
                if one["max-age"] == "0":
                    del self.cookies[name]
        return Answer(said.status, {name.lower(): value for name, value in said.getheaders()}, octets)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """A form as a browser on that page would send it."""
        known = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"https://{self.host}",
            "Sec-Fetch-Site": "same-origin",
        }
        return self.ask("POST", path, urlencode(fields).encode(), {**known, **headers})

    def submit(self, page: str, action: str, **fields: str) -> Answer:
        """Look at `page`, fill in the form of that action, and send it as a browser would."""
        forms = self.get(page).forms()
        assert action in forms, (action, list(forms))
        hidden, is_multipart = forms[action]
        if not is_multipart:
            return self.post(action, {**hidden, **fields})
        parts = [
            f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in {**hidden, **fields}.items()
        ]
        body = "".join([*parts, f"--{EDGE}--\r\n"]).encode()
        head = {"Content-Type": f"multipart/form-data; boundary={EDGE}", "Origin": f"https://{self.host}"}
        return self.ask("POST", action, body, {**head, "Sec-Fetch-Site": "same-origin"})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.ca))
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=context, source_address=(self.source, 0)
        )
        return self._connection


def bits(token: str) -> int:
    """How many bits a link's token has."""
    return 8 * len(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
