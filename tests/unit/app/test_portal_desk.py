"""What the portal answers, with real stores and real sealed messages: who gets a code, who reads, who can guess."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.app.portal_desk import FLOOR, GLANCE, QUIET, PortalDesk
from gateway.app.rights_desk import RightsDesk
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.message import Held
from gateway.portal.codes import Codes
from gateway.portal.desk import Asked, Away, Fate, NeedsFile, NotSent, Reason, Refusal, Reply, SessionGiven
from gateway.portal.drop import Drops
from gateway.portal.security import spelled, token_octets
from gateway.rights.opening import OpenedMessage
from gateway.rights.passcode import LIFE, TRIES
from gateway.rights.reason import NotOpened
from gateway.rights.reason import Reason as Shut
from gateway.rights.right import Right
from gateway.rights.sealing import seal
from gateway.storage.blob_folder import FolderBlobs
from gateway.storage.licence_log import LicenceLog
from gateway.storage.migrate import migrate_shared
from gateway.storage.portal import PortalStore
from gateway.storage.rights import RightsStore
from gateway.storage.rights_model import KeptRights
from gateway.storage.shared import Shared
from gateway.storage.writer import StorageBroken
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.portal_room import FakeRoom
from tests.fakes.rights import NOW, OWNER, READER, FakeTenant, job

KEYS = {("portal", 1): b"p" * 32, ("token", 1): b"k" * 32}
ORIGINAL = b"From: ida@corp.example\r\nTo: ben@partner.example\r\nSubject: s\r\n\r\nSecret\r\n"
LINK, UNKNOWN = spelled(b"l" * 32), spelled(b"u" * 32)
BROWSER, CLIENT = b"b" * 32, "192.0.2.7"


class Hasty(FakeClock):
    """Nobody waits; how long they would have is remembered."""

    def __init__(self, now: float = NOW) -> None:
        super().__init__(now)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Post:
    """The mail that the portal writes. `refuses`: how sending fails."""

    def __init__(self) -> None:
        self.codes: list[tuple[str, str, str]] = []
        self.doors: list[tuple[str, str, float, str]] = []
        self.replies: list[tuple[str, Reply]] = []
        self.refuses: Exception | None = None

    async def code(self, to: str, code: str, reference: str, ends: float, language: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.codes.append((to, code, reference))

    async def door(self, to: str, path: str, ends: float, language: str) -> None:
        self.doors.append((to, path, ends, language))

    async def reply(self, session: Any, opened: OpenedMessage, reply: Reply) -> str:
        self.replies.append((session.principal, reply))
        return "Q1"


class House:
    """One portal, which can be started again on the same database."""

    def __init__(self, folder: Path, executor: ThreadPoolExecutor) -> None:
        self.folder, self.executor = folder, executor
        self.clock, self.post, self.tenant, self.room = Hasty(), Post(), FakeTenant(), FakeRoom()
        self.told: list[tuple[str, dict[str, object]]] = []
        self.start("first")

    def start(self, seed: str) -> None:
        self.shared = Shared(self.folder / "shared.db")
        sealer, chance = KeySealer(DomainKeys(KEYS), FakeChance(seed)), FakeChance(f"{seed} codes")
        blobs = FolderBlobs(self.folder / "blobs", self.executor)
        self.store = RightsStore(self.shared, sealer, chance=chance, blobs=blobs, executor=self.executor)
        log = LicenceLog(self.shared, sealer)
        tell = self.tell
        rights = RightsDesk(
            self.store,
            log,
            self.tenant,
            executor=self.executor,
            clock=self.clock,
            tell=tell,
            count=lambda name, labels: None,
        )
        drops = Drops(self.room, self.tenant, executor=self.executor, clock=self.clock, chance=chance, tell=tell)
        codes = Codes(PortalStore(self.shared, sealer), self.clock, chance)
        self.desk = PortalDesk(
            codes,
            rights,
            self.store,
            drops,
            room=self.room,
            mail=self.post,  # type: ignore[arg-type]  # as much of it as is used
            clock=self.clock,
            tell=tell,
        )

    def tell(self, level: str, event: str, **facts: object) -> None:
        self.told.append((event, facts))

    async def keep(self, *, copy: bool = True, expires: float | None = None) -> UUID:
        """A message for READER behind LINK, as wrapping leaves it."""
        made = seal(ORIGINAL, job(READER, expires=expires), self.tenant, FakeChance("seal"))
        kept = KeptRights(
            work=made.work,
            message_id="<1@corp.example>",
            queue_id="Q",
            sender=OWNER,
            readers=((READER, b"l" * 32),),
            subject="s",
            template="encrypt-only",
            created=self.clock.now(),
            expires=expires,
        )
        await self.store.keep(kept, made.rpmsg if copy else None)
        return made.work

    async def code(self, token: str = LINK, browser: bytes = BROWSER) -> str:
        """Ask for a code and look into the mailbox."""
        asked = await self.desk.ask_code(token, browser, CLIENT)
        assert asked.slowed_until is None
        await self.desk.settle(5)
        to, code, reference = self.post.codes[-1]
        assert (to, reference) == (READER, asked.reference)
        return code

    async def enter(self) -> Any:
        """A session."""
        given = await self.desk.try_code(LINK, BROWSER, await self.code(), CLIENT)
        assert isinstance(given, SessionGiven)
        session = await self.desk.session(LINK, given.cookie, CLIENT)
        assert session is not None
        return session

    async def wrong(self, code: str = "00000000", browser: bytes = BROWSER, client: str = CLIENT) -> Refusal:
        refused = await self.desk.try_code(LINK, browser, code, client)
        assert isinstance(refused, Refusal)
        return refused


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the migrations make it, once."""
    path = tmp_path_factory.mktemp("migrated") / "shared.db"
    migrate_shared(path)
    return path


@pytest.fixture
def house(tmp_path: Path, migrated: Path) -> Iterator[House]:
    shutil.copy(migrated, tmp_path / "shared.db")
    with ThreadPoolExecutor(2) as executor:
        one = House(tmp_path, executor)
        yield one
        one.shared.close()


async def test_a_reader_gets_a_code_and_reads(house: House) -> None:
    work = await house.keep()
    assert (await house.desk.look(LINK)).state is Fate.WAITING
    session = await house.enter()
    assert (session.principal, session.work, session.client) == (READER, work, CLIENT)
    opened = await house.desk.read(session, Right.VIEW)
    assert opened.original == ORIGINAL
    await house.desk.leave(session)
    assert await house.desk.session(LINK, session.cookie, CLIENT) is None


async def test_a_code_is_used_once(house: House) -> None:
    await house.keep()
    code = await house.code()
    assert isinstance(await house.desk.try_code(LINK, BROWSER, code, CLIENT), SessionGiven)
    assert (await house.wrong(code)).reason is Reason.CODE_ENDED


async def test_of_many_who_type_the_right_code_at_once_one_comes_in(house: House) -> None:
    await house.keep()
    code = await house.code()
    answers = await asyncio.gather(*(house.desk.try_code(LINK, BROWSER, code, CLIENT) for _ in range(20)))
    assert sum(isinstance(one, SessionGiven) for one in answers) == 1


async def test_only_the_browser_that_asked_can_answer(house: House) -> None:
    await house.keep()
    code = await house.code()
    assert (await house.wrong(code, b"x" * 32)).reason is Reason.CODE_ENDED
    assert isinstance(await house.desk.try_code(LINK, BROWSER, code, CLIENT), SessionGiven)


async def test_a_newer_code_takes_the_place_of_the_older(house: House) -> None:
    await house.keep()
    old, new = await house.code(), await house.code()
    assert (await house.wrong(old)).reason is Reason.WRONG_CODE
    assert isinstance(await house.desk.try_code(LINK, BROWSER, new, CLIENT), SessionGiven)


async def test_five_wrong_tries_end_a_code(house: House) -> None:
    await house.keep()
    code = await house.code()
    assert [(await house.wrong()).tries_left for _ in range(TRIES)] == [4, 3, 2, 1, 0]
    assert (await house.wrong(code)).reason is Reason.CODE_ENDED


async def test_a_code_ends_after_fifteen_minutes(house: House) -> None:
    await house.keep()
    code = await house.code()
    await house.clock.advance(LIFE)
    assert await house.desk.asked(LINK, BROWSER) is None
    assert (await house.wrong(code)).reason is Reason.CODE_ENDED


async def test_a_session_ends_by_itself(house: House) -> None:
    await house.keep()
    session = await house.enter()
    await house.clock.advance(3600)
    assert await house.desk.session(LINK, session.cookie, CLIENT) is None


async def test_asking_again_and_again_is_slowed_and_mails_nothing(house: House) -> None:
    await house.keep()
    asked = [await house.desk.ask_code(LINK, bytes([number]) * 32, CLIENT) for number in range(20)]
    await house.desk.settle(5)
    assert sum(one.slowed_until is None for one in asked) == len(house.post.codes) == 3
    assert asked[-1].slowed_until == pytest.approx(house.clock.now() + 30)


async def test_guesses_by_many_browsers_and_addresses_at_once_and_across_restarts_are_counted_together(
    house: House,
) -> None:
    """Attack: ten thousand of them find no code. There are no more tries than those of the codes that were sent."""
    await house.keep()
    tried = 0

    async def guess(number: int) -> None:
        nonlocal tried
        browser, client = number.to_bytes(32, "big"), f"198.51.{number % 250}.{number % 199}"
        asked = await house.desk.ask_code(LINK, browser, client)
        for code in range(3):
            refused = await house.desk.try_code(LINK, browser, f"{number * 3 + code:08d}", client)
            assert isinstance(refused, Refusal)
            tried += refused.reason is Reason.WRONG_CODE
            assert asked.slowed_until is None or refused.reason is not Reason.WRONG_CODE

    for start in range(0, 45, 15):
        await asyncio.gather(*(guess(number) for number in range(start, start + 15)))
        await asyncio.to_thread(house.shared.close)
        house.start(f"restart {start}")
    assert tried <= 11 and len(house.post.codes) == 3


def _door(path: str) -> bytes:
    found = token_octets(path.rpartition("/")[2])
    assert found is not None
    return found


async def test_whoever_is_kept_waiting_is_mailed_a_door_and_an_unknown_link_looks_alike(house: House) -> None:
    """The attack: whoever holds the link asks for codes until none is sent, so that its reader can ask for none."""
    await house.keep()
    for token in (LINK, UNKNOWN):
        asked = [await house.desk.ask_code(token, bytes([number]) * 32, "198.51.100.1") for number in range(3)]
        await house.clock.advance(31)
        asked += [await house.desk.ask_code(token, bytes([number]) * 32, "198.51.100.1") for number in range(3, 5)]
        await house.clock.advance(61)
        asked += [await house.desk.ask_code(token, bytes([number]) * 32, "198.51.100.1") for number in range(5, 8)]
        assert [one.slowed_until is None for one in asked] == [True, True, True, True, False, True, False, False]
    await house.desk.settle(5)
    [(to, path, ends, language)] = house.post.doors
    assert (to, language) == (READER, "en") and path.startswith(f"/m/{LINK}/door/") and ends > house.clock.now()
    door = _door(path)
    assert (await house.desk.ask_code(LINK, BROWSER, CLIENT)).slowed_until is not None
    assert (await house.desk.ask_code(UNKNOWN, BROWSER, CLIENT, "en", [door])).slowed_until is not None
    before = len(house.post.codes)
    assert (await house.desk.ask_code(LINK, BROWSER, CLIENT, "en", [door])).slowed_until is None
    await house.desk.settle(5)
    assert len(house.post.codes) == before + 1
    given = await house.desk.try_code(LINK, BROWSER, house.post.codes[-1][1], CLIENT)
    assert isinstance(given, SessionGiven)
    assert not any(path.rpartition("/")[2] in str(facts) for _, facts in house.told)


async def test_guesses_at_many_links_of_one_reader_are_counted_together(house: House) -> None:
    await house.keep()
    for number in range(24):
        made = seal(ORIGINAL, job(READER), house.tenant, FakeChance(f"seal {number}"))
        kept = KeptRights(
            work=made.work,
            message_id=f"<{number}@corp.example>",
            queue_id="Q",
            sender=OWNER,
            readers=((READER, bytes([130 + number]) * 32),),
            subject="s",
            template="encrypt-only",
            created=house.clock.now(),
        )
        await house.store.keep(kept, None)
    wrong = 0
    for number in range(24):
        token, client = spelled(bytes([130 + number]) * 32), f"198.51.{number}.1"
        await house.desk.ask_code(token, BROWSER, client)
        for _ in range(2):
            refused = await house.desk.try_code(token, BROWSER, "00000000", client)
            assert isinstance(refused, Refusal)
            wrong += refused.reason is Reason.WRONG_CODE
    await house.desk.settle(5)
    assert wrong <= 2 * len(house.post.codes)
    assert len(house.post.codes) <= 11, "a mailbox is not filled by whoever holds its links"


async def test_an_unknown_link_is_answered_as_a_known_one_and_mails_nobody(house: House) -> None:
    await house.keep()
    assert await house.desk.look(UNKNOWN) == await house.desk.look(LINK)
    known, unknown = [await house.desk.ask_code(token, BROWSER, CLIENT) for token in (LINK, UNKNOWN)]
    assert (known.ends, known.slowed_until) == (unknown.ends, unknown.slowed_until) and unknown.reference
    await house.desk.settle(5)
    assert len(house.post.codes) == 1
    refused = await house.desk.try_code(UNKNOWN, BROWSER, "00000000", CLIENT)
    assert isinstance(refused, Refusal) and (refused.reason, refused.tries_left) == (Reason.WRONG_CODE, 4)
    assert house.clock.slept == [pytest.approx(GLANCE)] * 2 + [pytest.approx(FLOOR)] * 3


async def test_a_code_mail_that_fails_keeps_the_answer(house: House) -> None:
    await house.keep()
    house.post.refuses = Away()
    assert isinstance(await house.desk.ask_code(LINK, BROWSER, CLIENT), Asked)
    await house.desk.settle(5)
    assert ("code_mail_failed", {"error": "Away"}) in house.told


async def test_what_was_revoked_meanwhile_is_read_no_more(house: House) -> None:
    work = await house.keep()
    code, session = await house.code(), await house.enter()
    await house.store.revoke(work, house.clock.now(), reader=READER)
    assert (await house.desk.look(LINK)).state is Fate.REVOKED
    assert (await house.wrong(code)).reason is Reason.REVOKED
    with pytest.raises(NotOpened) as caught:
        await house.desk.read(session, Right.VIEW)
    assert caught.value.reason is Shut.REVOKED


async def test_what_has_expired_says_so(house: House) -> None:
    await house.keep(expires=NOW + 120)
    session = await house.enter()
    await house.clock.advance(120)
    assert (await house.desk.look(LINK)).state is Fate.EXPIRED
    with pytest.raises(NotOpened) as caught:
        await house.desk.read(session, Right.VIEW)
    assert caught.value.reason is Shut.EXPIRED


async def test_without_a_copy_the_dropped_file_opens_it(house: House) -> None:
    made = seal(ORIGINAL, job(READER), house.tenant, FakeChance("seal"))
    await house.keep(copy=False)
    assert (await house.desk.look(LINK)).needs_file
    session = await house.enter()
    with pytest.raises(NeedsFile):
        await house.desk.read(session, Right.VIEW)
    handle = await house.desk.upload(Held(made.rpmsg), READER, CLIENT)
    assert (await house.desk.look(handle)).is_dropped
    given = await house.desk.try_code(handle, BROWSER, await house.code(handle), CLIENT)
    assert isinstance(given, SessionGiven)
    reading = await house.desk.session(handle, given.cookie, CLIENT)
    assert reading is not None
    assert (await house.desk.read(reading, Right.VIEW)).original == ORIGINAL


async def test_a_stranger_who_drops_a_file_gets_no_code(house: House) -> None:
    made = seal(ORIGINAL, job(READER), house.tenant, FakeChance("seal"))
    handle = await house.desk.upload(Held(made.rpmsg), "eve@evil.example", CLIENT)
    assert (await house.desk.ask_code(handle, BROWSER, CLIENT)).reference
    await house.desk.settle(5)
    assert house.post.codes == []
    with pytest.raises(NotSent, match="damaged"):
        await house.desk.upload(Held(b"x" * 600), READER, CLIENT)


async def test_asking_for_codes_with_a_file_tells_nobody_who_else_may_read_it(house: House) -> None:
    """The attack: whoever has the file types addresses, and sees by the waiting which of them are readers."""
    made = seal(ORIGINAL, job(READER), house.tenant, FakeChance("seal"))
    await house.keep()
    slowed: dict[str, list[bool]] = {}
    for number, address in enumerate((READER, "eve@evil.example")):
        for round_ in range(8):
            client = f"198.51.{number}.{round_}"
            handle = await house.desk.upload(Held(made.rpmsg), address, client)
            for browser in (b"1" * 32, b"2" * 32):
                asked = await house.desk.ask_code(handle, browser, client)
                slowed.setdefault(address, []).append(asked.slowed_until is not None)
                for _ in range(2):
                    refused = await house.desk.try_code(handle, browser, "00000000", client)
                    assert isinstance(refused, Refusal)
                    slowed[address].append(refused.reason is Reason.SLOWED)
    assert slowed[READER] == slowed["eve@evil.example"]
    assert any(slowed[READER]), "a mailbox is not filled by whoever has a file either"
    assert (await house.desk.ask_code(LINK, BROWSER, CLIENT)).slowed_until is None, "his links count apart"


async def test_who_is_kept_waiting_with_a_file_is_mailed_a_door_whatever_strangers_typed(house: House) -> None:
    """The attack: somebody types a reader's address with the file of another message until its reader has to wait."""
    other = seal(ORIGINAL, job("eve@evil.example"), house.tenant, FakeChance("other"))
    mine = seal(ORIGINAL, job(READER), house.tenant, FakeChance("seal"))
    for number in range(10):
        handle = await house.desk.upload(Held(other.rpmsg), READER, f"198.51.100.{number}")
        for browser in (b"1" * 32, b"2" * 32):
            await house.desk.ask_code(handle, browser, f"198.51.100.{number}")
        await house.clock.advance(61)
    handle = await house.desk.upload(Held(mine.rpmsg), READER, CLIENT)
    for _ in range(2):
        asked = await house.desk.ask_code(handle, BROWSER, CLIENT)
        assert asked.slowed_until is not None
    await house.desk.settle(5)
    assert house.post.codes == []
    [(to, path, _, _)] = house.post.doors
    assert to == READER
    assert (await house.desk.ask_code(handle, BROWSER, CLIENT, "en", [_door(path)])).slowed_until is None


async def test_a_file_that_can_not_even_be_counted_is_not_kept(house: House) -> None:
    content = Held(b"x" * 600)
    house.room.lying.append(content)
    await asyncio.to_thread(house.shared.close)
    with pytest.raises(Away):
        await house.desk.upload(content, READER, CLIENT)
    assert house.room.is_empty


async def test_an_answer_goes_to_the_post_and_needs_its_right(house: House) -> None:
    await house.keep()
    session = await house.enter()
    assert await house.desk.reply(session, Reply(text="hi")) == "Q1"
    assert house.post.replies == [(READER, Reply(text="hi"))]


async def test_what_is_passing_comes_out_as_away(house: House) -> None:
    await house.keep()
    await asyncio.to_thread(house.shared.close)
    with pytest.raises(Away) as caught:
        await house.desk.look(LINK)
    assert isinstance(caught.value.__cause__, StorageBroken)


async def test_what_is_passing_is_told_once_a_minute_however_many_it_turns_away(house: House) -> None:
    await house.keep()
    await asyncio.to_thread(house.shared.close)

    async def turned_away(times: int) -> int:
        for _ in range(times):
            with pytest.raises(Away):
                await house.desk.look(LINK)
        return [name for name, _ in house.told].count("portal_away")

    assert await turned_away(5) == 1
    await house.clock.advance(QUIET)
    assert await turned_away(5) == 2


async def test_nothing_of_reader_or_message_is_told(house: House) -> None:
    await house.keep()
    session = await house.enter()
    await house.desk.read(session, Right.VIEW)
    await house.wrong()
    text = repr(house.told) + repr(session)
    for secret in ("ben", "partner", "Secret", LINK, house.post.codes[0][1]):
        assert secret not in text.replace(f"principal='{READER}'", "")
