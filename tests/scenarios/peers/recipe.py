"""A recipe of docs/administrator.md made to run here: the page's own text, with ports, addresses and paths put in."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.house.guide import recipe
from tests.scenarios.peers.certificates import Issued
from tests.scenarios.peers.gateway import Gateway


def cooked(heading: str, language: str, *put_in: tuple[str, object]) -> str:
    """The block under that heading, with each first word of `put_in` replaced by the second. Each must be there."""
    text = recipe(heading, language)
    for there, here in put_in:
        assert there in text, f"{there!r} stands no longer in the recipe {heading!r}"
        text = text.replace(there, str(here))
    return text


def serve(
    gateway: Gateway,
    heading: str,
    *put_in: tuple[str, object],
    certificate: Issued,
    files: dict[str, Path | str] | None = None,
    rest: str = "",
) -> Gateway:
    """Start the gateway with the recipe's settings on its port.

    `certificate` becomes certs/server.pem; `files` (a path, or the text itself) lie in its folder; `rest` is added.
    """
    text = cooked(heading, "toml", *put_in).replace('0.0.0.0:25"', f'127.0.0.1:{gateway.port}"')
    text = text.replace("[server]\n", "[server]\nworkers = 1\n") if "[server]\n" in text else f"{text}{WORKERS}"
    for name, content in {"certs/server.pem": certificate.certificate, "certs/server.key": certificate.key}.items():
        shutil.copy(content, gateway.folder / name)
    for name, given in (files or {}).items():
        file = gateway.folder / name
        file.write_text(given.read_text() if isinstance(given, Path) else given)
        file.chmod(0o600)
    gateway.config.write_text(text + rest)
    said = gateway.run("check")
    assert said.returncode == 0, said.stderr
    return gateway.start()


WORKERS = "\n[server]\nworkers = 1\n"
