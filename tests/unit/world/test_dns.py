"""DNS by real packets, from a server on loopback whose zone the test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from gateway.world import dns as world_dns
from gateway.world.dns import SystemNames
from gateway.world.names import MAX_TEXT, MAX_TEXTS, Mx, NamesUnavailable, NoSuchName
from tests.fakes.clock import FakeClock
from tests.fakes.dns_server import FakeDns


@pytest.fixture
async def server() -> AsyncIterator[FakeDns]:
    async with FakeDns(
        "x.test. 60 IN MX 20 b.test.",
        "x.test. 60 IN MX 10 A.test.",
        "a.test. 60 IN A 192.0.2.1",
        "a.test. 60 IN AAAA 2001:db8::1",
        "four.test. 60 IN A 192.0.2.4",
        "null.test. 60 IN MX 0 .",
        "brief.test. 0 IN A 192.0.2.5",
        "long.test. 9999999 IN A 192.0.2.6",
        'key.test. 60 IN TXT "v=DKIM1; " "p=abc"',
        "key.test. 60 IN TXT second",
    ) as server:
        yield server


Make = Callable[..., SystemNames]


@pytest.fixture
async def make(server: FakeDns, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[SystemNames] = []

    def names(clock: FakeClock | None = None, timeout: float = 5, hosts: str = "") -> SystemNames:
        file = tmp_path / "hosts"
        file.write_text(hosts)
        made.append(SystemNames([server.address], timeout, clock or FakeClock(), hosts=file))
        return made[-1]

    yield names
    for one in made:
        await one.close()


async def test_mx_records_come_by_preference_in_lower_case_without_dot(make: Make) -> None:
    assert await make().mx("X.test.") == (Mx(10, "a.test"), Mx(20, "b.test"))


async def test_null_mx_has_an_empty_host(make: Make) -> None:
    assert await make().mx("null.test") == (Mx(0, ""),)


async def test_both_families_are_asked_and_ipv6_comes_first(make: Make) -> None:
    names = make()
    assert await names.addresses("a.test") == ("2001:db8::1", "192.0.2.1")
    assert await names.addresses("four.test") == ("192.0.2.4",)


async def test_the_strings_of_a_text_record_are_joined_and_kept(make: Make, server: FakeDns) -> None:
    names = make()
    assert sorted(await names.txt("Key.test.")) == [b"second", b"v=DKIM1; p=abc"]
    assert len(await names.txt("key.test")) == 2
    assert server.asked == [("key.test", "TXT")]
    assert await names.txt("a.test") == ()
    with pytest.raises(NoSuchName):
        await names.txt("gone.test")


async def test_what_is_known_of_a_text_record_is_at_hand_without_asking(make: Make, server: FakeDns) -> None:
    clock = FakeClock()
    names = make(clock)
    assert names.txt_at_hand("key.test") is None
    known = await names.txt("key.test")
    with pytest.raises(NoSuchName):
        await names.txt("gone.test")
    assert names.txt_at_hand("Key.test.") == known
    assert names.txt_at_hand("gone.test") is None, "why there is none is told by `txt`"
    await clock.advance(60)
    assert names.txt_at_hand("key.test") is None
    assert len(server.asked) == 2


async def test_texts_too_long_or_too_many_are_cut(make: Make, server: FakeDns) -> None:
    strings = " ".join(['"' + "x" * 255 + '"'] * 240)  # 60 KiB: nearly all that one answer can hold.
    server.zone += [f"long-key.test. 60 IN TXT {strings}"]
    server.zone += [f"many.test. 60 IN TXT {number:0100}" for number in range(150)]
    server.truncates = True
    names = make()
    assert [len(one) for one in await names.txt("long-key.test")] == [MAX_TEXT]
    assert len(await names.txt("many.test")) == MAX_TEXTS


async def test_a_large_answer_is_not_kept(make: Make, server: FakeDns) -> None:
    server.truncates = True
    server.zone += [f"fits.test. 60 IN TXT {number:0128}" for number in range(world_dns.LARGE // 128)]
    server.zone += [f"large.test. 60 IN TXT {number:0128}" for number in range(world_dns.LARGE // 128 + 1)]
    names = make()
    for _ in range(2):
        await names.txt("fits.test")
        await names.txt("large.test")
    assert [name for name, _ in server.asked].count("fits.test") == 2, "once by UDP and once by TCP"
    assert [name for name, _ in server.asked].count("large.test") == 4


async def test_a_name_without_such_records_has_an_empty_answer(make: Make) -> None:
    names = make()
    assert await names.mx("a.test") == ()
    assert await names.addresses("x.test") == ()


async def test_a_name_that_does_not_exist_is_told_apart_from_silence(make: Make, server: FakeDns) -> None:
    server.failing.add("broken.test")
    names = make()
    for ask in (names.mx, names.addresses):
        with pytest.raises(NoSuchName, match=r"gone\.test does not exist"):
            await ask("gone.test")
        with pytest.raises(NamesUnavailable, match=r"broken\.test"):
            await ask("broken.test")


async def test_no_answer_in_time_is_unavailable(make: Make, server: FakeDns) -> None:
    server.silent.add("quiet.test")
    with pytest.raises(NamesUnavailable, match="in time"):
        await make(timeout=0.1).mx("quiet.test")


async def test_one_family_failing_does_not_spoil_the_other(make: Make, server: FakeDns) -> None:
    server.silent.add(("a.test", "AAAA"))
    assert await make(timeout=0.2).addresses("a.test") == ("192.0.2.1",)


async def test_one_family_failing_and_none_in_the_other_is_unavailable(make: Make, server: FakeDns) -> None:
    server.silent.add(("four.test", "A"))
    with pytest.raises(NamesUnavailable):
        await make(timeout=0.2).addresses("four.test")


async def test_a_cut_answer_is_asked_for_again_by_tcp(make: Make, server: FakeDns) -> None:
    server.truncates = True
    assert len(await make().mx("x.test")) == 2
    assert server.by_tcp == 1


@pytest.mark.parametrize(
    ("name", "seconds"), [("a.test", 60), ("gone.test", 900), ("x.test", 900), ("long.test", 86400)]
)
async def test_answers_are_kept_as_long_as_they_say(make: Make, server: FakeDns, name: str, seconds: float) -> None:
    clock = FakeClock()
    names = make(clock)

    async def ask() -> None:
        try:
            await names.addresses(name)
        except NoSuchName:
            pass

    await ask()
    asked = len(server.asked)
    await clock.advance(seconds - 1)
    await ask()
    assert server.asked[asked:] == [(name, "AAAA")] * (name == "long.test")  # Its AAAA is a "none", and shorter.
    asked = len(server.asked)
    await clock.advance(1.5)
    await ask()
    assert (name, "A") in server.asked[asked:]


@pytest.mark.parametrize(("minimum", "seconds"), [(10, 300), (7200, 3600), (None, 300)])
async def test_there_is_none_is_kept_from_five_minutes_to_an_hour(
    make: Make, server: FakeDns, minimum: int | None, seconds: float
) -> None:
    server.soa_minimum = minimum
    clock = FakeClock()
    names = make(clock)
    for pause, asked in ((0.0, 1), (seconds - 1, 1), (2.0, 2)):
        await clock.advance(pause)
        with pytest.raises(NoSuchName):
            await names.mx("gone.test")
        assert len(server.asked) == asked


async def test_a_failure_is_kept_for_a_moment_only(make: Make, server: FakeDns) -> None:
    server.failing.add("x.test")
    clock = FakeClock()
    names = make(clock)
    for _ in range(3):
        with pytest.raises(NamesUnavailable):
            await names.mx("x.test")
    assert len(server.asked) == 1
    server.failing.clear()
    await clock.advance(6)
    assert len(await names.mx("x.test")) == 2


async def test_an_answer_without_time_to_live_is_not_kept(make: Make, server: FakeDns) -> None:
    names = make()
    for _ in range(2):
        await names.addresses("brief.test")
    assert server.asked.count(("brief.test", "A")) == 2


async def test_many_who_ask_at_once_share_one_question(make: Make, server: FakeDns) -> None:
    names = make()
    answers = await asyncio.gather(*(names.mx("x.test") for _ in range(50)))
    assert len(server.asked) == 1
    assert set(map(len, answers)) == {2}


async def test_who_gives_up_waiting_does_not_take_the_answer_from_the_others(make: Make, server: FakeDns) -> None:
    server.gate = asyncio.Event()
    names = make()
    first = asyncio.ensure_future(names.mx("x.test"))
    second = asyncio.ensure_future(names.mx("x.test"))
    async with asyncio.timeout(30):
        while not server.asked:
            await asyncio.sleep(0.001)
    first.cancel()
    server.gate.set()
    assert len(await second) == 2
    assert first.cancelled()


async def test_the_cache_is_bounded_and_drops_what_is_used_least(
    make: Make, server: FakeDns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world_dns, "MAX_KEPT", 2)
    server.zone += [f"m{number}.test. 60 IN MX 1 a.test." for number in range(3)]
    names = make()
    for name in ("m0.test", "m1.test", "m0.test", "m2.test", "m0.test", "m1.test"):
        await names.mx(name)
    assert [name for name, _ in server.asked] == ["m0.test", "m1.test", "m2.test", "m1.test"]


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("192.0.2.9", ("192.0.2.9",)),
        ("2001:DB8:0::9", ("2001:db8::9",)),
        ("localhost", ("127.0.0.1", "::1")),
        ("a.localhost.", ("127.0.0.1", "::1")),
        ("Relay.corp.example", ("192.0.2.77", "2001:db8::77")),
        ("alias", ("192.0.2.77",)),
    ],
)
async def test_literals_localhost_and_the_hosts_file_need_no_dns(
    make: Make, server: FakeDns, host: str, addresses: tuple[str, ...]
) -> None:
    hosts = "# comment\n192.0.2.77 relay.corp.example alias # more\n2001:db8::77\trelay.corp.example\nnonsense x\n"
    assert await make(hosts=hosts).addresses(host) == addresses
    assert server.asked == []


async def test_a_changed_hosts_file_is_read_again(make: Make, tmp_path: Path) -> None:
    clock = FakeClock()
    names = make(clock, hosts="192.0.2.1 relay.test\n")
    assert await names.addresses("relay.test") == ("192.0.2.1",)
    (tmp_path / "hosts").write_text("192.0.2.22 relay.test\n")
    await clock.advance(11)
    assert await names.addresses("relay.test") == ("192.0.2.22",)


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", ""])
async def test_what_is_no_domain_name_does_not_exist(make: Make, server: FakeDns, name: str) -> None:
    with pytest.raises(NoSuchName):
        await make().mx(name)
    assert server.asked == []


def test_the_same_holds_on_uvloop() -> None:
    async def story() -> None:
        async with FakeDns("x.test. 60 IN MX 10 a.test.", "a.test. 60 IN A 192.0.2.1") as server:
            names = SystemNames([server.address], 5, FakeClock())
            assert await names.mx("x.test") == (Mx(10, "a.test"),)
            assert await names.addresses("a.test") == ("192.0.2.1",)
            server.truncates = True
            assert await names.mx("a.test") == ()
            await names.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("text", ["", "127.0.0.1", "resolver.test:53", "127.0.0.1:x"])
def test_a_resolver_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write ADDRESS:PORT, such as 127\.0\.0\.1:53"):
        SystemNames([text], 5, FakeClock())
