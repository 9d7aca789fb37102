"""What `gateway certificate` asks: certificates brought in, shown, given out and forgotten; serving or not."""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, serialize_key_and_certificates

from gateway.app.certificate_rows import WORDS, named, read_known, reasons, row, state, subjects
from gateway.app.channel import Fault
from gateway.connectors.model import Domains
from gateway.connectors.patterns import domain as a_domain
from gateway.smime.certificate import Certificate, Identity, Unreadable, plain_address
from gateway.smime.certificate_file import MAX_FILE, Holding, read
from gateway.smime.selection import Known
from gateway.storage.certificates import CertificateStore, KeptCertificate
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

COMMANDS: Final = frozenset(
    f"certificate.{verb}" for verb in ("look", "import", "list", "show", "export", "remove", "private")
)
LEAST_MARK: Final = 8  # Hexadecimal digits of a fingerprint that name a certificate.
ROUNDS: Final = 600_000  # Of PBKDF2 in a PKCS#12 file that is given out; OWASP's number for SHA-256.
MOST_TOLD: Final = 20  # Warnings of one kind.

_MARK = re.compile(rf"[0-9a-f]{{{LEAST_MARK},64}}")


class CertificateCommands:
    """The answers of one process."""

    def __init__(
        self, store: CertificateStore, *, accepted: Callable[[], Domains], clock: Clock, tell: Callable[..., None]
    ) -> None:
        self._store = store
        self._accepted = accepted
        self._clock = clock
        self._tell = tell

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        try:
            match command:
                case "certificate.import":
                    return await self._import(**arguments)
                case "certificate.list":
                    return [row(one, self._clock.now()) for one in _ordered(await self._all())]
                case "certificate.show":
                    return [self._shown(one) for one in await self._find(**arguments)]
                case "certificate.export":
                    return {"pem": "".join(_pem(one) for one in await self._find(**arguments))}
                case "certificate.private":
                    return await self._private(**arguments)
                case "certificate.remove":
                    return await self._remove(**arguments)
        except (StorageBroken, StorageFull, SealBroken, KeysClosed) as error:
            raise Fault(f"the certificates can't be used: {error}") from error
        raise Fault(f"there is no command {command!r}")

    # -- bringing in --------------------------------------------------------------------------------------------------

    async def _import(
        self,
        octets: str,
        file: str = "the file",
        password: str | None = None,
        addresses: Iterable[str] = (),
        domains: Iterable[str] = (),
    ) -> dict[str, Any]:
        """`octets`: the file's, in base64. `addresses`, `domains`: for whom the certificate in it is used besides."""
        more = ([_address(one) for one in addresses], [_domain(one) for one in domains])
        if len(octets) > MAX_FILE * 4 // 3 + 4:
            raise Fault(f"{file}: found too many octets; right would be a file of at most {MAX_FILE}")
        try:
            holding = await asyncio.to_thread(read, b64decode(octets), password)
        except Unreadable as fault:
            raise Fault(f"{file}: {fault}") from fault
        warnings: list[str] = []
        now = self._clock.now()
        taken = self._taken(holding, more, file, warnings, now)
        kept = [await asyncio.to_thread(self._kept, one, identity, now) for one, identity in taken]
        done = await self._store.put(kept, _joined)
        facts = {one.certificate.fingerprint: one for one, _ in taken}
        rows = []
        for one, was_there in done:
            known = replace(
                facts[one.fingerprint], addresses=one.addresses, domains=one.domains, has_key=one.private is not None
            )
            rows.append({**row(known, now), "was_there": was_there})
            warnings += _doubts(known, now, self._accepted())
            self._tell(
                "info",
                "certificate_imported",
                fingerprint=one.fingerprint[:16],
                ours=one.private is not None,
                was_there=was_there,
            )
        return {"certificates": rows, "warnings": warnings}

    def _taken(
        self,
        holding: Holding,
        more: tuple[list[str], list[str]],
        file: str,
        warnings: list[str],
        now: float,
    ) -> list[tuple[Known, Identity | None]]:
        """What of the file is kept, and for whom it is used; the rest is told in `warnings`. Raises Fault."""
        addresses, domains = more
        own: dict[Certificate, Identity] = {one.certificate: one for one in holding.identities}
        usable = []
        for one in holding.all:
            if one in own or not (why := _useless(one, now)):
                usable.append(one)
            else:
                warnings.append(f"{one.subject} was left out: {why}")
        if (addresses or domains) and len({one.subject for one in usable}) > 1:
            what = "--address and --domain say for whom one certificate is used"
            raise Fault(f"{what}, and {file} has {len(usable)}; right would be a file with that one alone")
        taken: list[tuple[Known, Identity | None]] = []
        for one in usable:
            identity = own.get(one)
            known = Known(
                certificate=one,
                addresses=tuple(dict.fromkeys((*one.addresses, *addresses))),
                domains=tuple(dict.fromkeys(domains)),
                has_key=identity is not None,
                created=now,
                chain=() if identity is None else identity.chain,
            )
            if known.addresses or known.domains:
                taken.append((known, identity))
            else:
                named_domains = f" It names {', '.join(one.domains[:3])}." if one.domains else ""
                warnings.append(
                    f"{one.subject} was left out: it names no email address.{named_domains} "
                    "--address ADDRESS says for whom it is used, --domain DOMAIN that it is for everybody there"
                    + ("; an authority, by which others are believed, is named by [smime] trust_anchors" * one.is_ca)
                )
        if not taken:
            raise Fault(f"{file} has nothing that could be used:\n" + "\n".join(warnings[:MOST_TOLD]))
        return taken

    def _kept(self, known: Known, identity: Identity | None, now: float) -> KeptCertificate:
        private = None
        if identity is not None:
            octets = identity.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            private = self._store.seal_key(known.certificate.fingerprint, octets)
        return KeptCertificate(
            der=known.certificate.der,
            chain=tuple(one.der for one in known.chain),
            addresses=known.addresses,
            domains=known.domains,
            created=now,
            private=private,
        )

    # -- showing ------------------------------------------------------------------------------------------------------

    async def _all(self) -> list[Known]:
        rows = await self._store.all()
        return await asyncio.to_thread(lambda: [read_known(one) for one in rows])

    async def _find(self, name: str) -> list[Known]:
        """By a fingerprint or its beginning, an address, or the domain for which one is used. Raises Fault."""
        text = name.strip()
        mark = text.replace(":", "").lower()
        if _MARK.fullmatch(mark):
            found = [one for one in await self._store.all() if one.fingerprint.startswith(mark)]
            if len(found) > 1:
                raise Fault(f"{len(found)} certificates have fingerprints that begin with {mark}; give more digits")
        elif (address := plain_address(text)) is not None:
            found = await self._store.used_for(address=address)
        elif (domain := a_domain(text.removeprefix("@"))) is not None:
            found = await self._store.used_for(domain=domain)
        else:
            raise Fault(
                f"{text[:100]!r} is neither an address nor a domain nor the beginning of a fingerprint "
                f"({LEAST_MARK} hexadecimal digits and more)"
            )
        if not found:
            raise Fault(f"no certificate is known for {text[:100]}; gateway certificate list shows those that are")
        return _ordered([read_known(one) for one in found])

    def _shown(self, known: Known) -> dict[str, Any]:
        more = {"names": list(known.certificate.addresses), "chain": subjects(known.chain), "pem": _pem(known)}
        return {**row(known, self._clock.now()), **more}

    # -- giving out, forgetting ---------------------------------------------------------------------------------------

    async def _private(self, name: str, password: str) -> dict[str, Any]:
        """A PKCS#12 file (base64) with the private key of the one identity that `name` means."""
        if not password:
            raise Fault("a private key is given out under a password alone; right would be --password-stdin")
        mine = [one for one in await self._find(name) if one.has_key]
        if len(mine) != 1:
            what = "has no private key here" if not mine else "means several; a fingerprint means one"
            raise Fault(f"{name[:100]} {what}")
        (known,) = mine
        kept = next(one for one in await self._store.all() if one.fingerprint == known.certificate.fingerprint)
        octets = self._store.open_key(kept)
        if octets is None:
            raise Fault(f"{name[:100]} has no private key here")
        file = await asyncio.to_thread(_pkcs12, octets, known, password)
        self._tell("warning", "certificate_key_given_out", fingerprint=known.certificate.fingerprint[:16])
        return {"pkcs12": b64encode(file).decode(), "fingerprint": known.certificate.fingerprint}

    async def _remove(self, name: str, keys_too: bool = False) -> dict[str, Any]:
        """`keys_too`: whoever asks knows that a private key goes with it."""
        found = await self._find(name)
        if not keys_too and (mine := [named(one) for one in found if one.has_key]):
            raise Fault(
                f"with {', '.join(mine)} its private key goes, and with that all mail that only it opens; "
                "right would be --yes, after gateway certificate export --private"
            )
        shared = [one for one in found if len({*one.addresses, *one.domains}) > 1]
        if shared and not _MARK.fullmatch(name.strip().replace(":", "").lower()):
            raise Fault(
                f"{named(shared[0])} is used for others too; to remove it all the same: "
                f"gateway certificate remove {shared[0].certificate.fingerprint[:16]}"
            )
        await self._store.remove([one.certificate.fingerprint for one in found])
        for one in found:
            self._tell("info", "certificate_removed", fingerprint=one.certificate.fingerprint[:16])
        return {"removed": [row(one, self._clock.now()) for one in found]}


def _joined(before: KeptCertificate, after: KeptCertificate) -> KeptCertificate:
    """One that comes again: nothing of what is known is lost."""
    return replace(
        before,
        chain=max(before.chain, after.chain, key=len),
        addresses=tuple(dict.fromkeys((*before.addresses, *after.addresses))),
        domains=tuple(dict.fromkeys((*before.domains, *after.domains))),
        private=before.private or after.private,
    )


def _ordered(known: Iterable[Known]) -> list[Known]:
    """Ours first, then by name."""
    return sorted(known, key=lambda one: (not one.has_key, [*one.addresses, *one.domains], one.certificate.not_after))


def _useless(one: Certificate, now: float) -> str:
    """Why a certificate without a key of ours is not kept; "" where it is of use."""
    encryption, signing = one.encryption, one.signing
    if encryption is None or signing is None:
        return ""
    if one.is_ca and not one.addresses:
        return "it is an authority's; whom to believe is said by [smime] trust_anchors"
    return f"it {WORDS.get(encryption, encryption)}"


def _doubts(known: Known, now: float, accepted: Domains) -> list[str]:
    one = known.certificate
    found = [f"{named(known)} {WORDS.get(reason, reason)}" for reason in reasons(one, now)]
    if state(one, now) == "valid" and one.encryption is not None and one.signing is None and not known.has_key:
        found.append(f"{named(known)} is of use for its owner's signatures alone")
    foreign = [name for name in known.domains if known.has_key and accepted.closeness(name) is None]
    if foreign:
        found.append(f"{', '.join(foreign)}: is none of accepted_domains; is it ours to open mail for, and to sign?")
    return found


def _pem(known: Known) -> str:
    return "".join(one.x509.public_bytes(Encoding.PEM).decode() for one in (known.certificate, *known.chain))


def _pkcs12(octets: bytes, known: Known, password: str) -> bytes:
    """Blocks. Raises Fault for a kind of key that PKCS#12 does not have in this library."""
    key: Any = load_der_private_key(octets, None, unsafe_skip_rsa_key_validation=True)
    how = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(ROUNDS)
        .key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
    chain = [one.x509 for one in known.chain]
    name = (known.addresses or known.domains or ("gateway",))[0]
    try:
        return serialize_key_and_certificates(name.encode(), key, known.certificate.x509, chain or None, how)
    except (TypeError, ValueError):
        raise Fault(f"a key of the kind {known.certificate.algorithm} does not go into PKCS#12 here") from None


def _address(text: str) -> str:
    address = plain_address(text)
    if address is None:
        raise Fault(f"{text[:100]!r} is no address; right would be ida@corp.example")
    return address


def _domain(text: str) -> str:
    name = a_domain(text.strip().removeprefix("@"))
    if name is None:
        raise Fault(f"{text[:100]!r} is no domain; right would be partner.example")
    return name
