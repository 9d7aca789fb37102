"""A message out of a foreign file, which has a body and attachments but no original. Pure.

It is put together, and said to be. What it lacks is told where it would stand: an attached Outlook item or object can't
be shown.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from typing import Final
from urllib.parse import quote

from gateway.mail.date import rfc5322_date
from gateway.mail.mime.encode import Encoding, encoder
from gateway.rights.container.inner import BY_VALUE, ORIGINAL, Inner, InnerAttachment
from gateway.rights.xrml.publishing import PublishingLicence
from gateway.rights.xrml.rights_data import RightsData

_NO_BODY: Final = "This protected message has no text."
_LOST: Final = "An attached item of Outlook can't be shown here."
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\/\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ADDRESS = re.compile(r"[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}@[A-Za-z0-9.\-]{1,255}")
_CONTENT_ID = re.compile(r"[!-;=?-~]{1,200}")
MAX_NAME: Final = 200  # Characters of an attachment's name.


def rebuild(inner: Inner, licence: PublishingLicence, rights: RightsData) -> bytes:
    """The message (RFC 5322, RFC 2045): from the owner, at the time when it was sealed, with what the file holds."""
    mark = sha256(licence.work.bytes).hexdigest()[:24].encode()
    parts = [_body(inner, mark)]
    if inner.original is not None:  # Somebody's first attachment has the name of ours.
        parts.append(_attachment(InnerAttachment(ORIGINAL, None, inner.original, BY_VALUE)))
    parts += [_attachment(one) for one in inner.attachments]
    head = [
        b"From: %s" % _mailbox(licence.owner),
        b"Date: %s" % rfc5322_date(licence.issued).encode(),
        b"Message-ID: <%s@rights.invalid>" % str(licence.work).encode(),
        b"Subject: %s" % _word(licence.title or "Protected message"),
        b"MIME-Version: 1.0",
    ]
    shown = [_mailbox(reader) for reader in rights.readers if _ADDRESS.fullmatch(reader)]
    if shown:
        head.insert(1, b"To: %s" % b",\r\n ".join(shown))
    return b"\r\n".join(head) + b"\r\n" + (_multipart(b"mixed", parts, b"=_rights_" + mark) if parts[1:] else parts[0])


def _body(inner: Inner, mark: bytes) -> bytes:
    texts = []
    if inner.text is not None or inner.html is None:
        texts.append(_part(b'text/plain; charset="utf-8"', (inner.text or _NO_BODY).encode("utf-8", "replace")))
    if inner.html is not None:
        texts.append(_part(b'text/html; charset="utf-8"', inner.html.encode("utf-8", "replace")))
    return _multipart(b"alternative", texts, b"=_body_" + mark) if texts[1:] else texts[0]


def _attachment(one: InnerAttachment) -> bytes:
    if one.method != BY_VALUE:
        return _part(b'text/plain; charset="utf-8"', _LOST.encode(), *_named(f"{one.name}.txt", None))
    return _part(b"application/octet-stream", one.octets, *_named(one.name, one.content_id))


def _named(name: str, content_id: str | None) -> list[bytes]:
    safe = _UNSAFE.sub("_", name).encode("utf-8", "replace").decode()[:MAX_NAME] or "attachment"
    # RFC 2231 4: in percent codes, whatever is in it.
    fields = [b"Content-Disposition: attachment;\r\n filename*=utf-8''%s" % quote(safe, safe="").encode()]
    if content_id is not None and _CONTENT_ID.fullmatch(content_id):
        fields.append(b"Content-ID: <%s>" % content_id.encode())
    return fields


def _part(kind: bytes, octets: bytes, *fields: bytes) -> bytes:
    encode = encoder(Encoding.BASE64)
    head = (b"Content-Type: %s" % kind, b"Content-Transfer-Encoding: base64", *fields)
    return b"\r\n".join(head) + b"\r\n\r\n" + encode.feed(octets) + encode.end() + b"\r\n"


def _multipart(kind: bytes, parts: list[bytes], boundary: bytes) -> bytes:
    out = BytesIO()
    out.write(b'Content-Type: multipart/%s; boundary="%s"\r\n' % (kind, boundary))
    for part in parts:  # All of it is base64, in which no boundary occurs.
        out.write(b"\r\n--%s\r\n" % boundary)
        out.write(part)
    out.write(b"\r\n--%s--\r\n" % boundary)
    return out.getvalue()


def _mailbox(address: str) -> bytes:
    return address.encode() if _ADDRESS.fullmatch(address) else b"unknown@rights.invalid"


def _word(text: str) -> bytes:
    """As an encoded word (RFC 2047 2), 45 octets of UTF-8 each."""
    words: list[bytes] = []
    piece = b""
    for letter in _UNSAFE.sub(" ", text).encode("utf-8", "replace").decode():
        octets = letter.encode()
        if len(piece) + len(octets) > 45:
            words.append(piece)
            piece = b""
        piece += octets
    words.append(piece)
    return b"\r\n ".join(b"=?utf-8?B?%s?=" % b64encode(one) for one in words)
