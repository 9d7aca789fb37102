"""Have a newcomer's mail signed, and tell, before `gateway serve` starts, where it will listen and how to send some."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path


def sign(path: Path, command: str) -> str | None:
    """Make the demo's DKIM keys, where it has none: the domain in whose name mail is signed, or None."""
    domains = [one["domain"] for one in json.loads(_asked(path, command, "list", "--json") or "[]")]
    if not domains and (ours := _domains(path)) and _asked(path, command, "create", ours[0]):
        domains = ours
    return domains[0] if domains else None


def _asked(path: Path, command: str, *words: str) -> str:
    """What `gateway dkim key` answers, "" where it can't: a demo runs without signatures too."""
    whole = [command, "dkim", "key", *words, "--config", str(path)]
    return subprocess.run(whole, check=False, stdout=subprocess.PIPE, text=True).stdout


def _domains(path: Path) -> list[str]:
    settings = tomllib.loads(path.read_text("utf-8"))
    return [name if isinstance(name, str) else name["name"] for name in settings.get("accepted_domains", [])]


def hello(path: Path, command: str, signed: str | None = None) -> str:
    """What `make run` prints for the settings in `path`; `command` is how to call the gateway."""
    settings = tomllib.loads(path.read_text("utf-8"))
    listeners = [listener for listener in settings.get("listeners", []) if "listen" in listener]
    if not listeners:
        return f"Settings      {path}"
    first = listeners[0]
    domains = _domains(path)
    sender = f"ida@{domains[0] if domains else 'localhost'}"
    tls = {"none": "", "implicit": " --tls-on-connect"}.get(first.get("tls", "starttls"), " --tls")
    folders = [one["folder"] for one in settings.get("connectors", {}).get("outbound", []) if "folder" in one]
    lines = [
        f"Settings      {path}",
        f"Listening on  {', '.join(listener['listen'] for listener in listeners)}",
        *(f"Messages      land as .eml files in {path.parent / folder}" for folder in folders),
        *([f"Signed for    {signed} (DKIM): {command} dkim key show {signed} --config {path}"] if signed else []),
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
    settings_path, gateway = Path(sys.argv[1]), sys.argv[2]
    sys.stdout.write(hello(settings_path, gateway, sign(settings_path, gateway)) + "\n")
