"""What the rules made of one message: the copies that leave, wait or are held, and what is to be told of it. Values."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.mail.mail import Mail
from gateway.mail.message import Content, Joined, Message, Runs


@dataclass(frozen=True, slots=True)
class Left:
    """What a message leaves elsewhere, stored with it in one commit (DESIGN 4). `octets`: in the form of the store that
    takes it in, which `kind` names, and sealed by it.
    """

    kind: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`copies`: each a mail of the same id with its own recipients, message and terms; none where all was deleted.

    `notices`: mails that the gateway itself writes (client None, null sender): reports, notices to the sender. They
    are stored in the same commit under the same id, so that none is lost, and no rule but one that demands TLS looks at
    them. `decided`: what the rules did, in the form that `gateway rule test` prints ("rules" and "outcomes", matched
    rules alone), for the trace; None where no rule matched. `told`: what else the trace is to know, event and facts.
    `left`: what is kept elsewhere, such as what readers of its copies need. `logged`: facts for the log's line by which
    the message was taken. `touched`: whether anything is other than it came.
    """

    copies: tuple[Mail, ...]
    notices: tuple[Mail, ...] = ()
    decided: dict[str, object] | None = field(default=None, repr=False)
    told: tuple[tuple[str, dict[str, object]], ...] = field(default=(), repr=False)
    left: tuple[Left, ...] = field(default=(), repr=False)
    logged: dict[str, object] | None = field(default=None, repr=False)
    touched: bool = True

    @property
    def mails(self) -> tuple[Mail, ...]:
        """Copies and notices."""
        return self.copies + self.notices

    def messages(self) -> tuple[Message, ...]:
        """The different messages."""
        return tuple({id(mail.message.content): mail.message for mail in self.mails}.values())

    def contents(self) -> tuple[Content, ...]:
        """The different octets, in the order in which they are stored one behind the other."""
        found = {id(part): part for message in self.messages() for part in _parts(message.content)}
        return tuple(found.values())

    def places(self) -> dict[int, Runs] | None:
        """Where each message's octets lie in what is stored, by `id` of its content; None where there is but one."""
        if len(self.copies) + len(self.notices) == 1:
            return None
        messages = self.messages()
        if len(messages) < 2:
            return None
        starts, at = {}, 0
        for part in self.contents():
            starts[id(part)] = at
            at += part.size
        return {
            id(message.content): tuple((starts[id(part)], part.size) for part in _parts(message.content))
            for message in messages
        }


def _parts(content: Content) -> tuple[Content, ...]:
    return content.parts if isinstance(content, Joined) else (content,)
