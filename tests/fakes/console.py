"""The gateway's console: answers as the test says, keeps what it was asked, and fails on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class FakeConsole:
    """`answers` by command; a list of answers is given out one by one, the last again and again.

    `serving=False`: no gateway runs. `fault`: the sentence with which every question fails.
    """

    def __init__(self, *, serving: bool = True, fault: str | None = None, **answers: Any) -> None:
        self.serving = serving
        self.fault = fault
        self.otherness: str | None = None
        self.answers = {name.replace("__", "."): answer for name, answer in answers.items()}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.opened: Path | None = None

    def open(self, path: Path) -> FakeConsole:
        self.opened = path
        return self

    def ask(self, command: str, **arguments: Any) -> Any:
        from gateway.app.console import ConsoleFault

        self.asked.append((command, arguments))
        if self.fault is not None:
            raise ConsoleFault(self.fault)
        answer = self.answers[command]
        if isinstance(answer, Several):
            return answer.parts.pop(0) if len(answer.parts) > 1 else answer.parts[0]
        return answer


class Several:
    """Answers to the same question, in order."""

    def __init__(self, *parts: Any) -> None:
        self.parts = list(parts)
