"""Licences are given to those who may, nothing before it stands in the log, and each refusal has its word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.app.rights_desk import SAME, Asking, NoCopy, RightsDesk, SuperUser
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.rights.job import Job, SealedMessage
from gateway.rights.opening import OpenedMessage
from gateway.rights.pem_tenant import PemTenant
from gateway.rights.reason import NotOpened
from gateway.rights.right import Right
from gateway.rights.sealing import seal
from gateway.rights.template import DO_NOT_FORWARD
from gateway.rights.terms import RightsTerms
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.licence_log import LicenceLog
from gateway.storage.rights import RightsStore
from gateway.storage.rights_model import KeptRights
from gateway.storage.shared import Shared
from gateway.storage.writer import StorageBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.migrated import put_shared

ORIGINAL = b"From: ida@corp.example\r\nSubject: Figures\r\n\r\nsecret words\r\n"
OWNER, ZOE, BOB, EVE = "ida@corp.example", "zoe@partner.example", "bob@partner.example", "eve@partner.example"
DAY = 86_400.0
_KEY = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class House:
    """A desk over a real store, with one message that is kept in it."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        put_shared(folder / "shared.db")
        self.shared = Shared(folder / "shared.db")
        self.clock = FakeClock()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.counted: list[str] = []
        sealer = KeySealer(DomainKeys({("portal", 1): b"p" * 32, ("token", 1): b"t" * 32}), FakeChance("s"))
        self.copies = folder / "copies"
        blobs = FolderBlobs(self.copies, executor)
        self.store = RightsStore(self.shared, sealer, chance=FakeChance("r"), blobs=blobs, executor=executor)
        self.log = LicenceLog(self.shared, sealer)
        self.tenant = PemTenant([_KEY])
        self.desk = RightsDesk(
            self.store,
            self.log,
            self.tenant,
            executor=executor,
            clock=self.clock,
            tell=lambda level, event, **facts: self.told.append((event, facts)),
            count=lambda name, labels: self.counted.append(labels[0]),
        )

    async def keep(self, *, copy: bool = True, original: bytes = ORIGINAL) -> SealedMessage:
        now = self.clock.now()
        job = Job(
            owner=OWNER, readers=(ZOE, BOB), template=DO_NOT_FORWARD, issued=now, expires=now + DAY, url="https://p/"
        )
        sealed = seal(original, job, self.tenant, FakeChance("seal"))
        kept = KeptRights(
            work=sealed.work,
            message_id="<1@corp.example>",
            queue_id="4A",
            sender=OWNER,
            readers=((ZOE, b"z" * 32), (BOB, b"b" * 32)),
            subject="Figures",
            template="do-not-forward",
            created=now,
            expires=now + DAY,
        )
        await self.store.keep(kept, sealed.rpmsg if copy else None)
        return sealed

    async def reason(self, what: bytes | UUID, asking: Asking) -> str:
        with pytest.raises(NotOpened) as caught:
            await self.desk.open(what, asking)
        return caught.value.reason.value


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with ThreadPoolExecutor(2) as executor:
        made = House(tmp_path, executor)
        yield made
        made.shared.close()


def asks(who: str | None, purpose: Right = Right.VIEW) -> Asking:
    return Asking(principal=who, purpose=purpose, client="192.0.2.7")


async def test_a_reader_opens_the_stored_copy_and_the_file_alike_and_both_are_logged(house: House) -> None:
    sealed = await house.keep()
    by_copy = await house.desk.open(sealed.work, asks(ZOE))
    await house.clock.advance(SAME)
    by_file = await house.desk.open(sealed.rpmsg, asks(ZOE))
    assert by_copy.original == by_file.original == ORIGINAL
    assert by_copy.rights == DO_NOT_FORWARD.rights
    lines = await house.log.of(sealed.work)
    assert [(one.principal, one.given, one.client, one.by, one.purpose) for one in lines] == [
        (ZOE, True, "192.0.2.7", "portal", "VIEW")
    ] * 2
    assert house.counted == ["given", "given"]


async def test_a_large_copy_opens_out_of_its_blob(house: House) -> None:
    original = ORIGINAL + b"x" * 400_000
    sealed = await house.keep(original=original)
    assert (await house.desk.open(sealed.work, asks(ZOE))).original == original
    (blob,) = house.copies.iterdir()
    blob.unlink()
    with pytest.raises(NoCopy, match="gone"):
        await house.desk.open(sealed.work, asks(ZOE))
    assert (await house.desk.open(sealed.rpmsg, asks(ZOE))).original == original


async def test_the_requests_of_one_reading_are_one_line(house: House) -> None:
    sealed = await house.keep()
    for _ in range(3):
        await house.desk.open(sealed.work, asks(ZOE))
    await house.desk.open(sealed.work, asks(BOB))
    await house.desk.open(sealed.work, replace(asks(ZOE), client="192.0.2.8"))
    assert [one.principal for one in await house.log.of(sealed.work)] == [ZOE, BOB, ZOE]
    await house.clock.advance(SAME)
    await house.desk.open(sealed.work, asks(ZOE))
    assert len(await house.log.of(sealed.work)) == 4


async def test_who_is_no_reader_lacks_the_right_or_comes_too_late_is_refused_by_name(house: House) -> None:
    sealed = await house.keep()
    for what in (sealed.work, sealed.rpmsg):
        assert await house.reason(what, asks(EVE)) == "not_a_reader"
        assert await house.reason(what, asks(ZOE, Right.EXTRACT)) == "no_right"
    await house.store.revoke(sealed.work, house.clock.now(), reader="ZOE@partner.example")
    for what in (sealed.work, sealed.rpmsg):
        assert await house.reason(what, asks(ZOE)) == "revoked"
        assert (await house.desk.open(what, asks(BOB))).original == ORIGINAL
    await house.clock.advance(DAY)
    for what in (sealed.work, sealed.rpmsg):
        assert await house.reason(what, asks(BOB)) == "expired"
    assert (await house.desk.open(sealed.work, asks(OWNER))).rights == frozenset(Right)
    reasons = [one.reason for one in await house.log.of(sealed.work) if not one.given]
    assert reasons == ["not_a_reader", "no_right"] * 2 + ["revoked"] * 2 + ["expired"] * 2
    assert "refused" not in repr(house.counted) and house.counted.count("expired") == 2


async def test_after_the_sweep_the_copy_opens_for_nobody_and_the_file_for_its_sender(house: House) -> None:
    sealed = await house.keep()
    await house.clock.advance(DAY)
    assert await house.store.sweep(house.clock.now()) == 1
    assert await house.reason(sealed.work, asks(OWNER)) == "expired"
    assert (await house.desk.open(sealed.rpmsg, asks(OWNER))).original == ORIGINAL
    assert await house.reason(sealed.rpmsg, asks(ZOE)) == "expired"


async def test_what_was_forgotten_after_its_expiry_still_opens_for_no_reader(house: House) -> None:
    """Also what was revoked: its row said so, and the licence in its file has the expiry."""
    sealed = await house.keep()
    assert await house.store.revoke(sealed.work, house.clock.now()) is not None
    await house.clock.advance(DAY)
    assert await house.reason(sealed.rpmsg, asks(ZOE)) == "revoked"
    await house.store.sweep(house.clock.now())
    assert await house.store.forget(house.clock.now() + 1) == 1
    assert await house.reason(sealed.rpmsg, asks(ZOE)) == "expired"
    assert (await house.desk.open(sealed.rpmsg, asks(OWNER))).original == ORIGINAL
    with pytest.raises(NoCopy):
        await house.desk.open(sealed.work, asks(ZOE))


async def test_without_a_stored_copy_the_file_alone_opens(house: House) -> None:
    sealed = await house.keep(copy=False)
    with pytest.raises(NoCopy):
        await house.desk.open(sealed.work, asks(ZOE))
    with pytest.raises(NoCopy):
        await house.desk.open(UUID(int=5, version=4), asks(ZOE))
    assert (await house.desk.open(sealed.rpmsg, asks(ZOE))).original == ORIGINAL


async def test_what_is_damaged_or_forged_is_logged_without_what_it_says_of_itself(house: House) -> None:
    assert await house.reason(b"nothing of ours", asks(ZOE)) == "damaged"
    (line,) = await house.log.latest(5)
    assert (line.work, line.given, line.reason) == (None, False, "damaged")


async def test_the_licence_alone_has_the_same_refusals(house: House) -> None:
    sealed = await house.keep()
    given = await house.desk.licence(sealed.work, asks(ZOE))
    assert given.rights == DO_NOT_FORWARD.rights
    with pytest.raises(NotOpened, match="not_a_reader"):
        await house.desk.licence(sealed.rpmsg, asks(EVE))
    assert [one.given for one in await house.log.of(sealed.work)] == [True, False]


async def test_nothing_is_given_that_can_t_be_logged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = await house.keep()

    async def broken(self: LicenceLog, entry: object) -> None:
        raise StorageBroken("the disk is gone")

    monkeypatch.setattr(LicenceLog, "add", broken)
    for _ in range(2):  # The second asking is no part of a first one that was never written down.
        with pytest.raises(StorageBroken):
            await house.desk.open(sealed.work, asks(ZOE))


async def test_the_log_of_the_process_names_nobody(house: House) -> None:
    sealed = await house.keep()
    await house.desk.open(sealed.work, asks(ZOE))
    await house.reason(sealed.work, asks(EVE))
    assert [event for event, _ in house.told] == ["licence_given", "licence_refused"]
    assert "@" not in repr(house.told) and "192.0.2.7" not in repr(house.told) and "Figures" not in repr(house.told)


async def test_a_super_user_opens_all_and_the_officer_hears_of_each(house: House) -> None:
    sealed = await house.keep()
    heard: list[tuple[UUID, str]] = []

    async def notify(opened: OpenedMessage, account: str) -> None:
        heard.append((opened.work, account))

    terms = RightsTerms(super_users=frozenset({"ida"}), notify_officer="officer@corp.example")
    user = SuperUser(house.desk, terms=lambda: terms, notify=notify)
    for _ in range(2):
        opened = await user.open(sealed.rpmsg, "ida")
        assert (opened.original, opened.rights) == (ORIGINAL, frozenset(Right))
    assert heard == [(sealed.work, "ida")] * 2
    with pytest.raises(PermissionError, match="eve"):
        await user.open(sealed.rpmsg, "eve")
    assert [(one.principal, one.by) for one in await house.log.of(sealed.work)] == [(None, "cli ida")] * 2
    silent = SuperUser(house.desk, terms=lambda: terms, notify=None)
    with pytest.raises(PermissionError, match="notify_officer"):
        await silent.open(sealed.rpmsg, "ida")
    nobody = SuperUser(house.desk, terms=lambda: RightsTerms(super_users=frozenset()), notify=None)
    with pytest.raises(PermissionError, match="super_users"):
        await nobody.open(sealed.rpmsg, "root")
    everybody = SuperUser(house.desk, terms=RightsTerms, notify=None)
    assert (await everybody.open(sealed.rpmsg, "root", principal=ZOE)).rights == DO_NOT_FORWARD.rights
