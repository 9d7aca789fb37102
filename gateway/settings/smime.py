"""The section [smime] of gateway.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.settings.section import Section


class Smime(Section):
    """How mail is encrypted, signed, opened and judged. `gateway certificate import FILE` brings certificates."""

    trust_anchors: list[str] = Field(
        default=[],
        description="PEM files of the authorities by which signatures are judged; none: nobody's certificate is "
        "believed but those that were imported. A recipient's certificate that was imported is used as it stands.",
    )
    cipher: Literal["aes256-cbc", "aes256-gcm"] = Field(
        "aes256-cbc",
        description="Of what is encrypted; older mail programs read `aes256-cbc` alone. Where all recipients' "
        "certificates say that theirs read GCM, that is used.",
    )
    digest: Literal["sha256", "sha384", "sha512"] = Field("sha256", description="Of signatures.")
    sign_opaque: bool = Field(
        False,
        description="Signed as one PKCS#7 part; readable only where S/MIME is known, but nothing on the way breaks it.",
    )
    signing_identity: str | None = Field(
        None,
        description="Address whose imported certificate, with its key, signs for senders of ours who have none, where "
        "their domain has none either.",
    )
    deliver_decrypted: bool = Field(
        False,
        description="Mail that a key of ours opens goes on decrypted to those for whose certificates it was encrypted; "
        "an outbound connector may say otherwise. Default: rules see what is inside, the octets go on as they came.",
    )
    deliver_decrypted_by_domain: bool = Field(
        False,
        description="With `deliver_decrypted`: what was encrypted for the certificate of a whole domain goes on "
        "decrypted to everybody of that domain. Whoever of them gets hold of such a message can then send it to "
        "himself, and read what was meant for another.",
    )
