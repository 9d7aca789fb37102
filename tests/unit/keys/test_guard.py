"""A vault's silence holds nobody up: deadlines, and the circuit in front of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.keys import guard
from gateway.keys.guard import FAILURES, HANDS, LONGEST, PAUSES, Guarded
from gateway.keys.vault import Denied, KeyType, Unavailable, Vault, VaultBroken, Wrapped
from tests.fakes.clock import FakeClock
from tests.fakes.vault import FakeVault

CONTEXT = b"for a test"


class Hanging(FakeVault):
    """A vault over a wire that does not answer until `gate` is set. `begun` counts the calls that have come."""

    def __init__(self) -> None:
        super().__init__()
        self.is_local = False
        self.gate = threading.Event()
        self.begun = 0

    def unwrap(self, wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        self.begun += 1
        assert self.gate.wait(30)
        return super().unwrap(wrapped, context, about=about)


class Bench:
    """A guarded vault, what it told, and a clock that only the test moves."""

    def __init__(self, vault: FakeVault | None = None, deadline: float = 20.0, longest: float = LONGEST) -> None:
        self.vault = vault or FakeVault()
        self.monotonic = 1000.0
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.measured: list[tuple[str, str, str, float]] = []
        self.opened = 0
        self.fault: Exception | None = None
        clock = FakeClock()
        self.guarded = Guarded(
            "main",
            self._open,
            now=lambda: clock.now() + self.monotonic,
            monotonic=lambda: self.monotonic,
            tell=lambda level, event, **facts: self.told.append((level, event, facts)),
            measure=lambda *facts: self.measured.append(facts),
            deadline=deadline,
            longest=longest,
        )
        self.wrapped = self.vault.wrap("default", b"k" * 32, CONTEXT)

    def _open(self) -> Vault:
        self.opened += 1
        if self.fault is not None:
            raise self.fault
        return self.vault

    def unwrap(self) -> bytes:
        return self.guarded.unwrap(self.wrapped, CONTEXT, about="a test")

    def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(Unavailable):
                self.unwrap()

    @property
    def events(self) -> list[str]:
        return [event for _, event, _ in self.told]


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    vault = Hanging()
    yield vault
    vault.gate.set()  # Lets the threads go.


def test_it_is_the_vault_that_it_guards() -> None:
    bench = Bench()
    guarded = bench.guarded
    guarded.health()
    assert guarded.is_local
    assert guarded.unwrap(guarded.wrap("default", b"x" * 32, CONTEXT), CONTEXT) == b"x" * 32
    assert guarded.create("signer", KeyType.ED25519).newest == 1
    assert guarded.rotate("signer").newest == 2
    signature = guarded.sign("signer", b"octets", about="message Q1")
    assert signature.version == 2
    assert guarded.public_key("signer", 1) != guarded.public_key("signer")
    guarded.disable("signer")
    with pytest.raises(Denied):
        guarded.sign("signer", b"octets")
    guarded.enable("signer")
    ends = FakeClock().now() + 5
    guarded.delete("signer", ends)
    guarded.recover("signer")
    guarded.delete("signer", ends)
    assert guarded.purge(ends + 1) == ("signer",)
    assert [key.name for key in guarded.keys()] == ["default"]
    assert bench.told == []
    assert bench.vault.abouts[-1] == "message Q1"


def test_the_circuit_opens_after_some_failures_and_asks_no_more() -> None:
    bench = Bench()
    bench.vault.away = True
    bench.fail(FAILURES)
    assert bench.events == ["vault_away"]
    calls = len(bench.measured)
    bench.fail(50)
    assert len(bench.measured) == calls  # None of them came as far as the vault.
    assert bench.events == ["vault_away"]  # And none made a line.
    assert bench.guarded.silence is not None


@pytest.mark.parametrize("longest", [LONGEST, 3.0, 1.0])
def test_while_it_is_open_one_call_in_a_while_goes_through_with_growing_pauses(longest: float) -> None:
    bench = Bench(longest=longest)
    bench.vault.away = True
    bench.fail(FAILURES)
    tries = []
    began = bench.monotonic
    while bench.monotonic < began + 100:
        bench.monotonic += 0.5
        calls = len(bench.measured)
        bench.fail(1)
        if len(bench.measured) > calls:
            tries.append(bench.monotonic - began)
    pauses = [late - early for early, late in zip([0.0, *tries], tries, strict=False)]
    expected = [min(pause, longest) for pause in (*PAUSES, *[PAUSES[-1]] * 100)]
    assert pauses == expected[: len(pauses)]
    assert len(pauses) >= len(PAUSES)
    assert bench.events == ["vault_away"]


def test_one_answer_closes_it_again() -> None:
    bench = Bench()
    bench.vault.away = True
    bench.fail(FAILURES)
    bench.vault.away = False
    bench.monotonic += PAUSES[0]
    assert bench.unwrap() == b"k" * 32
    assert bench.unwrap() == b"k" * 32
    assert bench.events == ["vault_away", "vault_back"]
    assert bench.told[1][2] == {"vault": "main", "seconds": PAUSES[0]}
    assert bench.guarded.silence is None


def test_a_person_need_not_wait_for_the_pause() -> None:
    bench = Bench()
    bench.vault.away = True
    bench.fail(FAILURES)
    bench.vault.away = False
    with pytest.raises(Unavailable, match="it is asked again in 1 s"):
        bench.unwrap()
    bench.guarded.hurry()
    assert bench.unwrap() == b"k" * 32


@pytest.mark.parametrize(("switch", "fault"), [("denied", Denied), ("broken", VaultBroken)])
def test_a_vault_that_says_no_has_answered(switch: str, fault: type[Exception]) -> None:
    bench = Bench()
    bench.vault.away = True
    bench.fail(FAILURES - 1)
    bench.vault.away = False
    setattr(bench.vault, switch, True)
    for _ in range(2 * FAILURES):
        with pytest.raises(fault):
            bench.unwrap()
    assert bench.guarded.silence is None
    setattr(bench.vault, switch, False)
    bench.vault.away = True
    bench.fail(FAILURES - 1)  # Those of before count no more.
    assert bench.told == []


def test_a_call_that_hangs_ends_at_its_deadline(hanging: Hanging) -> None:
    bench = Bench(hanging, deadline=0.01)
    with pytest.raises(Unavailable, match=r"vault 'main' has not answered for 0\.01 seconds"):
        bench.unwrap()
    assert hanging.begun == 1


def test_calls_that_hang_take_no_more_threads_than_there_are_hands(hanging: Hanging) -> None:
    bench = Bench(hanging, deadline=0.01)
    before = threading.active_count()
    for _ in range(3 * HANDS):
        bench.guarded.hurry()
        bench.fail(1)
    assert threading.active_count() <= before + HANDS
    assert hanging.begun == HANDS
    hanging.gate.set()
    patient = Bench(hanging)
    patient.guarded._hands = bench.guarded._hands
    assert patient.unwrap() == b"k" * 32
    assert hanging.begun == HANDS + 1  # The others were given up before anybody began them, and nobody did later.


def hands_of(name: str) -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith(f"vault-{name}-")]


def test_threads_of_a_vault_that_nobody_uses_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload makes vaults anew; those of before would leave their threads behind, each time."""
    monkeypatch.setattr(guard, "IDLE", 0.001)
    hands = guard._Hands("unused")
    together = threading.Barrier(2)
    askers = [threading.Thread(target=hands.do, args=(together.wait, 20.0)) for _ in range(2)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    for one in hands_of("unused"):
        one.join(20)
    assert hands_of("unused") == []
    assert hands.do(lambda: "again", 20.0) == "again"


def test_who_asks_while_a_thread_ends_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "IDLE", 0.0)  # It ends as soon as nobody asks.
    hands = guard._Hands("hasty")
    answers: list[int] = []

    def ask(number: int) -> None:
        answers.extend(hands.do(lambda one=one: one, 20.0) for one in range(number, number + 200))  # type: ignore[misc]

    askers = [threading.Thread(target=ask, args=(number * 200,)) for number in range(4)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert sorted(answers) == list(range(800))


def test_a_local_vault_is_asked_on_the_thread_that_asks() -> None:
    bench = Bench()
    bench.guarded.health()
    seen: list[str] = []
    unwrap = bench.vault.unwrap

    def note(wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        seen.append(threading.current_thread().name)
        return unwrap(wrapped, context, about=about)

    bench.vault.unwrap = note  # type: ignore[method-assign]
    bench.unwrap()
    bench.vault.is_local = False
    bench.unwrap()
    assert seen[0] == threading.current_thread().name
    assert seen[1].startswith("vault-main-")


def test_a_vault_that_can_t_be_opened_is_tried_again() -> None:
    bench = Bench()
    bench.fault = Denied("the secret is missing")
    for _ in range(2):
        with pytest.raises(Denied, match="the secret is missing"):
            bench.unwrap()
    assert not bench.guarded.is_local
    bench.fault = None
    assert bench.unwrap() == b"k" * 32
    assert bench.unwrap() == b"k" * 32
    assert bench.opened == 3


def test_a_provider_s_own_error_is_no_answer_and_its_words_stay_inside() -> None:
    bench = Bench()

    def fail(wrapped: Wrapped, context: bytes, *, about: str = "") -> bytes:
        raise RuntimeError("the pin is 1234")

    bench.vault.unwrap = fail  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=r"vault 'main' failed \(RuntimeError\)") as caught:
        bench.unwrap()
    assert "1234" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_every_call_is_measured_by_what_came_of_it() -> None:
    bench = Bench()
    bench.unwrap()
    bench.vault.denied = True
    with pytest.raises(Denied):
        bench.guarded.health()
    assert [facts[:3] for facts in bench.measured] == [("main", "unwrap", "done"), ("main", "health", "denied")]
