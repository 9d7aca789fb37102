"""A text that a message shows."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Text:
    """`where`: `body`, or `part 1.2`, `attachment 1.3`, `subject of part 2` by the place among the parts.

    `hidden`: an HTML text whole, with what it hides in its place, so that a word which is found in this one alone is
    hidden, or whole only where nothing is hidden; or what is hidden beside the text, such as a title. The text as most
    readers show it stands in front of it.
    """

    where: str
    text: str = field(repr=False)
    hidden: bool = False
