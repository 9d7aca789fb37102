"""A gateway whose database, blobs and vault are searched by themselves: what it hides, and what is done to it."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.app import keyring
from gateway.app.database import open_shared
from gateway.app.file_vaults import means_of
from gateway.keys import domain
from gateway.keys.providers.file.vault import FileVault, sheet_in
from gateway.settings.load import loaded
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.search import needles, search

PASSWORD: Final = "Kakapo-7788-perambulate"
# Each stands in one place alone, and in no language of ours.
WORDS: Final = (
    "Zephyrquartz",  # subject
    "Obsidianlark",  # text
    "Gemütlichkeitsfuchs",  # text beyond ASCII
    "Cobaltmarmot",  # every line of what is large
    "Ferrousibex",  # a message that never ended
    "Quillfeather",  # the author's name
    "isidora.tansy",  # the author
    "thaddeus.wrenwick",  # a recipient
    "ottoline.umbrage",  # a recipient who has it
    "lysander.vetch",  # a recipient who was refused
    "zyxomma.example",  # a domain that is asked for in the DNS
    "tarantass-7",  # Message-ID
    "vexillum.example",  # HELO
    "kookaburra-88",  # ENVID
    "nexthopwhisper",  # what the next hop said
    "marigold.fen",  # an account
    "marigold-alias",  # and its address
    PASSWORD,
)
LARGE: Final = b"Cobaltmarmot says it once more, and once more after that.\r\n"
# Opening it takes what the vault holds; each would show some of the words.
READERS: Final = (
    ("queue", "list"), ("trace", "{id}"), ("user", "list"), ("queue", "show", "{id}.1"), ("trace", "--since", "7d"),
    ("dkim", "key", "list"), ("dkim", "key", "show", "corp.example"), ("queue", "hold", "--all"),
    ("key", "rotate", "main/default"),
)  # fmt: skip


@dataclass
class Story:
    """A gateway with all that there is to hide. `places` are the folders that somebody might get alone."""

    gateway: Gateway
    hop: Hop
    places: dict[str, Path]
    taken: list[str] = field(default_factory=list)
    unfinished: Raw | None = None
    clean: set[bytes] = field(default_factory=set)  # Digests of files in which nothing was found.

    def keys(self) -> dict[str, bytes]:
        """Every key that there is, as nobody but a test may see them."""
        settings = loaded(self.gateway.config)
        vault = keyring.vaults(settings)["main"]
        assert isinstance(vault, FileVault)
        sheet = sheet_in(self.gateway.folder / "vault")
        assert sheet is not None
        found = {"master key": means_of(settings, settings.settings.vaults[0]).master_of("main", sheet)}
        for name, key in vault._keys.items():
            for version in key.versions:
                octets = version.key.octets()
                found[f"{name} {version.number}"] = octets if len(octets) <= 64 else octets[-200:]
        with closing(open_shared(settings)) as shared:
            keys = domain.load(shared, keyring.vaults(settings))
            for purpose, number in keys.places():
                found[f"domain/{purpose} {number}"] = keys.secret(purpose, number)
        assert len(found) > 8
        return found


def send(story: Story, octets: bytes, *recipients: str, end: bool = True) -> str:
    """The reply to the message; without `end` the client stays in the middle of it."""
    client = Raw(story.gateway.port, seconds=60)
    client.reply()
    client.ask("EHLO vexillum.example")
    client.ask("MAIL FROM:<isidora.tansy@corp.example> BODY=8BITMIME RET=FULL ENVID=kookaburra-88")
    for one in recipients:
        client.ask(f"RCPT TO:<{one}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;{one}")
    assert client.ask("DATA").startswith("354")
    client.send(octets)
    if not end:
        story.unfinished = client
        return ""
    said = client.ask(".")
    client.close()
    assert said.startswith("250"), said
    id_ = said.split()[-1]
    story.taken.append(id_)
    return id_


def letter(text: bytes) -> bytes:
    return (
        'From: "Quillfeather" <isidora.tansy@corp.example>\r\nTo: <thaddeus.wrenwick@partner.example>\r\n'
        "Subject: Zephyrquartz\r\nMessage-ID: <tarantass-7@corp.example>\r\nDate: Tue, 3 Nov 2026 09:12:00 +0100\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Obsidianlark, und ein Gemütlichkeitsfuchs.\r\n"
    ).encode() + text


def prepare(story: Story) -> None:
    """Fill it with what there is to hide."""
    gateway, hop = story.gateway, story.hop
    added = gateway.run(
        "user", "add", "marigold.fen", "--address", "marigold-alias@corp.example", "--password-stdin",
        stdin=PASSWORD + "\n",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    made = gateway.run("dkim", "key", "create", "corp.example")
    assert made.returncode == 0, made.stderr
    gateway.start()
    send(story, letter(b""), "ottoline.umbrage@partner.example")
    hop.wait(2)  # The message, and the notice that it was relayed.
    hop.script({"RCPT": ["550 5.1.1 nexthopwhisper"]})
    refused = send(story, letter(b""), "lysander.vetch@partner.example")
    gateway.story(refused, "notified")
    hop.wait(3)
    hop.script({"MAIL": "450 4.2.1 nexthopwhisper"})
    waiting = send(story, letter(b""), "thaddeus.wrenwick@partner.example", "lysander.vetch@partner.example")
    gateway.tried(waiting)
    held = send(story, letter(LARGE * 200), "thaddeus.wrenwick@partner.example")
    gateway.tried(held)  # Nobody holds what is on its way.
    assert gateway.run("queue", "hold", held).returncode == 0
    large = send(story, letter(LARGE * 60_000), "thaddeus.wrenwick@partner.example")
    gateway.tried(large)
    gateway.tried(send(story, letter(b""), "thaddeus.wrenwick@zyxomma.example"))
    for _ in range(30):
        send(story, letter(b""), "thaddeus.wrenwick@partner.example")
    send(
        story, letter(LARGE.replace(b"Cobaltmarmot", b"Ferrousibex") * 60_000), "thaddeus.wrenwick@a.example", end=False
    )


def check_control(wanted: dict[bytes, tuple[str, str]], keys: dict[str, bytes], folder: Path) -> None:
    """The search finds each form of each thing where it stands, at the edge of a page and in a file's name too."""
    folder.mkdir()
    for number, octets in enumerate(wanted):
        (folder / f"{number}").write_bytes(bytes(4090) + octets + bytes(100))
    assert {(one.what, one.form) for one in search(folder, wanted)} >= set(wanted.values())
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "Zephyrquartz").touch()
    (folder / "x").write_bytes(b"x")
    assert [one.what for one in search(folder, {b"Zephyrquartz": ("Zephyrquartz", "UTF-8")})] == ["Zephyrquartz"]
    # And a whole message with the keys behind it shows each of them.
    plain = letter(LARGE) + " ".join(WORDS).encode() + b"".join(keys.values())
    (folder / "plain").write_bytes(plain)
    shown = {one.what for one in search(folder, wanted)}
    assert shown == {*WORDS, *keys}
    (folder / "plain").write_bytes(b"x" * 100 + zlib.compress(plain)[:-40] + b"x" * 100)  # Its end is lost.
    assert "Zephyrquartz" in {one.what for one in search(folder, wanted)}
    shutil.rmtree(folder)


def check_apart(story: Story, wanted: dict[bytes, tuple[str, str]]) -> None:
    """Each place alone says nothing."""
    for name, place in story.places.items():
        found = search(place, wanted, story.clean)
        assert found == [], f"{name} shows {sorted({(one.what, one.form, one.place) for one in found})[:20]}"


def check_closed(story: Story, why: str, readers: tuple[tuple[str, ...], ...] = READERS[:3]) -> None:
    """No reader of ours opens anything, and none says a word of it."""
    gateway = story.gateway
    for reader in readers:
        done = gateway.run(*(one.replace("{id}", story.taken[2]) for one in reader))
        assert done.returncode == 1, (why, reader, done.stdout)
        told = done.stdout + done.stderr
        assert not [word for word in WORDS if word.lower() in told.lower()], (why, reader, told)
        assert "Traceback" not in told, (why, reader, told)
    done = gateway.run("serve")
    assert done.returncode != 0, why
    assert not [word for word in WORDS if word in done.stdout + done.stderr], why


def tell(story: Story, make_gateway: Callable[..., Gateway], control: Path) -> None:
    """Each place alone says nothing, whatever happens to the gateway, and together they say all. `control` is made."""
    gateway = story.gateway
    prepare(story)
    keys = story.keys()
    wanted = needles(WORDS, keys)
    check_control(wanted, keys, control)
    if "blobs" in story.places:
        assert (
            sum(file.stat().st_size for file in story.places["blobs"].rglob("*") if file.is_file())
            > len(LARGE) * 60_000
        )

    check_apart(story, wanted)  # While it serves, in the middle of a message.
    gateway.kill()
    assert story.unfinished is not None
    story.unfinished.close()
    check_apart(story, wanted)
    gateway.start()
    assert gateway.stop() == 0
    check_apart(story, wanted)

    take_away(story, make_gateway)
    bring_back(story)
    check_apart(story, wanted)


def take_away(story: Story, make_gateway: Callable[..., Gateway]) -> None:
    """The vault's secret, the vault, both; then those of somebody else in their place."""
    folder = story.gateway.folder
    vault, secret = folder / "vault", folder / "service-secret"
    away = folder.parent / "away"
    away.mkdir()
    shutil.move(secret, away / "secret")
    check_closed(story, "without the service secret", READERS)
    listed = story.gateway.run(
        "key", "list"
    )  # Which says that the vault does not open, and names no key that is in it.
    assert "service-secret" in listed.stdout + listed.stderr
    assert "dkim." not in listed.stdout + listed.stderr
    shutil.move(vault, away / "vault")
    check_closed(story, "without vault and service secret", READERS[:1])
    shutil.copy(away / "secret", secret)
    check_closed(story, "without the vault", READERS[:1])
    other = make_gateway(URL="sqlite:data", BLOBS="", HOP=1, DEAD=1)
    shutil.copytree(other.folder / "vault", vault)
    shutil.copy(other.folder / "service-secret", secret)
    check_closed(story, "with the vault of somebody else")
    shutil.rmtree(vault)
    shutil.copytree(away / "vault", vault)
    check_closed(story, "with the service secret of somebody else", READERS[:1])
    shutil.copy(away / "secret", secret)
    shutil.rmtree(away)


def bring_back(story: Story) -> None:
    """All of it opens again, and all mail arrives."""
    gateway, hop = story.gateway, story.hop
    gateway.start()
    shown = json.dumps(
        [gateway.queue(), gateway.json("user", "list"), [gateway.events(id_) for id_ in story.taken[:3]]]
    )
    for word in (
        "isidora.tansy", "thaddeus.wrenwick", "zyxomma.example", "nexthopwhisper", "marigold.fen", "marigold-alias",
        "tarantass-7", "vexillum.example", "ottoline.umbrage",
    ):  # fmt: skip
        assert word in shown, word
    before = len(hop.taken)
    hop.healthy()
    assert gateway.run("queue", "release", story.taken[3]).returncode == 0
    expected = len(story.taken) - 3  # Less the first, the one that was refused, and the one that the DNS is asked for.
    hop.wait(before + expected, 60)

    def texts() -> list[bytes]:
        found = hop.taken[before:]
        return [got.octets for got in found if got.recipients[0].startswith(("thaddeus", "lysander"))]

    # A notice may come before the last of them does.
    until(lambda: sum(octets.count(b"Cobaltmarmot") for octets in texts()) >= 60_200, "all mail to arrive", 60)
    assert all("Gemütlichkeitsfuchs".encode() in octets for octets in texts())
    assert sum(octets.count(b"Cobaltmarmot") for octets in texts()) == 60_200
    assert gateway.stop() == 0
