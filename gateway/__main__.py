"""`python -m gateway` and the command `gateway`.

Workers, the migration and the supervisor are started without the command line's libraries: Typer and Rich would cost
each of these processes a tenth of a second and some 15 MiB for as long as it runs.
"""

from __future__ import annotations

import sys

from gateway.cli import migrate, serve, worker


def main() -> None:
    """Run the command that the arguments name, and end with its exit status."""
    argv = sys.argv[1:]
    name, arguments = (argv[0], argv[1:]) if argv else ("", [])
    if name == "worker":
        sys.exit(worker.run(arguments))
    if name == "migrate" and (path := serve.settings_option(arguments)) is not None:
        sys.exit(migrate.run(path))
    if name == "serve" and (path := serve.settings_option(arguments)) is not None:
        sys.exit(serve.run(path))
    from gateway.cli.main import app

    app(prog_name="gateway")


if __name__ == "__main__":
    main()
