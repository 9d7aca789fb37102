"""The command `gateway`: which commands there are, and in which order its help shows them."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from gateway.cli import authenticate as authentication
from gateway.cli import (
    backup,
    certificate,
    check,
    connector,
    dkim,
    held,
    init,
    inventory,
    key,
    mailbox,
    mailbox_content,
    policy,
    queue,
    reload,
    rights,
    rule,
    rule_test,
    send,
    serve,
    smime,
    status,
    trace,
    user,
    version,
)
from gateway.cli import migrate as migration
from gateway.cli.output import Config
from gateway.cli.reach import settings_path, speaking

START = "Start and change"
WATCH = "Mail and state"
CARE = "Care"

# In the order in which a newcomer needs them. Typer by itself puts groups of commands behind all others.
ORDER = (
    "init",
    "check",
    "serve",
    "reload",
    "status",
    "send",
    "queue",
    "held",
    "trace",
    "rule",
    "authenticate",
    "connector",
    "smime",
    "rights",
    "user",
    "mailbox",
    "policy",
    "dkim",
    "certificate",
    "key",
    "inventory",
    "backup",
    "restore",
    "migrate",
    "version",
)


class Ordered(TyperGroup):
    """The commands in the order of ORDER."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Their names, as the help shows them."""
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _serve(config: Config = None) -> None:
    """Start the gateway and stay in the foreground until it is told to stop."""
    with speaking():
        serve.run_named(settings_path(config))


def _migrate(config: Config = None) -> None:
    """Bring the databases to the form that this version expects; serve does it by itself."""
    with speaking():
        path = settings_path(config)
        raise typer.Exit(migration.run(path))


def _command_line() -> typer.Typer:
    whole = typer.Typer(
        cls=Ordered,
        name="gateway",
        help="A secure mail gateway: takes mail, keeps its promises about TLS, and never loses what it took.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # They would print local variables, and with them other people's mail.
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # A line each: the help of a command says more.
    for panel, name, short, command in (
        (START, "init", "Make a folder with settings, keys and certificates.", init.init),
        (START, "check", "Name every fault in settings and rules.", check.check),
        (START, "serve", "Start the gateway; it stays in the foreground.", _serve),
        (START, "reload", "Take settings and rules anew, without losing a connection.", reload.reload),
        (WATCH, "status", "What runs, what waits, what needs attention.", status.status),
        (WATCH, "send", "Send a test message and tell what became of it.", send.send),
        (WATCH, "trace", "Tell the story of a message.", trace.trace),
        (WATCH, "authenticate", "Judge who a message in a file really comes from.", authentication.authenticate),
        (CARE, "inventory", "Tell what is encrypted how, for an auditor.", inventory.inventory),
        (CARE, "backup", "Write the whole gateway into one file.", backup.backup),
        (CARE, "restore", "Make a gateway out of a backup.", backup.restore),
        (CARE, "migrate", "Bring the databases up to this version.", _migrate),
        (CARE, "version", "Say which version this is.", version.version),
    ):
        whole.command(name, short_help=short, rich_help_panel=panel)(command)
    whole.add_typer(queue.app, name="queue", rich_help_panel=WATCH)
    whole.add_typer(held.app, name="held", rich_help_panel=WATCH)
    rule.app.command("test")(rule_test.test)
    whole.add_typer(rule.app, name="rule", rich_help_panel=WATCH)
    whole.add_typer(connector.app, name="connector", rich_help_panel=WATCH)
    whole.add_typer(user.app, name="user", rich_help_panel=CARE)
    mailbox.app.command("roll")(mailbox_content.roll)
    mailbox.app.command("verify")(mailbox_content.verify)
    mailbox.app.command("export")(mailbox_content.export)
    mailbox.app.command("import")(mailbox_content.import_)
    whole.add_typer(mailbox.app, name="mailbox", rich_help_panel=CARE)
    whole.add_typer(policy.app, name="policy", rich_help_panel=CARE)
    whole.add_typer(dkim.app, name="dkim", rich_help_panel=CARE)
    whole.add_typer(certificate.app, name="certificate", rich_help_panel=CARE)
    whole.add_typer(smime.app, name="smime", rich_help_panel=WATCH)
    whole.add_typer(rights.app, name="rights", rich_help_panel=WATCH)
    whole.add_typer(key.app, name="key", rich_help_panel=CARE)
    return whole


app = _command_line()
