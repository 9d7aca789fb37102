"""What IMAP says of a message's form: ENVELOPE, BODYSTRUCTURE, sections, and what SEARCH finds (RFC 3501, RFC 3516).

`Head.of` reads a message once, when it comes; what it found is kept beside the message, so that a list of thousands is
shown without one of them being decrypted. It reads tolerantly, since what was delivered has to be shown whatever it is:
lines may end with LF alone, and what is broken is described as the text that it is. Pure and synchronous.
Leaves out: the languages of SORT and THREAD (RFC 5256), and message/global as a message of its own (RFC 6532), which
RFC 3501 doesn't know.
"""

from gateway.mailboxes.head.head import BadHead, Head
from gateway.mailboxes.head.reader import HeadReader
from gateway.mailboxes.head.search import Needle, Searched
from gateway.mailboxes.head.section import Section, UnknownEncoding, What
from gateway.mailboxes.head.wire import literal, literal8, nstring, string

__all__ = [
    "BadHead",
    "Head",
    "HeadReader",
    "Needle",
    "Searched",
    "Section",
    "UnknownEncoding",
    "What",
    "literal",
    "literal8",
    "nstring",
    "string",
]
