"""A signer that signs whatever it is told to, rightly or wrongly, written without the gateway's own code."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

Kind = Literal["rsa", "ed25519"]

MESSAGE = (
    b"From: Ida Berg <ida@corp.example>\r\n"
    b"To: Otto Falk <otto@partner.example>\r\n"
    b"Subject:  quarterly   figures\r\n\tof  this year \r\n"
    b"Date: Tue, 03 Nov 2026 09:12:00 +0100\r\n"
    b"Message-ID: <1@corp.example>\r\n"
    b"\r\n"
    b"Good  morning \r\n\r\n  all is well\t\r\n\r\n\r\n"
)
NAME = "sel._domainkey.corp.example"


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """A key of that size; the same one each time, since making one takes long."""
    return rsa.generate_private_key(65537, bits)


@cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    """A key; the same one each time."""
    return ed25519.Ed25519PrivateKey.generate()


def record(kind: Kind = "rsa", bits: int = 2048, /, **tags: str | None) -> bytes:
    """The key record. `tags` replace its own, None leaves one out."""
    if kind == "ed25519":
        public = ed25519_key().public_key().public_bytes_raw()
    else:
        public = (
            rsa_key(bits)
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    own: dict[str, str | None] = {"v": "DKIM1", "k": kind, "p": base64.b64encode(public).decode()}
    return listed(own | tags).encode()


def listed(tags: dict[str, str | None]) -> str:
    """A list of tags."""
    return "; ".join(f"{name}={value}" for name, value in tags.items() if value is not None)


def sign(message: bytes = MESSAGE, kind: Kind = "rsa", bits: int = 2048, /, **tags: str | None) -> bytes:
    """The message with a DKIM-Signature on top that holds. `tags` replace its own, None leaves one out; they are signed
    too, so that the signature over what it says is right, however odd that is. An algorithm of a= unknown here signs as
    `kind` does.
    """
    head, _, body = message.partition(b"\r\n\r\n")
    given: dict[str, str | None] = {
        "v": "1",
        "a": f"{kind}-sha256",
        "c": "relaxed/relaxed",
        "d": "corp.example",
        "s": "sel",
        "h": "from:to:subject:date:message-id",
        "bh": "",
        **tags,
        "b": "",
    }
    how, _, body_how = (given["c"] or "simple/simple").partition("/")
    canonical = body_form(body, body_how or "simple")
    if given.get("l"):
        canonical = canonical[: int(given["l"] or 0)]
    if "bh" not in tags:
        given["bh"] = base64.b64encode(hashlib.sha256(canonical).digest()).decode()
    waiting = re.split(rb"\r\n(?![ \t])", head)
    signed = b""
    for name in (given["h"] or "").split(":"):
        found = [one for one in waiting if one.partition(b":")[0].strip().lower() == name.strip().lower().encode()]
        if found:
            place = len(waiting) - 1 - waiting[::-1].index(found[-1])
            signed += field_form(waiting.pop(place), how) + b"\r\n"
    own = f"DKIM-Signature: {listed(given)}".encode()
    signed += field_form(own, how)
    if kind == "ed25519":
        signature = ed25519_key().sign(hashlib.sha256(signed).digest())
    else:
        signature = rsa_key(bits).sign(signed, padding.PKCS1v15(), hashes.SHA256())
    if "b" in tags:
        return own + (tags["b"] or "").encode() + b"\r\n" + message
    return own + base64.b64encode(signature) + b"\r\n" + message


def field_form(field: bytes, how: str) -> bytes:
    """A field as RFC 6376 3.4.1 and 3.4.2 have it."""
    if how == "simple":
        return field
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()


def body_form(body: bytes, how: str) -> bytes:
    """A body as RFC 6376 3.4.3 and 3.4.4 have it."""
    lines = body.split(b"\r\n")
    if how == "relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if how == "relaxed" else b"\r\n"
    return b"\r\n".join(lines) + b"\r\n"
