"""The field that says what S/MIME signatures are worth: words of ours alone."""

from __future__ import annotations

import pytest

from gateway.mail.opened import Layer, LayerKind, Opened, SignatureStatus
from gateway.protect.results import MOST, field

ENVELOPED = Layer(kind=LayerKind.ENVELOPED, ok=True, recipient="ida@corp.example", algorithm="aes256-cbc")


def signed(status: SignatureStatus, signer: str | None = "otto@partner.example", reason: str | None = None) -> Layer:
    return Layer(kind=LayerKind.SIGNED, status=status, signer=signer, reason=reason)


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        (signed(SignatureStatus.GOOD), b"smime=pass\r\n\t body.smime-identifier=otto@partner.example"),
        (
            signed(SignatureStatus.BAD, reason="digest-mismatch"),
            b"smime=fail reason=digest-mismatch\r\n\t body.smime-identifier=otto@partner.example",
        ),
        (signed(SignatureStatus.WEAK, None, "weak-algorithm"), b"smime=policy reason=weak-algorithm"),
        (signed(SignatureStatus.GOOD, "CN=Otto; dkim=pass"), b"smime=pass"),
        (signed(SignatureStatus.GOOD, "a@x.example\r\nX: y"), b"smime=pass"),
        (signed(SignatureStatus.GOOD, "a@x.example; dkim=pass"), b"smime=pass"),
        (signed(SignatureStatus.BAD, None, "x; dkim=pass"), b"smime=fail"),
    ],
)
def test_each_signature_has_a_line(layer: Layer, line: bytes) -> None:
    found = field("mx.corp.example", Opened(layers=(ENVELOPED, layer)))
    assert found == b"Authentication-Results: mx.corp.example;\r\n\t" + line + b"\r\n"


def test_without_a_signature_there_is_no_field() -> None:
    assert field("mx.corp.example", Opened(layers=(ENVELOPED,))) == b""


def test_the_number_of_lines_is_bounded() -> None:
    layers = (signed(SignatureStatus.GOOD),) * (MOST + 1)
    assert field("mx.corp.example", Opened(layers=layers)).count(b"smime=pass") == MOST
