"""SMTP replies (RFC 5321 4.2) with enhanced status codes (RFC 2034, RFC 3463): every code and sentence that we use.

What the client reads is general; mechanism, names and paths belong into the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to a client. Lines of `text` are separated by LF.

    Raises ValueError for what RFC 5321 4.2 and RFC 2034 4 do not allow, such as 451 with 5.4.0.
    """

    code: int
    enhanced: str | None
    text: str
    wire: bytes = field(init=False, repr=False, compare=False, default=b"")

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"reply code {self.code} is outside 200 to 599")
        if self.enhanced is not None:
            if not _ENHANCED.fullmatch(self.enhanced):
                raise ValueError(f"{self.enhanced!r} is not an enhanced status code")
            if self.enhanced[0] != str(self.code)[0]:  # RFC 2034 4
                raise ValueError(f"{self.code} does not go with {self.enhanced}")
        if any((ord(letter) < 32 and letter != "\n") or ord(letter) == 127 for letter in self.text):
            raise ValueError("a reply holds no control characters")
        object.__setattr__(self, "wire", self._encode())

    def _encode(self) -> bytes:
        mark = f"{self.enhanced} " if self.enhanced else ""
        lines = self.text.split("\n")
        last = len(lines) - 1
        return b"".join(
            f"{self.code}{'-' if place < last else ' '}{mark}{line}\r\n".encode() for place, line in enumerate(lines)
        )

    def noted(self, note: str) -> Reply:
        """The same reply with `note` (an id, a contact) behind its last line."""
        return Reply(self.code, self.enhanced, f"{self.text} {note}")


class Refused(Exception):
    """Answer this to the client. `close` ends the session after the reply. `told`: what the trace is to know of a
    message that is refused for good, events and facts; nothing for what is refused before anybody has looked at it.

    The cause is chained with `from`; it goes to the log and never to the client.
    """

    def __init__(
        self, reply: Reply, *, close: bool = False, told: tuple[tuple[str, dict[str, object]], ...] = ()
    ) -> None:
        super().__init__(f"{reply.code} {reply.enhanced or '-'} {reply.text}")
        self.reply = reply
        self.close = close
        self.told = told


INTERNAL = Reply(451, "4.3.0", "Something failed here; please try again later")


def reply_to(error: BaseException) -> Reply:
    """The only place where an exception becomes a reply. Never shows an unknown error's words.

    An unknown error is a passing one: a fault of ours must not bounce mail.
    """
    return error.reply if isinstance(error, Refused) else INTERNAL


# Greeting, session
OK = Reply(250, "2.0.0", "OK")
BYE = Reply(221, "2.0.0", "Bye")
FLUSHED = Reply(250, "2.0.0", "Reset")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
CHUNK_OK = Reply(250, "2.0.0", "Chunk received")  # RFC 3030 2
GO_AHEAD = Reply(354, None, "End data with <CR><LF>.<CR><LF>")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
NOT_VERIFIED = Reply(252, "2.1.5", "Cannot say; send the mail and see")
HELP = Reply(214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS QUIT")

# Syntax and order (RFC 5321 4.2.4, 4.3.2)
UNKNOWN_COMMAND = Reply(500, "5.5.2", "Command not recognised")
BAD_SYNTAX = Reply(501, "5.5.4", "Syntax error in parameters")
BAD_LINE = Reply(500, "5.5.2", "Bare CR, LF or NUL in a command")
LINE_TOO_LONG = Reply(500, "5.5.2", "Command line too long")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
NO_BINARY = Reply(555, "5.5.4", "BODY=BINARYMIME is not offered here; send 7BIT or 8BITMIME")
HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "Say MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "Say RCPT first")
NESTED_MAIL = Reply(503, "5.5.1", "A transaction is under way")
IN_CHUNKS = Reply(503, "5.5.1", "The message is under way by BDAT; end it with LAST, or say RSET")  # RFC 3030 2
CHUNK_DROPPED = Reply(503, "5.5.1", "An earlier chunk of the message was refused")
NO_VALID_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
BAD_HELLO = Reply(501, "5.5.4", "EHLO takes a domain name or an address literal")
BAD_SENDER = Reply(501, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT = Reply(501, "5.1.3", "Bad recipient address syntax")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised")
BAD_PARAMETER = Reply(501, "5.5.4", "Bad or repeated parameter")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "Addresses beyond ASCII need SMTPUTF8")  # RFC 6531 3.5
UNEXPECTED_DATA = Reply(503, "5.5.1", "Data came before it was asked for")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is on already")
TLS_NOT_OFFERED = Reply(502, "5.5.1", "STARTTLS is not offered here")

# Limits
TOO_MANY_BAD_COMMANDS = Reply(421, "4.7.0", "Too many bad commands")
TOO_MANY_REFUSED = Reply(421, "4.7.0", "Too many refused recipients")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections; please try again later")
TOO_MANY_MESSAGES = Reply(421, "4.7.0", "Too many messages in one session; please connect again")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")  # RFC 5321 4.5.3.1.10
TOO_MANY_DOMAINS = Reply(452, "4.5.3", "Too many recipient domains")  # RFC 9422 4
TOO_LARGE = Reply(552, "5.3.4", "The message is too large")  # RFC 1870 6.1
TOO_SLOW = Reply(421, "4.4.2", "Time ran out")
SHUTTING_DOWN = Reply(421, "4.3.2", "The gateway is stopping; please try again later")
LINE_OVER_LIMIT = Reply(550, "5.6.0", "A line of the message is too long")
BARE_NEWLINE = Reply(550, "5.6.11", "The message has a bare CR or LF")  # as Exchange has it
LOOP = Reply(554, "5.4.6", "Mail loop: too many Received lines")
STORAGE_FULL = Reply(452, "4.3.1", "Storage is full; please try again later")
# Nothing can be sealed: what the reason is, the vault's owner knows and the log says.
KEYS_CLOSED = Reply(451, "4.3.0", "Mail cannot be taken now; please try again later")
# The database server is away: whoever keeps the connection has told it.
STORAGE_AWAY = Reply(451, "4.3.0", "Mail cannot be taken now; please try again later")
# A transport rule that must not be passed over could not be judged: its name and the reason stand in the log.
RULE_FAILED = Reply(451, "4.3.0", "The message cannot be judged now; please try again later")
SIGNING_AWAY = Reply(451, "4.3.0", "The message cannot be signed now; please try again later")

# Terms
TLS_REQUIRED = Reply(530, "5.7.0", "Say STARTTLS first")  # RFC 3207 4
TLS_TOO_OLD = Reply(550, "5.7.0", "A newer version of TLS is needed here")
# Logging in and submission (RFC 4954 6, RFC 6409 6). One sentence for a wrong password and for an unknown name.
LOGGED_IN = Reply(235, "2.7.0", "Authentication succeeded")
LOG_IN_REFUSED = Reply(535, "5.7.8", "Authentication credentials invalid")
LOG_IN_LATER = Reply(454, "4.7.0", "Temporary authentication failure; please try again later")
LOG_IN_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
LOG_IN_ENDED = Reply(421, "4.7.0", "Your account has changed; please log in again")
LOGGED_IN_ALREADY = Reply(503, "5.5.1", "Authenticated already")
TOO_MANY_LOG_INS = Reply(421, "4.7.0", "Too many failed attempts to log in")
AUTH_NOT_OFFERED = Reply(503, "5.5.1", "AUTH is not offered here")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Say STARTTLS before AUTH")
AUTH_REQUIRED = Reply(530, "5.7.0", "Authentication required")
NO_SUCH_MECHANISM = Reply(504, "5.5.4", "Mechanism not offered; PLAIN and LOGIN are")
BAD_BASE64 = Reply(501, "5.5.2", "Authentication data that cannot be decoded")
AUTH_TOO_LONG = Reply(500, "5.5.6", "Authentication line too long")
SENDER_NOT_YOURS = Reply(550, "5.7.60", "You may not send as this sender")  # as Exchange has it
FROM_NOT_YOURS = Reply(550, "5.7.60", "You may not send as the address in From or Sender of the message")
BAD_FROM = Reply(550, "5.6.0", "The message needs one From field and at most one Sender field that can be read")
HEADER_TOO_LARGE = Reply(552, "5.3.4", "The header section of the message is too large")
INCOMPLETE_DOMAIN = Reply(553, "5.1.2", "The recipient's domain is not complete")  # RFC 6409 4.2
RELAY_DENIED = Reply(550, "5.7.64", "Relaying is not allowed")
ADDRESS_RESTRICTED = Reply(550, "5.7.1", "Mail from this domain is not taken from your address")
# As Exchange has it for RestrictDomainsToCertificate.
CERTIFICATE_NEEDED = Reply(550, "5.7.51", "Mail from this domain is taken with a client certificate only")
CERTIFICATE_NAME = Reply(550, "5.7.51", "Your client certificate is made out to another name than is agreed here")
CERTIFICATE_UNTRUSTED = Reply(550, "5.7.51", "Your client certificate is not accepted here")
SENDER_NOT_ALLOWED = Reply(550, "5.7.1", "Mail from you is not taken here")
NO_SUCH_RECIPIENT = Reply(550, "5.1.1", "No such recipient here")
# RFC 3463 3.3: as a persistent transient failure, since the recipient can make room; and for good where nobody can.
MAILBOX_FULL = Reply(452, "4.2.2", "The mailbox is full; please try again later")
MAILBOX_GONE = Reply(550, "5.2.1", "The mailbox takes no mail any more")
RECIPIENT_UNSURE = Reply(451, "4.4.3", "The recipient can't be verified now; please try again later")
NO_ROUTE = Reply(550, "5.4.4", "No connector leads to this domain")
PROTECTION_AWAY = Reply(451, "4.7.5", "The message cannot be protected now; please try again later")
OPENING_AWAY = Reply(451, "4.7.5", "The message cannot be opened now; please try again later")
CONNECTOR_GONE = Reply(451, "4.3.5", "The way for this message is not there now; please try again later")


def unprotectable(rule: str) -> Reply:
    """To a message that the rule of that name lets leave with S/MIME only, where that can't be had (RFC 3463 3.8)."""
    name = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in rule)
    return Reply(
        550, "5.7.5", f'The rule "{name}" lets this message leave encrypted or signed only; that cannot be done'
    )
