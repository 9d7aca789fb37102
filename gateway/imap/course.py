"""What pymap's connections go by: one value for all connections of a process."""

from __future__ import annotations

import ssl
from argparse import Namespace
from collections.abc import Sequence

from pymap.concurrent import Subsystem
from pymap.config import BackendCapability, IMAPConfig
from pymap.parsing import Params
from pysasl import SASLAuth
from pysasl.hashing import BuiltinHash

# Before anybody has logged in (RFC 7888, RFC 4959, RFC 2971, RFC 5161), and what comes on top afterwards.
BEFORE = (b"LITERAL+", b"SASL-IR", b"ID", b"ENABLE")
MECHANISMS = (b"AUTH=PLAIN", b"AUTH=LOGIN")
AFTER = (
    b"IDLE",
    b"UIDPLUS",
    b"MOVE",
    b"MULTIAPPEND",
    b"BINARY",
    b"CHILDREN",
    b"NAMESPACE",
    b"UNSELECT",
    b"SPECIAL-USE",
    b"CONDSTORE",
    b"ESEARCH",
    b"QUOTA",
    b"QUOTA=RES-STORAGE",
)

MAX_NAME = 4096  # Octets of a literal of APPEND that pymap reads: the folder's name, since messages are read by us.


class Course(IMAPConfig):
    """pymap's settings as we have them: TLS came first, mechanisms are ours, and no threads of its own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        nothing = Namespace(passlib_cfg=None, proxy_protocol=None)
        super().__init__(
            nothing,
            host=None,
            port=0,
            ssl_context=context,
            tls_enabled=False,
            hash_context=BuiltinHash(),
            cpu_subsystem=Subsystem.for_asyncio(),
            bad_command_limit=None,  # The state counts: pymap would hang up without a word.
            reject_dnsbl=False,
        )

    @property
    def backend_capability(self) -> BackendCapability:
        return BackendCapability(idle=True, object_id=False, multi_append=True)

    @property
    def initial_auth(self) -> SASLAuth:
        return SASLAuth([])  # The connection asks for name and password itself.

    @property
    def tls_auth(self) -> SASLAuth:
        return SASLAuth([])

    @property
    def parsing_params(self) -> Params:
        return Params(list_limit=1000, max_append_len=MAX_NAME)

    @property
    def greeting(self) -> bytes:
        return b"Ready"

    @property
    def initial_capability(self) -> Sequence[bytes]:
        return BEFORE

    @property
    def login_capability(self) -> Sequence[bytes]:
        return AFTER
