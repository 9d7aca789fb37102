"""What `gateway init --imap` makes besides: two vaults for the roots of a policy, its custodian's key, and the policy.

The vaults lie beside each other to begin with, each under a secret of its own; in earnest they belong to the customer:
a token, or files on disks that the gateway's administrator does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.keys.providers.file import custody, protectors
from gateway.keys.providers.file.sheet import Protector
from gateway.world.chance import Chance
from gateway.world.clock import Clock

POLICY: Final = "default"
ROOT: Final = "mail"  # The root key in each of the two vaults.
VAULTS: Final = ("root-a", "root-b")
CUSTODIAN: Final = "custodian.pem"  # In certs/; in earnest it is made, and stays, on the custodian's own machine.
CUSTODIAN_PUBLIC: Final = "custodian.pub.pem"


class NoPolicy(Exception):
    """The policy could not be made; the text is for people."""


Write = Callable[[Path, bytes, int], None]  # A file durably, with its octets and mode.


def secret_file(vault: str) -> str:
    """The file with what opens that vault."""
    return f"{vault}-secret"


def entries() -> tuple[str, ...]:
    """What is made in the folder, besides what lies in certs/."""
    return (*VAULTS, *(secret_file(vault) for vault in VAULTS))


def build_vaults(folder: Path, write: Write, clock: Clock, chance: Chance) -> None:
    """The two vaults, each with its root key, and the files with their secrets. Raises KeyFault, OSError."""
    for vault in VAULTS:
        secret, now = protectors.new_secret(chance), clock.now()
        write(folder / secret_file(vault), secret + b"\n", 0o600)
        (folder / vault).mkdir(mode=0o700)

        def maker(id_: str, master: bytes, secret: bytes = secret, now: float = now) -> Protector:
            return protectors.with_secret(id_, "service", secret, master, now=now, chance=chance)

        custody.create(folder / vault, (ROOT,), [maker], chance=chance, clock=clock)


def build_custodian(certs: Path, write: Write) -> None:
    """A pair of keys (EC P-256) for whoever may order that a policy is purged. Raises OSError."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write(certs / CUSTODIAN, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    write(certs / CUSTODIAN_PUBLIC, public, 0o644)


def build_policy(settings: Path, custodian: Path) -> None:
    """The default policy, in the database of the gateway whose settings stand there. Blocks; raises NoPolicy."""
    from gateway.app.console import Console, ConsoleFault  # Large: all that commands may ask for.

    roots = [f"{vault}/{ROOT}" for vault in VAULTS]
    try:
        Console.open(settings).ask(
            "policy.create", name=POLICY, roots=roots, default=True, custodian=custodian.read_text("ascii")
        )
    except ConsoleFault as fault:
        raise NoPolicy(str(fault)) from fault
