"""What the DNS has to say about a key, so that others can verify with it (RFC 6376 3.6, RFC 8463 4). Pure.

Leaves out: putting it there.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from gateway.storage.dkim_keys import Algorithm, DkimKey

LONGEST_STRING: Final = 255  # Octets of one string of a TXT record (RFC 1035 3.3.14).
TTL: Final = 3600  # Seconds that others may remember the record.


def record_name(key: DkimKey) -> str:
    """Where it stands, without a dot at the end."""
    return f"{key.selector}._domainkey.{key.domain}"


def record_text(key: DkimKey) -> str:
    """What stands there, as one text. Raises ValueError for a public key that is none."""
    public = key.public
    kind = "rsa"
    if key.algorithm is Algorithm.ED25519:  # RFC 8463 4.2: the 32 octets alone, without what X.509 puts around them.
        kind = "ed25519"
        public = load_der_public_key(public).public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={kind}; p={b64encode(public).decode()}"


def zone_line(key: DkimKey) -> str:
    """The record as a line of a zone file (RFC 1035 5.1), in strings of 255 octets at most."""
    text = record_text(key)
    strings = [text[at : at + LONGEST_STRING] for at in range(0, len(text), LONGEST_STRING)]
    quoted = " ".join([f'"{one}"' for one in strings])
    return f"{record_name(key)}. {TTL} IN TXT {quoted}"
