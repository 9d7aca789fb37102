"""What was answered lately is bounded, and a flood of noes pushes no yes out."""

from __future__ import annotations

from gateway.directory.memory import Memory
from gateway.directory.model import Answer


def test_answers_count_for_their_time() -> None:
    memory = Memory()
    memory.keep_known("ida", 10, 100)
    memory.keep_other("otto", Answer.UNKNOWN, 5)
    assert memory.fresh("ida", 9) is Answer.KNOWN
    assert memory.fresh("ida", 10) is None
    assert memory.was_known("ida", 99)
    assert not memory.was_known("ida", 100)
    assert memory.fresh("otto", 4) is Answer.UNKNOWN
    assert memory.fresh("otto", 5) is None


def test_a_no_ends_a_yes_and_a_yes_ends_a_no() -> None:
    memory = Memory()
    memory.keep_known("ida", 10, 100)
    memory.keep_other("ida", Answer.UNKNOWN, 50)
    assert memory.fresh("ida", 1) is Answer.UNKNOWN
    assert not memory.was_known("ida", 1)
    memory.keep_known("ida", 10, 100)
    assert memory.fresh("ida", 1) is Answer.KNOWN


def test_the_oldest_goes_first_and_noes_push_out_no_yes() -> None:
    memory = Memory(max_known=2, max_others=3)
    for who in ("a", "b", "c"):
        memory.keep_known(who, 10, 10)
    for number in range(100):
        memory.keep_other(str(number), Answer.UNKNOWN, 10)
    assert len(memory) == 5
    assert [memory.fresh(who, 1) for who in ("a", "b", "c")] == [None, Answer.KNOWN, Answer.KNOWN]
    assert memory.fresh("96", 1) is None
    assert memory.fresh("97", 1) is Answer.UNKNOWN
