"""Why a message did not arrive, in words for whoever sent it: the part of a notice that people read. Pure.

Leaves out: other languages than English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.delivery.kind import Kind
from gateway.mail.date import rfc5322_date
from gateway.mail.delivery import Delivery, Success, Target

MOST_SHOWN = 50  # Recipients told of at length; the machine's part names all.
_LONGEST_REPLY = 600
_LONGEST_TOPIC = 70
_WIDTH = 76
_SPANS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))
_NEARLY = 0.95  # Of a unit: 58 minutes are told as an hour.

_TLS_WORD = re.compile(r"[a-z]+(?:-[a-z]+)+")

# The words of RFC 8460 4.3, as the trace and the queue show them.
_TLS: Final = {
    "starttls-not-supported": "the receiving server offers no encrypted connection",
    "certificate-expired": "the receiving server's certificate has expired",
    "certificate-host-mismatch": "the receiving server's certificate is made out to another name",
    "certificate-not-trusted": "the receiving server's certificate comes from nobody whom we trust",
    "validation-failure": "no encrypted connection to the receiving server could be set up",
}

# By status code without its first digit, the longer ones first looked up: why, and what the sender can do.
_CODES: Final = {
    "1.1": ("there is no such mailbox", "Check the spelling of the address."),
    "1.2": ("there is no such domain", "Check the spelling of the part behind the @."),
    "1.3": ("the receiving server does not understand the address", "Check the spelling of the address."),
    "1.10": ("that domain takes no mail at all", "Ask the recipient for another address."),
    "1": ("the receiving server does not accept the address", "Check the spelling of the address."),
    "2.1": ("the mailbox takes no mail at present", "Reach the recipient in another way."),
    "2.2": ("the mailbox is full", "Try again later, or reach the recipient in another way."),
    "2.3": ("the message is too large for that mailbox", "Send less, or share large files in another way."),
    "2": ("the mailbox did not take it", "Reach the recipient in another way."),
    "3.4": ("the message is too large for the receiving server", "Send less, or share large files in another way."),
    "3": ("the receiving server could not take it", "Try again later."),
    "4.2": (
        "the conversation with the receiving server broke off",
        "Try again later, or reach the recipient in another way.",
    ),
    "4.4": ("no mail server is known for that domain", "Check the spelling of the part behind the @."),
    "4.6": ("the message goes round in a loop", "Tell the postmaster named below."),
    "4": ("the receiving server could not be reached", "Try again later, or reach the recipient in another way."),
    "6.3": ("the receiving server can't take 8-bit text", "Send plain text in English letters, or ask the recipient."),
    "6.7": ("the receiving server can't take such an address", "Ask the recipient for an address in plain letters."),
    "6": ("the receiving server did not take its contents", "Send it in a simpler form."),
    "7.8": ("this gateway could not log in at the next mail server", "Tell the postmaster of this gateway."),
    "7": ("the receiving server's rules do not allow it", "Ask the recipient or the recipient's postmaster."),
    "": ("the receiving server refused it", "Ask the recipient or the recipient's postmaster."),
}


def is_tls_word(reason: str | None) -> bool:
    """Whether `reason` is a word of RFC 8460 4.3, or of that kind, rather than a sentence."""
    return bool(reason) and _TLS_WORD.fullmatch(reason or "") is not None


def repeats(reply: str, sentence: str) -> bool:
    """Whether a reply of ours is a code and the same `sentence` once more."""
    return bool(sentence) and reply.casefold().endswith(sentence.casefold())


def subject(targets: tuple[Target, ...], kind: Kind) -> str:
    """One line of ASCII."""
    word = "Not delivered" if kind is Kind.FAILURE else "Delayed"
    if kind is Kind.SUCCESS:
        word = "Delivered" if all(target.owed is Success.DELIVERED for target in targets) else "Handed on"
    address = targets[0].address
    if len(targets) == 1 and address.is_ascii and len(address.text) <= 60:
        return f"{word}: your message to {address.text}"
    return f"{word}: your message to {len(targets)} recipient{'s' if len(targets) > 1 else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is to be told. Times are seconds since 1970; `until` goes with a delay: when it is given up.

    `topic` is the original's Subject; `returned`: the whole original goes back with the notice, not its header alone.
    """

    delivery: Delivery
    targets: tuple[Target, ...]
    kind: Kind
    hostname: str
    contact: str | None
    now: float
    until: float | None
    topic: str
    returned: bool


def explain(letter: Letter) -> str:
    """What happened, to whom, why, and what to do; lines end with CR LF."""
    targets = letter.targets
    lines = [f"This is the mail gateway {letter.hostname}. It tells you about your message:", ""]
    lines += [*_which(letter), "", *_opening(letter)]
    for target in targets[:MOST_SHOWN]:
        lines += ["", *_one(letter, target)]
    if len(targets) > MOST_SHOWN:
        lines += ["", f"... and {len(targets) - MOST_SHOWN} more, who are listed in the next part of this notice."]
    if letter.contact:
        lines += ["", f"If you need help, write to {letter.contact} and name {letter.delivery.message}."]
    attached = "Your message" if letter.returned else "The header of your message"
    lines += ["", f"{attached}, and details for your postmaster, are attached.", ""]
    return "\r\n".join(lines)


def _which(letter: Letter) -> list[str]:
    """By what its sender knows the message again."""
    topic = _visible(letter.topic)
    if len(topic) > _LONGEST_TOPIC:
        topic = topic[:_LONGEST_TOPIC].rstrip() + "..."
    when = f"handed in on {rfc5322_date(letter.delivery.created).removesuffix(' +0000')} UTC"
    return [*([f'  "{topic}"'] if topic else []), f"  {when}"]


def _opening(letter: Letter) -> list[str]:
    whom = "these recipients" if len(letter.targets) > 1 else "this recipient"
    if letter.kind is Kind.FAILURE:
        return [f"It could not be delivered to {whom}, and will not be tried again."]
    if letter.until is None:
        return ["You asked to hear what becomes of it. You need do nothing."]
    left = letter.until - letter.now
    time = "for a short time yet" if is_short(left) else f"for {span(left)} at most"
    return [
        f"It has not been delivered to {whom} yet. You need do nothing:",
        f"the gateway goes on trying, {time}, and tells you if it gives up.",
    ]


def span(seconds: float) -> str:
    """A duration as people say it, such as `5 days`, `1 hour`, `20 minutes`."""
    for size, name in _SPANS:
        if seconds >= size * _NEARLY:
            count = max(1, round(seconds / size))
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "less than a minute"


def is_short(seconds: float) -> bool:
    """Whether `span` has no number for it."""
    return seconds < _SPANS[-1][0] * _NEARLY


def _one(letter: Letter, target: Target) -> list[str]:
    lines = [f"  {_visible(target.address.text)}"]
    if letter.kind is Kind.SUCCESS:
        return lines + _reached(target)
    failed = letter.kind is Kind.FAILURE
    why, advice = _why(target)
    if failed and (target.enhanced or "").endswith(".4.7"):
        took = letter.now - letter.delivery.created
        time = "in the short time that the gateway may try" if is_short(took) else f"for {span(took)}"
        lines += _wrapped("Why: ", f"it could not be delivered {time}. The last problem: {why}.")
    else:
        lines += _wrapped("Why: ", f"{why}.")
    lines += _said(target, why)
    if failed:
        lines += _wrapped("What to do: ", advice)
    return lines


def _said(target: Target, why: str) -> list[str]:
    """The next hop's own words, or ours where they tell more than `why` does."""
    said = _visible(target.reply or "")[:_LONGEST_REPLY]
    if said and target.host and target.reason is None:
        return _wrapped(f"{_visible(target.host)} said: ", said)
    return _wrapped("Detail: ", said) if said and not repeats(said, why) else []


def _reached(target: Target) -> list[str]:
    if target.owed is Success.DELIVERED:
        return _wrapped("", "It has been delivered.")
    host = _visible(target.host or "") or "the next mail server"
    words = (
        f"It was handed on to {host}, which took it. That server sends no receipts, so nobody will tell you when it "
        "arrives. Should it not arrive, that server is to tell you."
    )
    return _wrapped("", words) + _said(target, "")


def _why(target: Target) -> tuple[str, str]:
    reason = target.reason or ""
    if is_tls_word(reason):
        cause = _TLS.get(reason, "the receiving server could not be trusted with it")
        return (
            f"it may only be sent over an encrypted connection, and {cause} ({reason})",
            "Ask the recipient's postmaster to put that right, then send it again.",
        )
    code = (target.enhanced or "")[2:]
    if code == "4.7":  # Expired: the code says that it took too long, the reply says why.
        found = re.search(r"\b[45]\.([0-9]{1,3}\.[0-9]{1,3})\b", target.reply or "")
        code = found[1] if found else ""
        if not code and not reason:
            reason = "the receiving server could not be reached, or did not take it"
    for key in (code, code.partition(".")[0]):
        if key in _CODES:
            why, advice = _CODES[key]
            break
    else:
        key = ""
        why, advice = _CODES[key]
    if reason and (not target.host or not key):
        why = _visible(reason).rstrip(".")
    return why, advice


def _visible(text: str) -> str:
    """`text` in one line, without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _wrapped(label: str, text: str) -> list[str]:
    """`label` and `text`, indented, in lines of readable length."""
    lines, line = [], "    " + label
    indent = "      " if label else "    "
    for word in text.split(" "):
        if len(line) + len(word) > _WIDTH and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += word + " "
    return [*lines, line.rstrip()]
