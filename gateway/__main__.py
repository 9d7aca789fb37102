"""`python -m gateway` and the command `gateway`.

What serves and what migrates do without the command line's libraries: Typer and Rich would cost each of these
processes a tenth of a second and some 15 MiB for as long as it runs.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command that the arguments name, and end with its exit status."""
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:  # Wherever it was: nobody needs a traceback for Ctrl-C.
        sys.stderr.write("gateway: stopped\n")
        sys.exit(130)
    except SystemExit as ended:
        _end(ended)
        raise
    except OSError as error:
        _refused(error)
        raise


def _refused(error: OSError) -> None:
    """End where standard output took nothing, say, since its disk is full: with a sentence, as for any other file."""
    from gateway.world import os_error

    if os_error.is_mendable(error):
        sys.stderr.write(f"gateway: {os_error.words(error)}\n")
        sys.stderr.flush()
        os._exit(1)  # The interpreter's own end would try to write it once more, and say so.


def _end(ended: SystemExit) -> None:
    """End at once where threads of Rust are about: one that asks for an interpreter which is being taken down kills the
    process with SIGABRT, after all was done.
    """
    if "obstore" in sys.modules and (ended.code is None or isinstance(ended.code, int)):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)


def _go_without() -> None:
    """Have nothing load what nobody here uses: structlog would load Rich, with 5 MiB, for pretty lines, and SQLAlchemy
    greenlet, with 1, for its own way into asyncio. Either does without.
    """
    for name in ("rich", "greenlet"):
        sys.modules[name] = None  # type: ignore[assignment]  # So an import of it fails (the language reference, 5.3.1).


def _run(argv: list[str]) -> None:
    name, arguments = (argv[0], argv[1:]) if argv else ("", [])
    if name == "fork-server":
        _go_without()
        from gateway.cli import fork_server

        sys.exit(fork_server.run(arguments))
    if name in ("migrate", "serve"):
        from gateway.cli import migrate, serve

        if (path := serve.settings_option(arguments)) is not None:
            _go_without()
            sys.exit(migrate.run(path) if name == "migrate" else serve.run(path))
    from gateway.cli.main import app

    app(prog_name="gateway")


if __name__ == "__main__":
    main()
