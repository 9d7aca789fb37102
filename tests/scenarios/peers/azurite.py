"""Azurite's blob service on loopback, Microsoft's emulator of Azure Storage, where npm has installed it (`make long`
does); else a program `azurite-blob` in the path, or the one that GATEWAY_AZURITE names.

Who may do what is said by shared access signatures of the container, made here as Microsoft's page "Create a service
SAS" has them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from gateway.storage.mailbox_blob_objects import PROBE
from tests.scenarios.peers.ports import answers, free_port, until

ACCOUNT: Final = "devstoreaccount1"
# The key that every Azurite has, as its documentation prints it.
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION: Final = "2021-08-06"
PERMISSIONS: Final = {"read": "r", "write": "cw", "delete": "d", "owner": "rcwdl"}
MISSING: Final = "there is no Azurite here (npm's package azurite; GATEWAY_AZURITE names its azurite-blob)"


class Azurite:
    """One container from entering to leaving the block."""

    def __init__(self, container: str = "boxes") -> None:
        ours = Path(sys.prefix) / "azurite" / "node_modules" / ".bin" / "azurite-blob"  # Where `.ci/azurite` puts it.
        found = os.environ.get("GATEWAY_AZURITE") or (str(ours) if ours.exists() else shutil.which("azurite-blob"))
        if found is None:
            pytest.skip(MISSING)
        self._program = found
        self.container = container
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def __enter__(self) -> Azurite:
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-azurite-"))
        command = [
            self._program, "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", str(self._folder),
            "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        process = self._process
        until(lambda: answers(self.port) or process.poll() is not None, "Azurite to listen")
        assert process.poll() is None, f"{self._program} ended with {process.returncode}"
        self._ask("PUT", "", f"restype=container&{self._account_signature()}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def signature(self, role: str) -> str:
        """A shared access signature of the container for who may do what PERMISSIONS says of that role."""
        start, end = _moments()
        may = PERMISSIONS[role]
        resource = f"/blob/{ACCOUNT}/{self.container}"
        # Permissions, start, end, resource, identifier, address, protocol, version, kind, snapshot, scope, 5 headers.
        signed = "\n".join([may, start, end, resource, "", "", "", VERSION, "c", "", "", "", "", "", "", ""])
        fields = {"sv": VERSION, "st": start, "se": end, "sr": "c", "sp": may, "sig": _signed(signed)}
        return urlencode(fields)

    def write(self, role: str, path: Path) -> Path:
        """That role's signature in a file for nobody else to read."""
        path.touch(mode=0o600)
        path.write_text(f"{self.signature(role)}\n")
        return path

    def keys(self) -> list[str]:
        """Every blob but the one by which `gateway check` tries what it may do."""
        said = self._ask("GET", "", f"restype=container&comp=list&{self.signature('owner')}").decode()
        names = sorted(part.partition("</Name>")[0] for part in said.split("<Name>")[1:])
        return [name for name in names if not name.endswith(PROBE)]

    def get(self, key: str) -> bytes:
        return self._ask("GET", f"/{key}", self.signature("owner"))

    def put(self, key: str, octets: bytes) -> None:
        self._ask("PUT", f"/{key}", self.signature("owner"), octets)

    def delete(self, key: str) -> None:
        self._ask("DELETE", f"/{key}", self.signature("owner"))

    def octets(self) -> bytes:
        return b"".join(self.get(key) for key in self.keys())

    def _ask(self, method: str, path: str, query: str, octets: bytes | None = None) -> bytes:
        url = f"{self.endpoint}/{self.container}{path}?{query}"
        headers = {"x-ms-version": VERSION} | ({} if octets is None else {"x-ms-blob-type": "BlockBlob"})
        asked = urllib.request.Request(url, octets, headers, method=method)
        with urllib.request.urlopen(asked, timeout=20) as said:
            found: bytes = said.read()
        return found

    @staticmethod
    def _account_signature() -> str:
        start, end = _moments()
        signed = "\n".join([ACCOUNT, "rwdlac", "b", "sco", start, end, "", "", VERSION, "", ""])
        fields = {"sv": VERSION, "ss": "b", "srt": "sco", "sp": "rwdlac", "st": start, "se": end}
        return urlencode(fields | {"sig": _signed(signed)})


def _moments() -> tuple[str, str]:
    now = datetime.now(UTC)
    start, end = (one.strftime("%Y-%m-%dT%H:%M:%SZ") for one in (now - timedelta(hours=1), now + timedelta(hours=12)))
    return start, end


def _signed(text: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
