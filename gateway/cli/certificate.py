"""`gateway certificate`: certificates for S/MIME, partners' and our own."""

from __future__ import annotations

import os
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.reach import console, reach, speaking
from gateway.cli.words import count, moment, plain, some

MAX_FILE = 4 << 20  # Octets. A thousand certificates have two MiB.
MAX_PASSWORD = 4096  # Octets on standard input.

File = Annotated[Path, typer.Argument(metavar="FILE", help="PEM, DER, PKCS#7 (.p7b) or PKCS#12 (.p12, .pfx).")]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="An address, a domain, or 8 and more digits of a fingerprint.")
]
Addresses = Annotated[
    list[str] | None,
    typer.Option("--address", metavar="ADDRESS", help="The certificate is used for this address too. May repeat."),
]
Domains = Annotated[
    list[str] | None,
    typer.Option("--domain", metavar="DOMAIN", help="It is used for everybody in this domain. May repeat."),
]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the file's password from standard input, up to the line's end.")
]
Private = Annotated[bool, typer.Option("--private", help="With the private key: a PKCS#12 file under a password.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write; default: standard output.")]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing, also where a private key goes.")]

app = typer.Typer(name="certificate", help="Certificates for S/MIME.", no_args_is_help=True)


@app.callback()
def _certificate() -> None:
    """Certificates for S/MIME: partners', for whom mail is encrypted, and our own, with their private keys."""


@app.command("import")
def import_(
    context: typer.Context,
    file: File,
    password_stdin: FromInput = False,
    addresses: Addresses = None,
    domains: Domains = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take all certificates of a file, and the private keys in it, and use them at once."""
    octets = _read(file)
    password = _password(context, "The file's password") if password_stdin else None
    with speaking():
        answer = console(context, config).ask(
            "certificate.import",
            octets=b64encode(octets).decode(),
            file=str(file),
            password=password,
            addresses=addresses or [],
            domains=domains or [],
        )
        if as_json:
            value(answer)
        else:
            for one in answer["certificates"]:
                _told(one)
            if tried := answer.get("tried"):
                words = count(len(tried), "delivery", "deliveries")
                say(
                    f"Tried again: {words} that waited for S/MIME ({some(tried)}); gateway queue list shows what stays."
                )
        for warning in answer["warnings"]:
            complain(f"warning: {warning}")


@app.command("list")
def list_(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show all certificates, ours first."""
    with speaking():
        rows = console(context, config).ask("certificate.list")
        if as_json:
            value(rows)
        elif rows:
            columns = ("fingerprint", "used for", "key", "for", "until", "state")
            table(columns, [_row(one) for one in rows])
        else:
            say("No certificate is known. To bring some: gateway certificate import FILE")


@app.command()
def show(context: typer.Context, name: Name, config: Config = None, as_json: Json = False) -> None:
    """Show all that is known of a certificate."""
    with speaking():
        rows = console(context, config).ask("certificate.show", name=name)
        if as_json:
            value(rows)
            return
        for place, one in enumerate(rows):
            if place:
                print()
            _paragraph(one)


@app.command()
def export(
    context: typer.Context,
    name: Name,
    private: Private = False,
    password_stdin: FromInput = False,
    out: Out = None,
    config: Config = None,
) -> None:
    """Write a certificate with its chain as PEM, or with its private key as PKCS#12."""
    if private and not password_stdin:
        raise typer.BadParameter("--private writes a PKCS#12 file, whose password --password-stdin reads")
    if private and out is None:
        raise typer.BadParameter("--private needs --out FILE")
    if password_stdin and not private:
        raise typer.BadParameter("--password-stdin goes with --private alone")
    password = _password(context, "A password for the PKCS#12 file", twice=True) if private else ""
    with speaking():
        ask = console(context, config).ask
        if private:
            answer = ask("certificate.private", name=name, password=password)
            octets = b64decode(answer["pkcs12"])
        else:
            octets = ask("certificate.export", name=name)["pem"].encode()
        if out is None:
            sys.stdout.write(octets.decode())
            return
        _write(out, octets, secret=private)
        say(f"Wrote {plain(out)}." + (" It holds a private key: keep it with care." if private else ""))


@app.command()
def remove(context: typer.Context, name: Name, yes: Yes = False, config: Config = None, as_json: Json = False) -> None:
    """Forget a certificate, and its private key where that is ours."""
    with speaking():
        there = console(context, config)
        keys_too = yes
        if not yes and reach(context).terminal():
            mine = [one for one in there.ask("certificate.show", name=name) if one["private_key"]]
            if mine:
                question = f"Remove {_who(mine[0])} with its private key, and lose all mail that only it opens?"
                if not typer.confirm(question, err=True):
                    raise typer.Exit(1)
                keys_too = True
        answer = there.ask("certificate.remove", name=name, keys_too=keys_too)
        if as_json:
            value(answer)
        else:
            for one in answer["removed"]:
                say(f"Removed {_who(one)}.")


def _told(one: dict[str, Any]) -> None:
    """What an import found, in a sentence."""
    began = "Already there" if one["was_there"] else "Imported"
    uses = _uses(one)
    say(f"{began}: {_who(one)}, {plain(one['key'])}, until {moment(one['valid_until'])}; {uses}.")


def _row(one: dict[str, Any]) -> list[str]:
    return [
        plain(one["fingerprint"])[:16],
        _names(one),
        plain(one["key"]),
        _uses(one),
        moment(one["valid_until"]),
        plain(one["state"]).replace("_", " "),
    ]


def _names(one: dict[str, Any]) -> str:
    return some([*one["addresses"], *(f"everybody in {domain}" for domain in one["domains"])], 3) or "-"


def _who(one: dict[str, Any]) -> str:
    return f"{_names(one)} ({plain(one['fingerprint'])[:16]})"


def _uses(one: dict[str, Any]) -> str:
    """What it does at present."""
    found = ["encrypting"] if one["encrypts"] else []
    if one["private_key"]:
        found += ["opening"] + (["signing"] if one["signs"] else [])
    elif one["verifies"]:
        found.append("verifying")
    return ", ".join(found) or "nothing"


def _paragraph(one: dict[str, Any]) -> None:
    print(plain(one["fingerprint"]))
    for head, text in (
        ("used for", _names(one)),
        ("does", _uses(one)),
        ("subject", plain(one["subject"])),
        ("issuer", plain(one["issuer"])),
        ("serial", plain(one["serial"])),
        ("names", some(one["names"]) or "no address"),
        ("key", f"{plain(one['key'])}, signed with {plain(one['signed_with'])}"),
        ("valid", f"{moment(one['valid_from'])} to {moment(one['valid_until'])}"),
        ("private key", "here, sealed" if one["private_key"] else "not ours"),
        ("chain", count(len(one["chain"]), "certificate")),
        ("reasons", some(one["reasons"]) or "none"),
        ("imported", moment(one["imported"])),
    ):
        line(f"  {head + ':':13}", text)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            octets = stream.read(MAX_FILE + 1)
    except OSError as error:
        complain(f"{file} can't be read: {error.strerror}")
        raise typer.Exit(1) from error
    if len(octets) > MAX_FILE:
        complain(f"{file} has more than {MAX_FILE} octets; right would be fewer certificates in one file")
        raise typer.Exit(1)
    return octets


def _write(path: Path, octets: bytes, *, secret: bool) -> None:
    """A new file; a secret one is of mode 0600 from its first octet on."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600 if secret else 0o644)
    except OSError as error:
        complain(f"{path} can't be written: {error.strerror}")
        raise typer.Exit(1) from error
    with os.fdopen(handle, "wb") as stream:
        stream.write(octets)


def _password(context: typer.Context, prompt: str, *, twice: bool = False) -> str:
    """From standard input; where that is a terminal, typed unseen."""
    if reach(context).terminal():
        typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True, default="")
        return typed
    octets = sys.stdin.buffer.readline(MAX_PASSWORD + 1)
    if len(octets) > MAX_PASSWORD:
        raise typer.BadParameter(f"the password has more than {MAX_PASSWORD} octets")
    try:
        return octets.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise typer.BadParameter("the password is no UTF-8") from error
