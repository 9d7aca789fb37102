"""What the commands about protectors and recovery share: who answers, what is asked, and what is shown this once."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from getpass import GetPassWarning
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import say
from gateway.cli.reach import reach, settings_path

if TYPE_CHECKING:
    from gateway.app.custodian import Added, Custodian

MOST: Final = 8192  # Octets on standard input: 16 shares have at most some 3,000.

Vault = Annotated[str, typer.Argument(metavar="VAULT", help="Its name in gateway.toml, such as main.")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="The protector's name; default: by its kind.")]
SecretFile = Annotated[
    Path | None,
    typer.Option("--secret-file", metavar="FILE", help="A service's secret; a file that is not there is made."),
]
FromTerminal = Annotated[bool, typer.Option("--passphrase", help="A passphrase, asked for twice at the terminal.")]
FromInput = Annotated[bool, typer.Option("--passphrase-stdin", help="A passphrase on standard input, one line.")]
FromFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="A passphrase, the only line of FILE.")
]


def custodian(context: typer.Context, config: Path | None) -> Custodian:
    """Who minds the vaults of the settings. Raises BadSettings."""
    from gateway.app.custodian import Custodian
    from gateway.settings.load import loaded
    from gateway.world.chance import SystemChance

    ask = typed if reach(context).terminal() else None
    return Custodian(loaded(settings_path(config)), chance=SystemChance(), clock=reach(context).clock, ask=ask)


def typed(vault: str) -> bytes:
    """The passphrase that opens the vault, from the person at the terminal."""
    return hidden(f"Passphrase of vault {vault}").encode("utf-8", "surrogateescape")


def hidden(question: str) -> str:
    """What the person at the terminal answers, unseen."""
    answer: str = typer.prompt(question, hide_input=True, err=True)
    return answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """The protector that the options of a command ask for."""

    name: str | None
    secret_file: Path | None
    from_terminal: bool
    from_input: bool
    from_file: Path | None

    def add(self, keeper: Custodian, vault: str) -> tuple[Added, str]:
        """The protector, and a sentence on what to do with it. Exits with 2 where the options ask for none or two."""
        if sum((self.secret_file is not None, self.from_terminal, self.from_input, self.from_file is not None)) != 1:
            raise typer.BadParameter(
                "right would be one of --secret-file FILE, --passphrase, --passphrase-stdin, --passphrase-file FILE"
            )
        if self.secret_file is not None:
            added, made = keeper.add_secret(vault, self.secret_file, self.name)
            where = f"Its secret {'was made: it lies' if made else 'lies'} in {self.secret_file}."
            words = "Name it in [[vaults]] of gateway.toml: secret_file, or secret_credential for systemd."
            return added, f"{where} {words}"
        passphrase = _passphrase(self.from_input, self.from_file)
        words = "gateway serve asks for it at its terminal, where [[vaults]] names neither secret nor passphrase_file."
        return keeper.add_passphrase(vault, passphrase, self.name), words


def warn(fault: str | None) -> None:
    """Say why the gateway can't start like this, where it can't."""
    if fault is not None:
        complain(f"warning: the gateway can't start like this: {fault}")


def shown_once(vault: str, added: Added) -> None:
    """The digits or shares of a new recovery key."""
    if not added.shown:
        return
    if len(added.shown) == 1:
        print()
        say("Recovery key, shown this once:")
        print()
        groups = added.shown[0].split("-")
        for half in (groups[:4], groups[4:]):
            say(f"    {'-'.join(half)}")
        print()
        say("It opens the vault on the day when nothing else does. Write it down and keep it away from this machine.")
    else:
        say("Shares of the recovery key, shown this once; give each to one person alone:")
        for number, share in enumerate(added.shown, start=1):
            say(f"Share {number} of {len(added.shown)}:")
            say(f"    {share}")
        say("Enough of them together open the vault on the day when nothing else does.")
    say(f"Then prove that it is at hand: gateway key recovery verify {vault}")


def read_lines() -> list[str]:
    """What stands on standard input. Exits with 2 where it is too long or no text."""
    octets = sys.stdin.buffer.read(MOST + 1)
    if len(octets) > MOST:
        raise typer.BadParameter(f"standard input holds more than {MOST} octets")
    try:
        return octets.decode("utf-8-sig").splitlines()  # Editors and shells put a byte order mark in front.
    except UnicodeDecodeError:
        raise typer.BadParameter("what stands on standard input is not UTF-8") from None


def _passphrase(from_input: bool, from_file: Path | None) -> bytes:
    from gateway.keys.passphrase import BadPassphrase, checked
    from gateway.keys.providers.file.means import passphrase_in

    if from_file is not None:
        return passphrase_in(from_file)
    try:
        if from_input:
            return checked(sys.stdin.buffer.read(MOST + 1))
        return checked(_typed_twice().encode("utf-8", "surrogateescape"))
    except BadPassphrase as error:
        complain(str(error))
        raise typer.Exit(2) from error


def _typed_twice() -> str:
    """A new passphrase from the terminal, which may be there though standard input is something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)  # It would go on, and read what is no passphrase, or show one.
        try:
            text: str = typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
        except GetPassWarning:
            raise typer.BadParameter(
                "here is no terminal to ask at; right would be --passphrase-stdin or --passphrase-file FILE"
            ) from None
    return text
