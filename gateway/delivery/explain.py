"""Why a message did not arrive, in words for whoever sent it: the part of a notice that people read. Pure.

Leaves out: other languages than English.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mail.delivery import Delivery, Target

MOST_SHOWN = 50  # Recipients told of at length; the machine's part names all.
_LONGEST_REPLY = 600
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
    "7": ("the receiving server's rules do not allow it", "Ask the recipient or the recipient's postmaster."),
    "": ("the receiving server refused it", "Ask the recipient or the recipient's postmaster."),
}


def is_tls_word(reason: str | None) -> bool:
    """Whether `reason` is a word of RFC 8460 4.3, or of that kind, rather than a sentence."""
    return bool(reason) and _TLS_WORD.fullmatch(reason or "") is not None


def repeats(reply: str, sentence: str) -> bool:
    """Whether a reply of ours is a code and the same `sentence` once more."""
    return bool(sentence) and reply.casefold().endswith(sentence.casefold())


def subject(targets: tuple[Target, ...], late: bool) -> str:
    """One line of ASCII."""
    word = "Delayed" if late else "Not delivered"
    address = targets[0].address
    if len(targets) == 1 and address.is_ascii and len(address.text) <= 60:
        return f"{word}: your message to {address.text}"
    return f"{word}: your message to {len(targets)} recipient{'s' if len(targets) > 1 else ''}"


def explain(
    delivery: Delivery,
    targets: tuple[Target, ...],
    hostname: str,
    contact: str | None,
    now: float,
    until: float | None,
) -> str:
    """What happened, to whom, why, and what to do; lines end with CR LF. Times are seconds since 1970."""
    several = len(targets) > 1
    whom = "these recipients" if several else "this recipient"
    if until is None:
        opening = [f"Your message could not be delivered to {whom},", "and will not be tried again."]
    else:
        left = until - now
        time = "for a short time yet" if is_short(left) else f"for {span(left)} at most"
        opening = [
            f"Your message has not been delivered to {whom} yet. You need do nothing:",
            f"the gateway goes on trying, {time}, and tells you if it gives up.",
        ]
    lines = [f"This is the mail gateway {hostname}.", "", *opening]
    for target in targets[:MOST_SHOWN]:
        lines += ["", *_one(delivery, target, now, until is not None)]
    if len(targets) > MOST_SHOWN:
        lines += ["", f"... and {len(targets) - MOST_SHOWN} more, who are listed in the next part of this notice."]
    if contact:
        lines += ["", f"If you need help, write to {contact} and name {delivery.message}."]
    lines += ["", "The header of your message, and details for your postmaster, are attached.", ""]
    return "\r\n".join(lines)


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


def _one(delivery: Delivery, target: Target, now: float, late: bool) -> list[str]:
    why, advice = _why(target)
    expired = (target.enhanced or "").endswith(".4.7") and not late
    lines = [f"  {_visible(target.address.text)}"]
    if expired:
        took = now - delivery.created
        time = "in the short time that the gateway may try" if is_short(took) else f"for {span(took)}"
        lines += _wrapped("Why: ", f"it could not be delivered {time}. The last problem: {why}.")
    else:
        lines += _wrapped("Why: ", f"{why}.")
    said = _visible(target.reply or "")[:_LONGEST_REPLY]
    if said and target.host and target.reason is None:
        lines += _wrapped(f"{_visible(target.host)} said: ", said)
    elif said and not repeats(said, why):
        lines += _wrapped("Detail: ", said)
    if not late:
        lines += _wrapped("What to do: ", advice)
    return lines


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
    for word in text.split(" "):
        if len(line) + len(word) > _WIDTH and line.strip():
            lines.append(line.rstrip())
            line = "      "
        line += word + " "
    return [*lines, line.rstrip()]
