"""What OpenSSL calls back during a handshake, without memory that is both writable and executable.

pyOpenSSL makes such callbacks with cffi, whose closures need that memory; a service with MemoryDenyWriteExecute has
none, and then not even the context can be made. ctypes' closures do without (libffi's static trampolines), so the two
that we need are made with it, and set on pyOpenSSL's own objects. That takes three of its private names: `_util`,
`Context._context`, `Connection._reverse_mapping`; a test under that very restriction holds them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import ffi, lib

_VERIFY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_NAMED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_TAKEN, _OK, _FATAL = 1, 0, 2  # The last two: SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_ALERT_FATAL.


def take_any_certificate(own: SSL.Context) -> Any:
    """Ask clients for a certificate and go on whatever it is. What comes back must live as long as `own`."""
    callback = _VERIFY(lambda good, store: _TAKEN)
    lib.SSL_CTX_set_verify(own._context, SSL.VERIFY_PEER, _pointer("int (*)(int, X509_STORE_CTX *)", callback))
    return callback


def on_server_name(own: SSL.Context, named: Callable[[SSL.Connection], None]) -> Any:
    """Call `named` at each handshake, before a certificate is chosen. What comes back must live as long as `own`."""

    def called(address: int, alert: int, argument: int) -> int:
        try:
            named(SSL.Connection._reverse_mapping[ffi.cast("SSL *", address)])
        except Exception:  # noqa: BLE001 - nothing may pass through OpenSSL; the handshake ends
            return _FATAL
        return _OK

    callback = _NAMED(called)
    lib.SSL_CTX_set_tlsext_servername_callback(own._context, _pointer("int (*)(SSL *, int *, void *)", callback))
    return callback


def _pointer(kind: str, callback: Any) -> Any:
    return ffi.cast(kind, ctypes.cast(callback, ctypes.c_void_p).value)
