"""Every error of PKCS#11 becomes one of three, and says vault and token."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from pkcs11 import PKCS11Error
from pkcs11 import exceptions as p11

from gateway.keys.providers.pkcs11 import public
from gateway.keys.providers.pkcs11.faults import is_lost, pin_refused, told
from gateway.keys.providers.pkcs11.public import _point
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.vault import Denied, KeyFault, Unavailable, VaultBroken

TERMS = TokenTerms(vault="main", module=Path("/lib/module.so"), token="gateway", pin=Path("/etc/pin"))
ALL = sorted(
    (kind for _, kind in inspect.getmembers(p11, inspect.isclass) if issubclass(kind, PKCS11Error)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_each_error_is_told_with_vault_token_and_its_name(kind: type[PKCS11Error]) -> None:
    said = told(kind(), TERMS, "wrapping by key 'default'")
    assert isinstance(said, KeyFault)
    assert str(said).startswith(
        f"token 'gateway' of vault 'main': wrapping by key 'default' failed ({kind.__name__}); "
    )


@pytest.mark.parametrize(
    ("error", "kind", "lost"),
    [
        (p11.DeviceRemoved(), Unavailable, True),
        (p11.SessionHandleInvalid(), Unavailable, True),
        (p11.TokenNotPresent(), Unavailable, True),
        (p11.UserNotLoggedIn(), Unavailable, True),
        (p11.GeneralError(), Unavailable, True),
        (p11.HostMemory(), Unavailable, False),
        (PKCS11Error("Unmapped error code 0x80000001"), Unavailable, True),  # A vendor's own.
        (PKCS11Error("Initialisation error (not initialized). Should never see this."), Unavailable, True),
        (PKCS11Error("Unmapped error code 0x68"), Denied, False),  # CKR_KEY_FUNCTION_NOT_PERMITTED
        (PKCS11Error("Unmapped error code 0x680"), Unavailable, True),
        (p11.FunctionRejected(), Denied, False),
        (p11.MechanismInvalid(), Denied, False),
        (p11.TokenWriteProtected(), Denied, False),
        (p11.WrappedKeyInvalid(), VaultBroken, False),
        (p11.EncryptedDataLenRange(), VaultBroken, False),
    ],
)
def test_what_passes_is_told_from_a_no_and_from_damage(error: PKCS11Error, kind: type[KeyFault], lost: bool) -> None:
    assert type(told(error, TERMS, "asking")) is kind
    assert is_lost(error) is lost


def test_only_words_about_the_pin_are_about_the_pin() -> None:
    about = [kind for kind in ALL if pin_refused(kind(), TERMS) is not None]
    assert {kind.__name__ for kind in about} == {
        "PinExpired",
        "PinIncorrect",
        "PinInvalid",
        "PinLenRange",
        "PinLocked",
        "UserPinNotInitialized",
    }


@pytest.mark.parametrize("length", sorted(public._POINTS.values()))
def test_a_point_is_read_with_and_without_its_wrapping(length: int) -> None:
    point = b"\x04" + bytes(range(1, length))
    assert _point(point, length) == point
    assert _point(b"\x04" + bytes([length]) + point, length) == point
    for bad in (b"", point[:-1], point + b"\0", b"\x05" + bytes([length]) + point, b"\x04\x00" + point):
        with pytest.raises(ValueError, match="no point"):
            _point(bad, length)
