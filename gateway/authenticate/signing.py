"""The stage that signs what leaves in our name: the last touch, after which nothing changes a message's octets.

A body is hashed as it came (`Message.hashes`), or at once where it is small, or on threads block by block, so that a
large one is never held a second time. What takes long, or waits for somebody else, is done on threads too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from gateway.authenticate.dkim import sign as dkim
from gateway.authenticate.dkim.body import BodyHash, body_at, body_hash
from gateway.authenticate.dkim.sign import KEY_DENIED, VAULT_AWAY, Draft, Unsignable
from gateway.keys.vault import Denied, KeyFault, Vault
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.mail.reply import SIGNING_AWAY, Refused
from gateway.mail.signing import Signed
from gateway.settings import schema
from gateway.storage.dkim_keys import Algorithm, DkimKey, Use
from gateway.world.clock import Clock

THREADS: Final = 4  # For RSA, for vaults elsewhere, for long bodies; of each process.
BODY_ON_LOOP: Final = 64 * 1024  # Octets that are hashed at once: a change of threads takes longer.


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`sign`: whether anything is signed. `required`: mail waits while a vault does not answer."""

    sign: bool = True
    required: bool = True

    @classmethod
    def from_settings(cls, section: schema.Dkim) -> Terms:
        """The terms of `[dkim]`."""
        return cls(sign=section.sign, required=section.required)


class SigningKeys:
    """Which keys sign for which domain. Values: a change makes a new one."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[DkimKey] = ()) -> None:
        """All keys that are known; those that are not in use are passed over."""
        self._keys: dict[str, tuple[DkimKey, ...]] = {}
        for key in keys:
            if key.use is Use.ACTIVE:
                self._keys[key.domain] = (*self._keys.get(key.domain, ()), key)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def of(self, domain: str) -> tuple[DkimKey, ...]:
        """The keys of the domain itself, else of the nearest one above that has any; they share a domain then."""
        while domain:
            if (keys := self._keys.get(domain)) is not None:
                return keys
            domain = domain.partition(".")[2]
        return ()


class Signing:
    """`keys` and `terms` are replaced when they change. `is_ours` says whether mail comes from our side, by its client
    (None: the gateway itself) and the inbound connector's name.

    Mail from elsewhere is never signed, whatever its From says: a signature would vouch for a forgery.
    """

    def __init__(
        self,
        terms: Terms,
        *,
        vaults: Mapping[str, Vault],
        is_ours: Callable[[Client | None, str | None], bool],
        clock: Clock,
        tell: Callable[..., None],
        count: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        self.terms = terms
        self.keys = SigningKeys()
        self._vaults = vaults
        self._is_ours = is_ours
        self._clock = clock
        self._tell = tell
        self._count = count
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="sign")

    def use(self, keys: SigningKeys) -> None:
        """Sign with these from now on."""
        self.keys = keys

    def close(self) -> None:
        """End the threads. Blocks."""
        self._executor.shutdown(wait=True)

    @property
    def is_on(self) -> bool:
        """Whether anything is signed at all at present."""
        return bool(self.keys) and self.terms.sign

    def may_sign(self, client: Client | None, connector: str | None) -> bool:
        """Whether mail that comes so may be signed: from our side, and there are keys. Asked before its body comes."""
        return self.is_on and self._is_ours(client, connector)

    async def sign(self, mail: Mail) -> Mail:
        """The mail with our signatures on top, or as it is where nothing is to be signed.

        Raises Refused where a vault does not answer and mail has to wait for it; what reading the content raises.
        """
        if not self.may_sign(mail.client, mail.connector):
            return mail
        octets, signed = await self.signatures(mail.message, mail.id)
        if signed is None:
            return mail
        if signed.reason is not None:
            self._tell("warning", "not_signed", id=mail.id, domain=signed.domain, reason=signed.reason)
        for _, algorithm in signed.signatures or (("", "none"),):
            self._count("dkim_signatures_total", (algorithm,))
        return replace(mail.topped(octets) if octets else mail, signed=signed)

    async def signatures(self, message: Message, id_: str) -> tuple[bytes, Signed | None]:
        """Whole DKIM-Signature fields for a message of ours, and what is to be told of them.

        b"" and None where there is no key for its author's domain; b"" and the reason where it can't be signed.
        Raises Refused where it has to wait.
        """
        try:
            letter = dkim.read(message)
        except Unsignable as error:
            return b"", Signed(reason=error.reason)
        keys = self.keys.of(letter.domain)
        if not keys:
            return b"", None
        hashed = await self._body_hash(message)
        made = dkim.drafts(letter, keys, hashed, self._clock.now())
        # Those that take a thread are begun first, and the quick ones are made meanwhile.
        begun = [self._begin(key, draft, id_) for key, draft in zip(keys, made, strict=True)]
        found: list[bytes] = []
        signatures: list[tuple[str, str]] = []
        reasons: list[str] = []
        for key, draft, one in zip(keys, made, begun, strict=True):
            answer = one if isinstance(one, bytes | KeyFault) else await one
            if isinstance(answer, bytes):
                found.append(draft.field(answer))
                signatures.append((key.selector, key.algorithm.value))
            else:
                reasons.append(self._unsigned(answer))
        signed = Signed(domain=keys[0].domain, signatures=tuple(signatures), reason=reasons[0] if reasons else None)
        return b"".join(found), signed

    def _unsigned(self, fault: KeyFault) -> str:
        """Why there is no signature. Raises Refused where the mail has to wait for it."""
        if isinstance(fault, Denied):  # The owner's will.
            return KEY_DENIED
        if self.terms.required:
            raise Refused(SIGNING_AWAY) from fault
        return VAULT_AWAY

    def _begin(self, key: DkimKey, draft: Draft, id_: str) -> bytes | KeyFault | asyncio.Future[bytes | KeyFault]:
        """The signature at once where that takes no time, else while others are made."""
        vault = self._vaults.get(key.vault)
        if vault is None:
            return Denied(f"gateway.toml names no vault {key.vault!r}")
        work = partial(_sign, vault, key, draft.to_sign, f"message {id_}")
        if vault.is_local and key.algorithm is Algorithm.ED25519:
            return work()
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def _body_hash(self, message: Message) -> bytes:
        if message.hashes is not None and (ready := message.hashes.get(dkim.BODY)) is not None:
            return ready
        at = body_at(message.head)
        held = message.content.inline
        loop = asyncio.get_running_loop()
        if held is not None:
            if len(held) - at <= BODY_ON_LOOP:
                return body_hash(held[at:], dkim.BODY)
            return await loop.run_in_executor(self._executor, body_hash, held[at:], dkim.BODY)
        body = BodyHash(dkim.BODY)
        blocks = message.content.blocks()
        try:
            async for block in blocks:
                await loop.run_in_executor(self._executor, body.update, block[at:] if at else block)
                at = max(0, at - len(block))
        finally:
            if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
                await blocks.aclose()
        return body.digest()


def _sign(vault: Vault, key: DkimKey, octets: bytes, about: str) -> bytes | KeyFault:
    """The signature, or why there is none. The version is the one whose public half the DNS has."""
    try:
        return vault.sign(key.key, octets, version=key.version, about=about).octets
    except KeyFault as fault:
        return fault
