"""`gateway smime`: open and seal S/MIME messages in files. Needs no settings and no running gateway."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.reach import reach
from gateway.cli.words import plain

if TYPE_CHECKING:
    from gateway.app.smime_files import Given
    from gateway.mail.opened import Layer, Opened

MAX_MESSAGE = 256 * 1024 * 1024  # Octets; all of it is in memory, several times.
MAX_INPUT = 4096  # Octets of a password on standard input.
CIPHERS = ("aes256-cbc", "aes256-gcm")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The message as a file, or - for standard input.")]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE", help="The message as a file, or - for standard input.", show_default=False),
]
P12 = Annotated[
    list[Path] | None,
    typer.Option("--p12", metavar="FILE", help="A private key with its certificate, PKCS#12 or PEM; may be repeated."),
]
Password = Annotated[
    list[str] | None,
    typer.Option(
        metavar="P", help="What opens the key's file; one for each in their order, or one for all. Others may see it."
    ),
]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, up to the first line's end.")
]
TrustFile = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust", metavar="CA.pem", help="Certificates that are believed: authorities, or signers themselves."
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Where to write the message; - for standard output.")
]
To = Annotated[
    list[Path] | None,
    typer.Option("--to", metavar="CERT", help="A certificate to encrypt for; may be repeated, each sees the others."),
]
Sign = Annotated[
    list[Path] | None,
    typer.Option("--sign", metavar="FILE", help="A private key to sign with, with its certificate, PKCS#12 or PEM."),
]
Cipher = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="aes256-cbc or aes256-gcm; default: the second where all certificates say they know it."
    ),
]
Opaque = Annotated[bool, typer.Option("--opaque", help="Sign around the message, so that only S/MIME readers see it.")]

app = typer.Typer(name="smime", help="Open and seal S/MIME messages in files.", no_args_is_help=True)

_REASONS = {
    "structure-broken": "its structure is broken",
    "encoding-broken": "its base64 is damaged",
    "content-broken": "what was decrypted is no whole message; somebody may have changed it",
    "content-damaged": "the content or its key is damaged",
    "content-missing": "nothing is inside",
    "compressed": "it is compressed (RFC 3274), which is not opened here",
    "content-type-unknown": "it is of a kind that is not opened here",
    "not-the-whole-message": "it is one part beside others, and such a part is never opened",
    "too-many-layers": "there are too many layers",
    "no-recipient-of-ours": "it is not for any of the keys given",
    "key-does-not-fit": "the key is of another kind than the one it was encrypted for",
    "algorithm-unknown": "its algorithm is not known here",
    "digest-mismatch": "the content is not what was signed",
    "signature-wrong": "the signature is wrong",
    "signature-missing": "it holds certificates alone, nobody signed",
    "signer-mismatch": "the signer is not who the message is from",
    "certificate-missing": "the signer's certificate is not inside, and not among those given",
    "certificate-not-trusted": "no authority that was given stands behind the signer's certificate",
    "certificate-expired": "the signer's certificate has expired",
    "certificate-not-yet-valid": "the signer's certificate is not valid yet",
    "weak-algorithm": "the signature holds, by an algorithm that no longer proves anything",
}


@app.callback()
def _smime() -> None:
    """Open and seal S/MIME messages in files."""


@app.command("open")
def open_(
    context: typer.Context,
    file: File,
    p12: P12 = None,
    password: Password = None,
    password_stdin: FromInput = False,
    trust: TrustFile = None,
    out: Out = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell what is inside a message, layer by layer, outermost first; --out writes it as its reader sees it.

    Exit status 0: there are layers, each one opened, and no signature is bad. A signature is good where --trust names
    an authority above the signer, or his own certificate.
    """
    del config  # Taken, as by every command, and not needed.
    from gateway.app import smime_files as files

    if as_json and out == Path("-"):
        raise typer.BadParameter("--json and --out - would both write to standard output")
    _check_input(file, p12, password, password_stdin, "--p12")
    with _speaking():
        passwords = [_read_password()] if password_stdin else password or []
        keys = files.identities(_given(p12), passwords)
        anchors = files.certificates(_given(trust))
        found = files.opened(_message(file), keys, anchors, reach(context).clock.now())
        if out is not None and found.octets is not None and found.layers:
            _write(out, found.octets)
    if as_json:
        value({"layers": [layer.row() for layer in found.layers]})
    elif out != Path("-"):
        _tell(file, found, out)
    if not found.layers:
        complain(f"{file}: is neither signed nor encrypted")
    elif out is not None and found.octets is None:
        complain(f"{out}: not written, since what is inside could not be read")
    raise typer.Exit(0 if found.layers and all(_is_well(layer) for layer in found.layers) else 1)


@app.command()
def seal(
    context: typer.Context,
    files: Files,
    to: To = None,
    signer: Sign = None,
    cipher: Cipher = None,
    opaque: Opaque = False,
    password: Password = None,
    password_stdin: FromInput = False,
    out: Out = None,
    config: Config = None,
) -> None:
    """Encrypt a message for the owners of certificates, sign it, or both (first signed, then encrypted).

    Standard output gets the sealed message unless --out names a file. Header fields stay readable.
    """
    del config  # Taken, as by every command, and not needed.
    from gateway.app import smime_files

    file, *more = files
    to = [*(to or []), *more]  # `--to A B`, as a shell's pattern gives it.
    if more and len(to) == len(more):
        raise typer.BadParameter(f"{plain(more[0])} is one file too many; certificates are named by --to")
    if not to and not signer:
        raise typer.BadParameter("say --to CERT to encrypt, --sign FILE to sign, or both")
    if cipher is not None and (cipher not in CIPHERS or not to):
        raise typer.BadParameter(f"--cipher goes with --to and is one of {', '.join(CIPHERS)}")
    if opaque and not signer:
        raise typer.BadParameter("--opaque says how to sign, so it goes with --sign")
    _check_input(file, signer, password, password_stdin, "--sign")
    with _speaking():
        now = reach(context).clock.now()
        passwords = [_read_password()] if password_stdin else password or []
        signers = smime_files.identities(_given(signer), passwords)
        people = smime_files.recipients(_given(to), now)
        octets = smime_files.sealed(_message(file), people, signers, now, cipher=cipher, opaque=opaque)
        _write(out or Path("-"), octets)


def _check_input(
    file: Path, keys: list[Path] | None, password: list[str] | None, from_input: bool, option: str
) -> None:
    if (password or from_input) and not keys:
        raise typer.BadParameter(f"a password goes with {option}, whose file it opens")
    if from_input and password:
        raise typer.BadParameter("--password and --password-stdin exclude each other")
    if from_input and file == Path("-"):
        raise typer.BadParameter("standard input can't be both the message and the password")


@contextmanager
def _speaking() -> Iterator[None]:
    """Tell faults of files on standard error and exit with status 1."""
    from gateway.app.smime_files import FileFault

    try:
        yield
    except FileFault as fault:
        complain(str(fault))
        raise typer.Exit(1) from None
    except OSError as error:
        complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
        raise typer.Exit(1) from None


def _given(paths: list[Path] | None) -> list[Given]:
    from gateway.app.smime_files import Given
    from gateway.smime.certificate_file import MAX_FILE

    found = []
    for path in paths or ():
        with path.open("rb") as file:
            found.append(Given(path, file.read(MAX_FILE + 1)))
    return found


def _message(path: Path) -> bytes:
    from gateway.app.smime_files import FileFault

    if path == Path("-"):
        octets = sys.stdin.buffer.read(MAX_MESSAGE + 1)
    else:
        with path.open("rb") as file:
            octets = file.read(MAX_MESSAGE + 1)
    if len(octets) > MAX_MESSAGE:
        raise FileFault(f"{path}: found a larger message; right would be one of at most {MAX_MESSAGE} octets")
    return octets


def _read_password() -> str:
    """The first line of standard input; it may be empty, as some files' passwords are."""
    octets = sys.stdin.buffer.readline(MAX_INPUT + 1)
    if len(octets) > MAX_INPUT:
        raise typer.BadParameter("standard input holds more than a password in its first line")
    try:
        return octets.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise typer.BadParameter("the password on standard input is not UTF-8") from None


def _write(path: Path, octets: bytes) -> None:
    if path == Path("-"):
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
        return
    # What was encrypted is for whoever asked, not for everybody on the machine.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(octets)


def _is_well(layer: Layer) -> bool:
    from gateway.mail.opened import LayerKind, SignatureStatus

    if layer.kind is LayerKind.ENVELOPED:
        return bool(layer.ok)
    return layer.status is not SignatureStatus.BAD


def _tell(file: Path, found: Opened, out: Path | None) -> None:
    if not found.layers:
        return
    rows = [_row(layer) for layer in found.layers]
    table(("layer", "result", "who", "algorithm", "why"), rows)
    if out is not None and found.octets is not None:
        say(f"\nThe message as its reader sees it is in {plain(out)}.")


def _row(layer: Layer) -> tuple[str, str, str, str, str]:
    from gateway.mail.opened import LayerKind

    why = "" if layer.reason is None else _REASONS.get(layer.reason, layer.reason)
    if layer.kind is LayerKind.ENVELOPED and layer.ok and layer.reason == "weak-algorithm":
        why = "its cipher is weak: others may have read it"
    if layer.kind is LayerKind.ENVELOPED:
        result = "opened" if layer.ok else "closed"
        return "encrypted", result, plain(layer.recipient or "-"), plain(layer.algorithm or "-"), why
    return "signed", str(layer.status), plain(layer.signer or "-"), "-", why
