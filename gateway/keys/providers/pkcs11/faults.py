"""What a PKCS#11 error means: away (passing), denied (the token's or its owner's will), or something damaged.

What is not known counts as away: what is uncertain waits. The names of errors are those of python-pkcs11, which are
the CKR_ names in another spelling; they are said, since vendors' manuals are sorted by them.
"""

from __future__ import annotations

from typing import Final

from pkcs11 import exceptions as p11

from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.vault import Denied, KeyFault, Unavailable, VaultBroken

# The session, the login or the handles in it are no more; with a new session it may go on. `GeneralError` and
# `FunctionFailed` are what SoftHSM2 and network HSMs' clients say when their token has gone.
LOST: Final = (
    p11.DeviceError,
    p11.DeviceRemoved,
    p11.FunctionFailed,
    p11.GeneralError,
    p11.KeyHandleInvalid,
    p11.ObjectHandleInvalid,
    p11.OperationActive,
    p11.OperationNotInitialized,
    p11.SessionClosed,
    p11.SessionHandleInvalid,
    p11.SlotIDInvalid,
    p11.TokenNotPresent,
    p11.TokenNotRecognised,
    p11.UnwrappingKeyHandleInvalid,
    p11.UserNotLoggedIn,
    p11.WrappingKeyHandleInvalid,
)

_DENIED: Final = (
    p11.AttributeReadOnly,
    p11.AttributeSensitive,
    p11.FunctionNotSupported,
    p11.FunctionRejected,
    p11.KeyNotWrappable,
    p11.KeySizeRange,
    p11.KeyTypeInconsistent,
    p11.KeyUnextractable,
    p11.MechanismInvalid,
    p11.MechanismParamInvalid,
    p11.SessionReadOnly,
    p11.TemplateIncomplete,
    p11.TemplateInconsistent,
    p11.TokenWriteProtected,
    p11.UnwrappingKeyTypeInconsistent,
    p11.UserTooManyTypes,
    p11.WrappingKeyTypeInconsistent,
)

# Of what was given to the token to open.
DAMAGED: Final = (
    p11.DataInvalid,
    p11.DataLenRange,
    p11.EncryptedDataInvalid,
    p11.EncryptedDataLenRange,
    p11.UnwrappingKeySizeRange,
    p11.WrappedKeyInvalid,
    p11.WrappedKeyLenRange,
)

# Of the PIN, and a try of it is used up: so many, and the token locks itself. The token's other words about its PIN end
# by its officer's hand, which changes nothing here, so it is asked again.
COUNTED: Final = (p11.PinIncorrect, p11.PinInvalid, p11.PinLenRange)

_NOT_PERMITTED: Final = 0x68  # CKR_KEY_FUNCTION_NOT_PERMITTED, for which python-pkcs11 has no class of its own.


def is_lost(error: p11.PKCS11Error) -> bool:
    """Whether a new session may help: the known cases, and what python-pkcs11 does not know by name."""
    return isinstance(error, LOST) or (type(error) is p11.PKCS11Error and not _is_not_permitted(error))


def told(error: p11.PKCS11Error, terms: TokenTerms, doing: str) -> KeyFault:
    """The exception for whoever asked; `doing` is such as "wrapping by key 'default'"."""
    what = f"{where(terms)}: {doing} failed ({named(error)})"
    if isinstance(error, DAMAGED):
        return VaultBroken(f"{what}; what it was given is damaged, or was made by another token")
    if _is_not_permitted(error):
        return Denied(f"{what}; the key may not be used for that: look at its CKA_ attributes with the token's tool")
    if isinstance(error, p11.TokenWriteProtected | p11.SessionReadOnly):
        return Denied(f"{what}; the token is write protected: make the change with the token's own tool")
    if isinstance(error, _DENIED):
        return Denied(f"{what}; the token can't do that or does not allow it")
    return Unavailable(f"{what}; look whether the token is connected and its service runs")


def pin_refused(error: p11.PKCS11Error, terms: TokenTerms) -> Denied | None:
    """What to say where the token refuses the PIN, or None where that is not the matter."""
    here = where(terms)
    match error:
        case _ if isinstance(error, COUNTED):
            return Denied(
                f"{here} refuses the PIN in {terms.pin}. It is not tried again before that file changes, so that "
                "the token does not lock itself; right would be the PIN of the token's user"
            )
        case p11.PinLocked():
            return Denied(f"{here} has locked its user's PIN: its security officer can set a new one")
        case p11.PinExpired():
            return Denied(f"{here} says that the PIN in {terms.pin} has expired: set a new one with the token's tool")
        case p11.UserPinNotInitialized():
            return Denied(f"{here} has no user's PIN yet: its security officer sets it when the token is set up")
    return None


def where(terms: TokenTerms) -> str:
    """Vault and token, as each error names them."""
    return f"token {terms.token!r} of vault {terms.vault!r}"


def named(error: p11.PKCS11Error) -> str:
    """What the token said."""
    # The text of errors with a class of their own is empty; the others' has the number or what dlopen said.
    return str(error) or type(error).__name__


def _is_not_permitted(error: p11.PKCS11Error) -> bool:
    return type(error) is p11.PKCS11Error and str(error).endswith(f" {_NOT_PERMITTED:#x}")
