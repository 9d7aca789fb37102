"""`gateway init`: a folder with all that a gateway needs to start. Whole or not at all; nothing is ever overwritten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from gateway.app import devcerts, first_mailboxes, tenant
from gateway.app.first_rules import README, secure
from gateway.app.first_settings import first_settings
from gateway.connectors import patterns
from gateway.connectors.outbound import smart_host
from gateway.keys import access_head
from gateway.keys.providers.file import custody, digits, protectors
from gateway.keys.providers.file.means import DEFAULT as SECRET
from gateway.keys.providers.file.sheet import Kind
from gateway.keys.vault import KeyFault, KeyType
from gateway.settings.place import EVERYWHERE, BadPlace, listening, overlap, written
from gateway.world.chance import Chance
from gateway.world.clock import Clock

DOMAIN = "corp.example"
LISTEN = "127.0.0.1:2525"
SETTINGS = "gateway.toml"
SMTP = 25


class WrongUse(ValueError):
    """What was asked for makes no sense, or is not built yet. The text says what would be right."""


class Refusal(Exception):
    """Nothing was made, and why: something is there already, or the disk refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made: for telling it. `listen` are HOST:PORT, `next_hop` is None where mail goes into `outbox`. `portal`
    is HOST:PORT and `url` its address as browsers have it, None where there is none; `imap` is HOST:PORT likewise.

    `recovery_key`: the 48 digits that open the vault, which nobody can show again; None where none was wished for.
    """

    folder: Path
    settings: Path
    domains: tuple[str, ...]
    listen: tuple[str, ...]
    next_hop: str | None
    outbox: Path | None
    portal: str | None = None
    url: str | None = None
    imap: str | None = None
    recovery_key: str | None = field(default=None, repr=False)


def init(
    folder: Path,
    *,
    domains: Sequence[str] = (),
    listen: Sequence[str] = (),
    next_hop: str | None = None,
    portal: str | None = None,
    imap: str | None = None,
    recovery_key: bool = True,
    hostname: str,
    clock: Clock,
    chance: Chance,
) -> Made:
    """Make `folder` with settings, development certificates, vault and empty data folder; with `imap` also what
    mailboxes need, and their database with a policy.

    `domains` are those of ours, `hostname` is this machine's name, for the certificate, `recovery_key` says whether
    the vault gets one beside its service secret. Raises WrongUse or Refusal, and then leaves nothing behind.
    """
    ours = tuple(dict.fromkeys(_domain(text) for text in domains)) or (DOMAIN,)
    doors = tuple(dict.fromkeys(_door(text) for text in listen)) or (LISTEN,)
    hop = None if next_hop is None else _hop(next_hop)
    web = None if portal is None else _place_of("--portal", portal)
    mail = None if imap is None else _place_of("--imap", imap)
    faces = {"--portal": web, "--imap": mail}
    _apart({"--listen": doors} | {option: () if one is None else (one,) for option, one in faces.items()})
    made = Made(
        folder=folder,
        settings=folder / SETTINGS,
        domains=ours,
        listen=doors,
        next_hop=hop,
        outbox=folder / "outbox" if hop is None else None,
        portal=web,
        url=None if web is None else _url(web),
        imap=mail,
        recovery_key=digits.written(chance.octets(protectors.SEED_OCTETS)) if recovery_key else None,
    )
    try:
        _refuse_what_is_there(folder, made)
        _place(folder, made, hostname, clock, chance)
    except OSError as error:
        raise Refusal(f"{folder} could not be made: {error.strerror or error}. Nothing was left behind") from error
    except (KeyFault, first_mailboxes.NoPolicy) as error:
        raise Refusal(f"{folder} could not be made: {error}. Nothing was left behind") from error
    return made


def _domain(text: str) -> str:
    name = patterns.domain(text)
    if name is None:
        raise WrongUse(f"--domain {text!r} is no domain; right would be a name such as {DOMAIN}")
    return name


def _door(text: str) -> str:
    return _place_of("--listen", text)


def _place_of(option: str, text: str) -> str:
    try:
        return written(*listening(text))
    except BadPlace as error:
        raise WrongUse(f"{option} {text!r}: right would be {error}") from error


def _apart(doors: Mapping[str, tuple[str, ...]]) -> None:
    """Raises WrongUse where one takes all addresses of a port and another one of them."""
    named = [(option, place) for option, places in doors.items() for place in places]
    for (option, one), (other_option, other) in combinations(named, 2):
        if overlap(listening(one), listening(other)):
            raise WrongUse(
                f"{option} {one} and {other_option} {other} exclude each other; right would be one of the two"
            )


def _url(place: str) -> str:
    """As a browser on this machine finds it: of all addresses the name that stands in the certificate too."""
    host, port = listening(place)
    host = "localhost" if host in EVERYWHERE else host
    return f"https://{written(host, port)}".removesuffix(":443")


def _hop(text: str) -> str:
    try:
        return written(*smart_host(text, SMTP))
    except BadPlace as error:
        raise WrongUse(f"--next-hop {text!r}: right would be {error}") from error


def _entries(made: Made) -> tuple[str, ...]:
    """What is made, gateway.toml last: where it stands, everything else stands."""
    more = () if made.imap is None else first_mailboxes.entries()
    outbox = () if made.outbox is None else ("outbox",)
    return ("certs", "data", "vault", SECRET, *more, "rules", *outbox, SETTINGS)


def _refuse_what_is_there(folder: Path, made: Made) -> None:
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"{folder} is a file; right would be a new folder")
    if (folder / SETTINGS).exists():
        raise Refusal(f"{folder / SETTINGS} is there already and is not overwritten; choose another folder")
    for name in _entries(made):
        there = folder / name
        if there.is_symlink() or (there.exists() and not (there.is_dir() and not any(there.iterdir()))):
            raise Refusal(f"{there} is there already and is not overwritten; choose another folder")


def _place(folder: Path, made: Made, hostname: str, clock: Clock, chance: Chance) -> None:
    """Build everything under another name in the folder, then rename it into place. What fails is taken back."""
    created = [one for one in (folder, *folder.parents) if not one.exists()]
    draft = folder / f".init-{chance.octets(6).hex()}"
    placed: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        _build(draft, made, hostname, clock, chance)
        for name in _entries(made):
            (draft / name).rename(folder / name)
            placed.append(folder / name)
        draft.rmdir()
        _sync(folder)
    except BaseException:  # A Ctrl-C too leaves nothing.
        for path in (draft, *reversed(placed)):
            _remove(path)
        for path in created:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise


def _build(draft: Path, made: Made, hostname: str, clock: Clock, chance: Chance) -> None:
    now = clock.now()
    certs = draft / "certs"
    certs.mkdir(mode=0o755)
    authority = devcerts.authority(now, chance)
    server = devcerts.server(authority, _server_names(made, hostname), now, chance)
    _write(certs / "ca.pem", authority.certificate_pem, 0o644)
    _write(certs / "ca.key", authority.key_pem, 0o600)
    _write(certs / "server.pem", server.certificate_pem, 0o644)
    _write(certs / "server.key", server.key_pem, 0o600)
    if made.imap is not None:
        first_mailboxes.build_custodian(certs, _write)
    _sync(certs)
    (draft / "data").mkdir(mode=0o700)
    (draft / "vault").mkdir(mode=0o700)
    _build_vault(draft, made, clock, chance)
    if made.imap is not None:
        first_mailboxes.build_vaults(draft, _write, clock, chance)
    rules = draft / "rules"
    rules.mkdir(mode=0o755)
    _write(rules / "README.md", README.encode(), 0o644)
    _write(rules / "10-secure.yaml", secure(portal=made.portal is not None).encode(), 0o644)
    if made.outbox is not None:
        (draft / "outbox").mkdir(mode=0o700)  # Mail lies in it as it left, in clear.
    text = first_settings(made.domains, made.listen, made.next_hop, portal=made.portal, url=made.url, imap=made.imap)
    _write(draft / SETTINGS, text.encode(), 0o644)
    if made.imap is not None:
        first_mailboxes.build_policy(draft / SETTINGS, certs / first_mailboxes.CUSTODIAN_PUBLIC)


def _build_vault(draft: Path, made: Made, clock: Clock, chance: Chance) -> None:
    secret, now = protectors.new_secret(chance), clock.now()
    _write(draft / SECRET, secret + b"\n", 0o600)
    makers: list[custody.Maker] = [
        lambda id_, master: protectors.with_secret(id_, "service", secret, master, now=now, chance=chance)
    ]
    if made.recovery_key is not None:
        seed = digits.read(made.recovery_key)
        makers.append(
            lambda id_, master: protectors.with_seed(
                Kind.RECOVERY_KEY, id_, "recovery", seed, master, {}, now=now, chance=chance
            )
        )
    signers = {access_head.KEY: KeyType.EC_P256}  # Signs the key-access log.
    if made.portal is not None:
        signers[tenant.KEY] = tenant.TYPE
    custody.create(draft / "vault", ("default",), makers, signers=signers, chance=chance, clock=clock)


def _server_names(made: Made, hostname: str) -> list[str]:
    names = ["localhost"]
    if (name := patterns.domain(hostname)) is not None and "_" not in name:
        names.append(name)
    names += ["127.0.0.1", "::1"]
    places = (*made.listen, *(one for one in (made.portal, made.imap) if one is not None))
    doors = dict.fromkeys(listening(text)[0] for text in places)
    return names + [host for host in doors if host not in EVERYWHERE]


def _write(path: Path, octets: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # Whatever the umask: not less for secrets, not more for a certificate.
        file.write(octets)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
