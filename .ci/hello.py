"""Tell a newcomer, before `gateway serve` starts, where it will listen and how to send it a first message."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def hello(path: Path, command: str) -> str:
    """What `make run` prints for the settings in `path`; `command` is how to call the gateway."""
    settings = tomllib.loads(path.read_text("utf-8"))
    listeners = [listener for listener in settings.get("listeners", []) if "listen" in listener]
    if not listeners:
        return f"Settings      {path}"
    first = listeners[0]
    domains = [name if isinstance(name, str) else name["name"] for name in settings.get("accepted_domains", [])]
    sender = f"ida@{domains[0] if domains else 'localhost'}"
    tls = {"none": "", "implicit": " --tls-on-connect"}.get(first.get("tls", "starttls"), " --tls")
    folders = [one["folder"] for one in settings.get("connectors", {}).get("outbound", []) if "folder" in one]
    lines = [
        f"Settings      {path}",
        f"Listening on  {', '.join(listener['listen'] for listener in listeners)}",
        *(f"Messages      land as .eml files in {path.parent / folder}" for folder in folders),
        "",
        "Send a first message from another terminal:",
        f"  {command} send --config {path}",
        "or, the same with swaks:",
        f"  swaks --server {first['listen']}{tls} --from {sender} --to otto@partner.example",
        "",
        "Ctrl-C stops it; what was accepted stays.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(hello(Path(sys.argv[1]), sys.argv[2]) + "\n")
