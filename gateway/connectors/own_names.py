"""A listener with certificates for several names: which one a client gets to see (SNI, RFC 6066 3, RFC 9525 6.3)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.connectors import pem
from gateway.connectors.tls import names_of, normal_name, server_context


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """PEM files of one certificate of ours: the chain with ours first, and its key, perhaps in one file."""

    certificate: Path
    key: Path


class OwnNames:
    """Which certificate a name means: first one that has it, then one with a wildcard for it, else the first of all."""

    def __init__(self, certificates: Sequence[bytes]) -> None:
        """`certificates` in DER, in the order of the settings: of two with the same name the first counts."""
        self._places: dict[str, int] = {}
        for place, der in enumerate(certificates):
            for name in names_of(der, allow_cn=True):
                self._places.setdefault(name, place)

    def place(self, name: str | None) -> int:
        """The number of the certificate to show to a client that asks for `name`; None: it asks for none."""
        if not name or len(name) > 255:
            return 0
        plain = normal_name(name)
        place = self._places.get(plain)
        if place is None:
            place = self._places.get("*." + plain.partition(".")[2], 0)
        return place


def door_context(files: Sequence[OwnFiles], minimum_tls: str, *, asking: bool, fips: bool = False) -> ssl.SSLContext:
    """The context of a listener with these certificates, the first for clients who name none of them.

    `asking`: ask for client certificates too; `fips`: offer approved suites and curves alone. Reads the files; raises
    OSError, naming the one at fault.
    """
    try:
        loaded = [(pem.certificates(one.certificate), pem.private_key(one.key)) for one in files]
    except pem.PemFault as fault:
        raise OSError(str(fault)) from fault
    names = OwnNames([pem.der(chain[0]) for chain, _ in loaded])
    if asking:
        from gateway.connectors.asking import asking_context  # Large: only a gateway that asks pays it.

        made = []
        for one, (chain, key) in zip(files, loaded, strict=True):
            try:
                made.append(asking_context(chain, key, minimum_tls, fips=fips))
            except ValueError as error:
                raise OSError(f"{error}: {one.certificate} and {one.key}") from error
        if len(made) > 1:
            made[0].choose(lambda name: made[names.place(name)])
        return made[0]
    plain = [server_context(one.certificate, one.key, minimum_tls, fips=fips) for one in files]
    if len(plain) > 1:

        def named(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = plain[names.place(name)]

        plain[0].sni_callback = named
    return plain[0]
