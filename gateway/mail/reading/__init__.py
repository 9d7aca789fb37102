"""What a message says to its reader, whichever program he reads it with (RFC 2045 to 2047, RFC 2231, RFC 5322). Pure.

`gateway.mail.mime` reads structure strictly, for edits; this reads as the most tolerant mail program would: where
readers differ about a part, what each of them shows is offered. Reading never fails, and is bounded in time and memory.
Leaves out: what lies inside archives and documents, compressed RTF (in winmail.dat), letters in the colour of their
background, words drawn as images, and script, which no mail program runs.
"""

from gateway.mail.reading.attachment import Attachment
from gateway.mail.reading.flaw import Flaw
from gateway.mail.reading.header import ReadField
from gateway.mail.reading.kind import MessageKind
from gateway.mail.reading.reading import Reading, read
from gateway.mail.reading.text import Text

__all__ = ["Attachment", "Flaw", "MessageKind", "ReadField", "Reading", "Text", "read"]
