"""What was found of S/MIME signatures, as an Authentication-Results field (RFC 8601, RFC 7281). Pure.

Fields in our name that come from elsewhere are taken out as they arrive (`gateway.authenticate.arriving`). Leaves out:
serial number and issuer of the certificate, and the number of a part: what is judged is the whole message.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mail.opened import Layer, LayerKind, Opened, SignatureStatus

# RFC 7281 3: good, but by an algorithm that proves nothing any more, is for the receiver's policy to refuse.
_RESULTS: Final = {SignatureStatus.GOOD: "pass", SignatureStatus.BAD: "fail", SignatureStatus.WEAK: "policy"}
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
_WORD = re.compile(r"[a-z0-9-]{1,64}")
MOST: Final = 10  # Signatures that are told of; more than two are hardly ever seen.


def field(authserv_id: str, opened: Opened) -> bytes:
    """The whole field with its CR LF, a line for each signature; b"" where there is none."""
    found = [layer for layer in opened.layers if layer.kind is LayerKind.SIGNED and layer.status is not None]
    if not found:
        return b""
    lines = [f"Authentication-Results: {authserv_id}", *(_line(layer) for layer in found[:MOST])]
    return (";\r\n\t".join(lines) + "\r\n").encode("ascii", "replace")


def _line(layer: Layer) -> str:
    """Nothing but words of ours and an address that needs no quotes: what stands in a certificate is anybody's."""
    text = f"smime={_RESULTS[layer.status or SignatureStatus.BAD]}"
    if layer.reason is not None and _WORD.fullmatch(layer.reason):
        text += f" reason={layer.reason}"
    if layer.signer is not None and _ADDRESS.fullmatch(layer.signer):
        text += f"\r\n\t body.smime-identifier={layer.signer}"
    return text
