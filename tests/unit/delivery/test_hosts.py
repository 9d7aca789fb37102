"""Which hosts a delivery may go to."""

from __future__ import annotations

import pytest

from gateway.delivery.hosts import NoHost, candidates
from gateway.delivery.outcome import Verdict
from gateway.world.names import Mx
from tests.fakes.chance import FakeChance
from tests.fakes.names import FakeNames
from tests.fakes.outbounds import make_outbound


async def found(names: FakeNames, destination: str, *smart_hosts: tuple[str, int]) -> list[tuple[str, str, int]]:
    outbound = make_outbound(*smart_hosts)
    return [(one.host, one.address, one.port) async for one in candidates(outbound, destination, names, FakeChance())]


async def none(names: FakeNames, destination: str, *smart_hosts: tuple[str, int]) -> NoHost:
    with pytest.raises(NoHost) as caught:
        await found(names, destination, *smart_hosts)
    return caught.value


async def test_smart_hosts_come_in_their_order_with_their_ports() -> None:
    names = FakeNames(hosts={"b.test": ("192.0.2.2",), "a.test": ("192.0.2.1",)})
    assert await found(names, "", ("b.test", 26), ("a.test", 25), ("192.0.2.9", 587)) == [
        ("b.test", "192.0.2.2", 26),
        ("a.test", "192.0.2.1", 25),
        ("192.0.2.9", "192.0.2.9", 587),
    ]


async def test_mx_hosts_come_by_preference() -> None:
    names = FakeNames(
        {"x.test": (Mx(20, "b.test"), Mx(5, "a.test"))}, {"a.test": ("192.0.2.1",), "b.test": ("192.0.2.2",)}
    )
    assert [host for host, _, _ in await found(names, "x.test")] == ["a.test", "b.test"]


async def test_equal_preferences_are_shuffled_by_chance() -> None:
    class Falling(FakeChance):
        def between(self, low: float, high: float) -> float:
            self.share /= 2
            return super().between(low, high)

    hosts = {"a.test": ("192.0.2.1",), "b.test": ("192.0.2.2",)}
    names = FakeNames({"x.test": (Mx(5, "a.test"), Mx(5, "b.test"))}, hosts)
    tried = [one.host async for one in candidates(make_outbound(), "x.test", names, Falling())]
    assert tried == ["b.test", "a.test"]


async def test_without_mx_the_domain_itself_is_the_host() -> None:
    assert await found(FakeNames(hosts={"x.test": ("192.0.2.1",)}), "x.test") == [("x.test", "192.0.2.1", 25)]


async def test_null_mx_is_a_lasting_no() -> None:
    fault = await none(FakeNames({"x.test": (Mx(0, ""),)}), "x.test")
    assert (fault.verdict, fault.enhanced) == (Verdict.NEVER, "5.1.10")
    assert (fault.code, str(fault)) == (556, "the domain x.test takes no mail (null MX)")


async def test_a_null_mx_beside_others_means_nothing() -> None:
    names = FakeNames({"x.test": (Mx(0, ""), Mx(10, "a.test"))}, {"a.test": ("192.0.2.1",)})
    assert [host for host, _, _ in await found(names, "x.test")] == ["a.test"]


async def test_a_domain_that_does_not_exist_is_a_lasting_no() -> None:
    fault = await none(FakeNames(), "x.test")
    assert (fault.verdict, fault.enhanced) == (Verdict.NEVER, "5.1.2")


async def test_no_answer_about_the_mx_waits() -> None:
    fault = await none(FakeNames(unavailable=frozenset({"x.test"})), "x.test")
    assert (fault.verdict, fault.enhanced) == (Verdict.LATER, "4.4.3")


async def test_mx_hosts_none_of_which_exists_are_a_lasting_no() -> None:
    fault = await none(FakeNames({"x.test": (Mx(1, "a.test"), Mx(2, "b.test"))}, {"b.test": ()}), "x.test")
    assert (fault.verdict, fault.enhanced) == (Verdict.NEVER, "5.4.4")


async def test_one_mx_host_without_an_answer_waits_where_no_other_has_one() -> None:
    names = FakeNames({"x.test": (Mx(1, "a.test"), Mx(2, "b.test"))}, unavailable=frozenset({"a.test"}))
    fault = await none(names, "x.test")
    assert (fault.verdict, fault.enhanced) == (Verdict.LATER, "4.4.3")
    names.hosts["b.test"] = ("192.0.2.2",)
    assert [host for host, _, _ in await found(names, "x.test")] == ["b.test"]


async def test_a_slip_in_a_smart_host_never_bounces_mail() -> None:
    fault = await none(FakeNames(), "", ("typo.test", 25))
    assert fault.verdict is Verdict.LATER
    assert "typo.test" in str(fault)


@pytest.mark.parametrize(("literal", "address"), [("[192.0.2.7]", "192.0.2.7"), ("[ipv6:2001:db8::7]", "2001:db8::7")])
async def test_an_address_literal_needs_no_names(literal: str, address: str) -> None:
    names = FakeNames()
    assert await found(names, literal) == [(address, address, 25)]
    assert names.asked == []


async def test_at_most_five_hosts_and_ten_addresses_are_tried() -> None:
    many = {f"h{number}.test": (f"192.0.2.{number}",) for number in range(9)}
    names = FakeNames({"x.test": tuple(Mx(number, f"h{number}.test") for number in range(9))}, many)
    assert [host for host, _, _ in await found(names, "x.test")] == [f"h{number}.test" for number in range(5)]
    names = FakeNames(hosts={"x.test": tuple(f"192.0.2.{number}" for number in range(12))})
    assert len(await found(names, "x.test")) == 10


async def test_families_take_turns_so_that_neither_is_cut_off() -> None:
    six = tuple(f"2001:db8::{number}" for number in range(12))
    names = FakeNames(hosts={"x.test": (*six, "192.0.2.1")})
    assert [address for _, address, _ in await found(names, "x.test")][:3] == [
        "2001:db8::0",
        "192.0.2.1",
        "2001:db8::1",
    ]


async def test_hosts_are_looked_up_only_as_they_are_needed() -> None:
    names = FakeNames(
        {"x.test": (Mx(1, "a.test"), Mx(2, "b.test"))}, {"a.test": ("192.0.2.1",), "b.test": ("192.0.2.2",)}
    )
    stream = candidates(make_outbound(), "x.test", names, FakeChance())
    assert (await anext(stream)).host == "a.test"
    await stream.aclose()
    assert names.asked == [("mx", "x.test"), ("addresses", "a.test")]
