"""Certificates for S/MIME, joined for one process: which ones are used for whom, and the private keys of ours.

Which certificates there are lies in memory, so that nobody asks the database for each recipient. Private keys are
unsealed when they are used, and kept for KEPT seconds at most; where their domain key is closed, not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import load_der_private_key

from gateway.app.certificate_commands import COMMANDS, CertificateCommands
from gateway.app.certificate_rows import ending, read_known
from gateway.connectors.model import Domains
from gateway.keys.vault import KeyFault
from gateway.mail.address import Address, parse_address
from gateway.smime.certificate import Certificate, Identity
from gateway.smime.selection import CERTIFICATES_NOT_READ, NO_SIGNING_IDENTITY, Choice, Known, Selection
from gateway.smime.terms import SmimeTerms
from gateway.smime.trust import Trust
from gateway.storage.accounts import Transactions
from gateway.storage.certificates import PURPOSE, CertificateStore, KeptCertificate
from gateway.storage.sealer import KeysClosed, SealBroken, Sealer
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

LOOK: Final = 30.0  # Seconds until a process sees what another machine has changed, if it does not hear of it.
KEPT: Final = 60.0  # Seconds for which an unsealed private key stays in memory after its last unsealing.
MOST_KEYS: Final = 100  # Unsealed at once, all forgotten together.


class Certificates:
    """`selection` and `trust` are values of the moment: whoever has them keeps them for one message."""

    def __init__(
        self,
        shared: Transactions,
        sealer: Sealer,
        *,
        terms: Callable[[], SmimeTerms],
        accepted: Callable[[], Domains],
        clock: Clock,
        tell: Callable[..., None],
    ) -> None:
        self._store = CertificateStore(shared, sealer)
        self._sealer = sealer
        self._terms = terms
        self._clock = clock
        self._tell = tell
        self._commands = CertificateCommands(self._store, accepted=accepted, clock=clock, tell=tell)
        self._editions: Mapping[int, int] = {}
        self._kept: dict[int, tuple[KeptCertificate, Known]] = {}
        self._rows: dict[str, KeptCertificate] = {}
        self._keys: dict[str, tuple[Identity, float]] = {}
        self._failing = ""
        self.is_read = False  # Whether it was ever read which certificates there are.
        self._looking = asyncio.Lock()
        self._word = asyncio.Event()
        self._is_late = False
        # Done after this process has learnt of a certificate later than others, who may have tried what waits for it.
        self.learnt_late: Callable[[], Awaitable[object]] | None = None
        self._judged: tuple[tuple[Certificate, ...], Selection] | None = None
        self._trust = Trust()
        self.selection = Selection()

    def __repr__(self) -> str:
        return f"Certificates({self.selection!r})"

    # -- who is believed, and what is used ----------------------------------------------------------------------------

    @property
    def trust(self) -> Trust:
        """By the anchors of the settings and the certificates that were imported."""
        anchors, now = self._terms().anchors, self.selection
        if self._judged is None or self._judged[0] is not anchors or self._judged[1] is not now:
            imported = [one.certificate for one in now.all]
            chains = [above for one in now.all for above in one.chain]
            self._trust = Trust(anchors, imported=imported, intermediates=chains)
            self._judged = (anchors, now)
        return self._trust

    def recipient(self, address: Address) -> Choice:
        """The certificate to encrypt for `address` now. Answers from memory."""
        if not self.is_read:
            return Choice(None, CERTIFICATES_NOT_READ)
        return self.selection.recipient(address, self._clock.now())

    def signer(self, address: Address) -> Choice:
        """The identity that signs what `address` has written: his own, his domain's, else the setting's."""
        if not self.is_read:
            return Choice(None, CERTIFICATES_NOT_READ)
        now = self._clock.now()
        choice = self.selection.signer(address, now)
        instead = self._terms().signing_identity
        if choice.reason is None or instead is None:
            return choice
        other = self.selection.signer(parse_address(instead), now)
        # Where the setting's is none at all, what is wrong with the sender's own says more.
        return other if other.reason is None or choice.reason == NO_SIGNING_IDENTITY else choice

    def identity(self, known: Known) -> Identity:
        """A certificate of ours with its private key. Asks no database; takes 0.1 ms where the key was not used lately.

        Raises KeysClosed while the domain key is not at hand, SealBroken for a damaged row or one that is gone.
        """
        mark = known.certificate.fingerprint
        try:
            self._sealer.check(PURPOSE)  # Says no as soon as the domain key is closed, whatever lies here.
        except KeysClosed:
            self._keys.clear()
            raise
        now = self._clock.monotonic()
        if (held := self._keys.get(mark)) is not None and now < held[1]:
            return held[0]
        kept = self._rows.get(mark)
        octets = None if kept is None else self._store.open_key(kept)
        if octets is None:
            raise SealBroken(f"there is no private key for the certificate {mark[:16]}")
        try:
            # It was checked when it was imported.
            key = load_der_private_key(octets, None, unsafe_skip_rsa_key_validation=True)
        except Exception:  # noqa: BLE001 - the library's words are not to be told, nor chained
            raise SealBroken(f"the private key for the certificate {mark[:16]} can't be read") from None
        if len(self._keys) >= MOST_KEYS:
            self._keys.clear()
        found = Identity(known.certificate, key, known.chain)
        self._keys[mark] = (found, now + KEPT)
        return found

    # -- life ---------------------------------------------------------------------------------------------------------

    async def look(self) -> bool:
        """Read which certificates there are; where that fails, those that were read last go on. Never raises.

        Whether there are new ones.
        """
        async with self._looking:
            try:
                changes = await self._store.changes(self._editions)
                fresh = await asyncio.to_thread(_read_all, changes.fresh)
            except (StorageBroken, StorageFull, SealBroken, KeyFault, KeysClosed) as error:
                self._keys.clear()
                if (words := str(error)) != self._failing:
                    self._failing = words
                    self._tell("error", "certificates_not_read", error=words)
                return False
            self._failing, self.is_read = "", True
            if changes.editions == self._editions:
                return False
            rows = {token: row for token, row in self._kept.items() if token in changes.editions}
            self._kept = rows | fresh
            self._editions = changes.editions
            self._rows = {known.certificate.fingerprint: kept for kept, known in self._kept.values()}
            self._keys = {mark: held for mark, held in self._keys.items() if mark in self._rows}
            known = sorted((one for _, one in self._kept.values()), key=lambda one: one.certificate.fingerprint)
            self.selection = Selection(known, fips=self._terms().fips)
            return bool(fresh)

    def changed(self, late: bool) -> None:
        """Another process has brought some in or removed some; `late`: it may have done so a while ago."""
        self._is_late |= late
        self._word.set()

    async def watch(self) -> None:
        """Look again at each word of another process, and every LOOK seconds without one, for ever."""
        while True:
            try:
                async with self._clock.timeout(LOOK):
                    await self._word.wait()
            except TimeoutError:
                self._is_late = True  # What is new now was never told to us.
            late, self._is_late = self._is_late, False
            self._word.clear()
            if await self.look() and late and self.learnt_late is not None:
                try:
                    await self.learnt_late()
                except (StorageBroken, StorageFull, SealBroken, KeyFault, KeysClosed) as error:
                    self._tell("warning", "waiting_mail_not_tried", error=str(error))

    def warnings(self) -> list[dict[str, str]]:
        """For `gateway status`: what ends within a month, or has ended, and has no successor."""
        found = ending(self.selection, self._clock.now())
        if self._failing:
            text = f"certificates for S/MIME can't be read, and those that were read last go on: {self._failing}"
            found.append({"code": "certificates_not_read", "text": text})
        return found

    def answers(self, command: str) -> bool:
        """Whether a command is for this."""
        return command in COMMANDS

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        if command == "certificate.look":
            await self.look()
            return True
        answer = await self._commands.answer(command, arguments)
        if command in ("certificate.import", "certificate.remove"):
            await self.look()
        return answer


def _read_all(fresh: Mapping[int, KeptCertificate]) -> dict[int, tuple[KeptCertificate, Known]]:
    """With their facts. Blocks. Raises SealBroken."""
    return {token: (kept, read_known(kept)) for token, kept in fresh.items()}
