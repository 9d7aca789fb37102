"""What is read once of a message: kept, and nobody waits for another message."""

from __future__ import annotations

from threading import Event, Thread

from gateway.mail.reading.once import once


class Read:
    def __init__(self, began: Event | None = None, goes_on: Event | None = None) -> None:
        self.began, self.goes_on = began, goes_on
        self.made = 0

    @once
    def text(self) -> str:
        """What it says."""
        self.made += 1
        if self.began is not None and self.goes_on is not None:
            self.began.set()
            assert self.goes_on.wait(10)
        return "text"


def test_a_value_is_made_once() -> None:
    one = Read()
    assert (one.text, one.text, one.made) == ("text", "text", 1)
    assert Read.text.__doc__ == "What it says."


def test_a_message_is_read_while_a_thread_still_reads_another() -> None:
    began, goes_on, done = Event(), Event(), Event()
    large = Read(began, goes_on)
    small = Read()

    def read_small() -> None:
        if small.text:
            done.set()

    threads = [Thread(target=lambda: large.text), Thread(target=read_small)]
    threads[0].start()
    assert began.wait(10)
    threads[1].start()
    try:
        assert done.wait(5)
    finally:
        goes_on.set()
        for thread in threads:
            thread.join()
