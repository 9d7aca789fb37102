"""An S3 server on loopback with its access rules on: moto's, in a process of its own. It is an emulator, no S3.

It knows users, their keys, signatures and which actions each may do, and forgets all of it with its process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.storage.mailbox_blob_objects import PROBE
from tests.scenarios.peers.ports import answers, free_port, until

REGION: Final = "us-east-1"
OWNER: Final = ("AKIAOWNER00000000000", "the owner's, before rules count")
ACTIONS: Final = {
    "read": ["s3:GetObject"],
    "write": ["s3:PutObject", "s3:AbortMultipartUpload"],
    "delete": ["s3:DeleteObject"],
    "owner": ["s3:*", "iam:*"],
}


@dataclass(frozen=True)
class Credential:
    """One access key."""

    id: str
    secret: str

    def write(self, path: Path) -> Path:
        """Two lines in a file for nobody else to read."""
        path.touch(mode=0o600)
        path.write_text(f"{self.id}\n{self.secret}\n")
        return path


class Bucket:
    """One bucket from entering to leaving the block. `freeze` makes it silent for a while.

    `users` are owner, read, write and delete, each of whom may do what ACTIONS says, and nothing else.
    """

    def __init__(self, name: str = "boxes") -> None:
        pytest.importorskip("moto.server", reason="moto, which plays S3, is not installed")
        self.name = name
        self.port = free_port()
        self.users: dict[str, Credential] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Bucket:
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._process = subprocess.Popen(command, env=environment, **quiet)  # type: ignore[call-overload]
        until(lambda: answers(self.port), "moto to listen")
        self._client("s3", Credential(*OWNER)).create_bucket(Bucket=self.name)
        for user in ACTIONS:
            self.users[user] = self.user(user)
        # From now on each request is judged.
        reset = urllib.request.Request(f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        with urllib.request.urlopen(reset, timeout=10) as said:
            assert said.status == 200
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def user(self, role: str, name: str = "") -> Credential:
        """A new user with a key, who may do what that role may; by its owner once rules count."""
        iam = self._client("iam", self.users.get("owner", Credential(*OWNER)))
        name = name or role
        iam.create_user(UserName=name)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ACTIONS[role], "Resource": "*"}]}
        iam.put_user_policy(UserName=name, PolicyName=role, PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credential(key["AccessKeyId"], key["SecretAccessKey"])

    def withdraw(self, name: str) -> None:
        """That user's key counts no more."""
        iam = self._client("iam", self.users["owner"])
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])

    def freeze(self, silent: bool = True) -> None:
        """It takes connections and says nothing, until it is woken with False."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if silent else signal.SIGCONT)

    def keys(self) -> list[str]:
        """Every object, as its owner sees it, but for the one that is always there."""
        pages = self._owner().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = sorted(one["Key"] for page in pages for one in page.get("Contents", []))
        return [key for key in keys if not key.endswith(PROBE)]

    def get(self, key: str) -> bytes:
        found: bytes = self._owner().get_object(Bucket=self.name, Key=key)["Body"].read()
        return found

    def put(self, key: str, octets: bytes) -> None:
        self._owner().put_object(Bucket=self.name, Key=key, Body=octets)

    def delete(self, key: str) -> None:
        self._owner().delete_object(Bucket=self.name, Key=key)

    def octets(self) -> bytes:
        """All octets of all objects, one behind the other."""
        return b"".join(self.get(key) for key in self.keys())

    def client(self, user: str) -> Any:
        """boto3's client with that user's key, to see that the rules hold."""
        return self._client("s3", self.users[user])

    def _owner(self) -> Any:
        return self._client("s3", self.users["owner"])

    def _client(self, service: str, who: Credential) -> Any:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=who.id,
            aws_secret_access_key=who.secret,
            config=Config(retries={"max_attempts": 1}),
        )
