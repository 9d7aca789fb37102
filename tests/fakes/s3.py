"""An S3 server on loopback: moto, on a thread of the tests. `stop` takes the store away, `start` brings it back."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.blob_terms import S3Terms

BUCKET = "mail"
KEY = "AKIDEXAMPLE"
SECRET = "SECRETEXAMPLE"


class S3:
    """One server with one bucket. What is stored outlives `stop`."""

    def __init__(self, folder: Path, port: int) -> None:
        """`folder` gets files with the keys."""
        pytest.importorskip("moto", reason="moto, which plays S3, is not installed")
        self.access_key_file = folder / "s3.id"
        self.secret_key_file = folder / "s3.key"
        self.access_key_file.write_text(f"{KEY}\n")
        self.secret_key_file.write_text(f"{SECRET}\n")
        self.secret_key_file.chmod(0o600)
        self.port = port
        self._server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> S3:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def make_bucket(self, name: str = BUCKET) -> None:
        self._ask().create_bucket(Bucket=name)

    def empty(self) -> None:
        """Forget all buckets."""
        from moto.s3.models import s3_backends

        for account in s3_backends.values():
            for backend in account.values():
                backend.reset()

    def keys(self) -> list[str]:
        """Every object of the bucket."""
        return sorted(one["Key"] for one in self._ask().list_objects_v2(Bucket=BUCKET).get("Contents", []))

    def octets(self) -> bytes:
        """All octets of all objects, one behind the other."""
        client = self._ask()
        return b"".join(client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in self.keys())

    def unfinished(self) -> list[str]:
        """Uploads that were begun and neither completed nor aborted."""
        return [one["Key"] for one in self._ask().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]

    def terms(self, bucket: str = BUCKET, prefix: str = "gateway") -> S3Terms:
        return S3Terms(
            bucket=bucket,
            prefix=prefix,
            endpoint=self.url,
            region="us-east-1",
            access_key_file=self.access_key_file,
            secret_key_file=self.secret_key_file,
            allow_http=True,
        )

    def _ask(self) -> Any:
        import boto3  # type: ignore[import-untyped]

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )
