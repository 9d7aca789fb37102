"""`gateway backup` and `gateway restore`: the whole of a gateway in one file, and a gateway from that file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, value
from gateway.cli.reach import reach, settings_path, speaking
from gateway.cli.words import count, plain

_MOST = 4096  # Octets of a passphrase that are read; more is the wrong file.

Stdin = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the passphrase for the root keys from standard input.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Read the passphrase for the root keys from FILE."),
]


def backup(
    context: typer.Context,
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The file to make; it must not be there yet.")],
    config: Config = None,
    without_vault: Annotated[
        bool,
        typer.Option(
            "--without-vault",
            help="Leave the root keys out. Without them nothing in the backup can be read: keep them elsewhere.",
        ),
    ] = False,
    passphrase_stdin: Stdin = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Write settings, rules, queue, trace and sealed root keys into one file, while the gateway serves or not."""
    from gateway.app.backup import Made
    from gateway.app.backup import backup as make
    from gateway.world.chance import SystemChance

    with speaking():
        path = settings_path(config)
        phrase = None
        if without_vault:
            _alone(passphrase_stdin, passphrase_file, "leaves the root keys out, so it takes no passphrase")
        else:
            phrase = _passphrase(context, passphrase_stdin, passphrase_file, twice=True)
            if phrase is None:
                complain(
                    "the root keys are written only under a passphrase; right would be --passphrase-stdin or "
                    "--passphrase-file, or --without-vault to leave them out"
                )
                raise typer.Exit(2)
        made: Made = make(path, dest, passphrase=phrase, clock=reach(context).clock, chance=SystemChance())
        if as_json:
            value(
                {
                    "backup": str(made.path),
                    "size": made.size,
                    "files": made.files,
                    "vaults": [{"name": one.name, "sealed": one.member is not None} for one in made.vaults],
                    "elsewhere": list(made.elsewhere),
                    "notes": list(made.notes),
                }
            )
            return
        say(f"Wrote {plain(made.path)}: {count(made.files, 'file')}, {made.size >> 10} KiB.")
        for vault in made.vaults:
            words = "sealed under the passphrase" if vault.member else "NOT in it"
            line(f"  vault {plain(vault.name)}:", f"root keys {words}")
        if without_vault:
            say("Without the root keys nobody can read what is in this file: keep the vault in a backup of its own.")
        _tell("Not in it, and named by the settings:", made.elsewhere)
        _tell("Note:", made.notes)
        say("What leaves the queue after this moment is sent once more if this backup is restored.")


def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="What `gateway backup` wrote.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="The folder to make; new, or empty.")],
    without_vault: Annotated[
        bool,
        typer.Option("--without-vault", help="Leave sealed root keys in the backup; the vault comes from elsewhere."),
    ] = False,
    passphrase_stdin: Stdin = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a folder out of a backup, from which the gateway serves. Verifies everything first; overwrites nothing."""
    from gateway.app.restore import restore as make
    from gateway.world.chance import SystemChance
    from gateway.world.clock import rfc3339

    with speaking():
        phrase = None
        if without_vault:
            _alone(passphrase_stdin, passphrase_file, "leaves the root keys in the backup, so it takes no passphrase")
        else:
            phrase = _passphrase(context, passphrase_stdin, passphrase_file, twice=False)
        done = make(source, into, passphrase=phrase, without_vault=without_vault, chance=SystemChance())
        said = done.manifest
        if as_json:
            value(
                {
                    "folder": str(done.folder),
                    "settings": str(done.settings),
                    "made": rfc3339(said.made),
                    "files": len(said.members),
                    "missing": list(done.missing),
                    "notes": list(done.notes),
                }
            )
            return
        say(f"Restored {plain(done.folder)} as it was at {rfc3339(said.made)}: {count(len(said.members), 'file')}.")
        _tell("Bring these files, which the settings name, from elsewhere:", done.missing)
        _tell("Note:", done.notes)
        say("What left the queue after that moment is sent once more: make sure that the former gateway does not run.")
        say(f"Next: gateway check --config {plain(done.settings)}")


def _tell(head: str, items: tuple[str, ...]) -> None:
    if items:
        say(head)
        for item in items:
            line(" ", plain(item))


def _alone(stdin: bool, file: Path | None, words: str) -> None:
    if stdin or file is not None:
        complain(f"--without-vault {words}")
        raise typer.Exit(2)


def _passphrase(context: typer.Context, stdin: bool, file: Path | None, *, twice: bool) -> bytes | None:
    """From where it was said, or from the person at the terminal; None where there is neither."""
    from gateway.keys.passphrase import BadPassphrase, checked

    if stdin and file is not None:
        complain("--passphrase-stdin and --passphrase-file exclude each other")
        raise typer.Exit(2)
    ways: list[Callable[[], bytes]] = []
    if stdin:
        ways.append(lambda: sys.stdin.buffer.read(_MOST))
    elif file is not None:
        ways.append(lambda: _read(file))
    elif reach(context).terminal():
        ways.append(lambda: _asked(twice))
    try:
        return checked(ways[0]()) if ways else None
    except BadPassphrase as error:
        complain(str(error))
        raise typer.Exit(2) from error


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST)
    except OSError as error:
        complain(f"{file}: {error.strerror}")
        raise typer.Exit(1) from error


def _asked(twice: bool) -> bytes:
    typed: str = typer.prompt("Passphrase for the root keys", hide_input=True, confirmation_prompt=twice, err=True)
    return typed.encode()
