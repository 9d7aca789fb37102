"""What a trace is sealed as and found by, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Final

from gateway.mail.address import BadAddress, normal_domain
from gateway.observe.events import Event, Found
from gateway.storage import trace_index
from gateway.storage.record import Prepared, Record
from gateway.storage.sealer import Sealer
from gateway.storage.spool_rows import decode_record, encode_record

PURPOSE: Final = "trace"

_SENDER: Final = "trace sender"
_SENDER_DOMAIN: Final = "trace sender domain"
_RECIPIENT: Final = "trace recipient"
_RECIPIENT_DOMAIN: Final = "trace recipient domain"
_MESSAGE_ID: Final = "trace message-id"
_NULL_SENDER: Final = "<>"


class TraceKeeper:
    """Fulfils `gateway.storage.record.Keeper`. Calls raise SealBroken."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def prepare(self, record: Record) -> Prepared:
        """`record` as it will lie in the databases."""
        message, uid = record.message, record.uid
        time = int(record.events[0].time * 1000) if record.events else 0
        tokens = b"" if record.found is None else partial(self._packed, record.found)
        return Prepared(
            message, uid, time, tokens, self._sealer.seal(PURPOSE, f"{message}/{uid}", encode_record(record))
        )

    def recover(self, message: str, uid: int, sealed: bytes) -> Prepared:
        """A record that a former process left in a spool. Raises SealBroken."""
        record = decode_record(self._sealer.open(PURPOSE, f"{message}/{uid}", sealed), uid)
        time = int(record.events[0].time * 1000) if record.events else 0
        tokens = b"" if record.found is None else partial(self._packed, record.found)
        return Prepared(message, uid, time, tokens, sealed)

    def _packed(self, found: Found) -> bytes:
        return trace_index.pack(self._tokens(found))

    def _tokens(self, found: Found) -> list[int]:
        token = self._sealer.token
        address, domain = _normal(found.sender or _NULL_SENDER)
        tokens = [token(_SENDER, address)]
        if domain:
            tokens.append(token(_SENDER_DOMAIN, domain))
        if found.message_id:
            tokens.append(token(_MESSAGE_ID, found.message_id))
        for recipient in found.recipients:
            address, domain = _normal(recipient)
            tokens.append(token(_RECIPIENT, address))
            if domain:
                tokens.append(token(_RECIPIENT_DOMAIN, domain))
        return tokens if len(found.recipients) == 1 else list(dict.fromkeys(tokens))

    def _asked(self, message_id: str | None, sender: str | None, recipient: str | None) -> list[int]:
        token = self._sealer.token
        # The rarest first: it is what the index is walked by.
        tokens = [] if message_id is None else [token(_MESSAGE_ID, message_id)]
        for text, whole, domain in (
            (recipient, _RECIPIENT, _RECIPIENT_DOMAIN),
            (sender, _SENDER, _SENDER_DOMAIN),
        ):
            if text is not None:
                value, is_domain = _asked_address(text)
                tokens.append(token(domain if is_domain else whole, value))
        return tokens

    def _told(self, message: str, rows: Iterable[tuple[int, bytes]]) -> list[Event]:
        """The events of a message out of its records (uid, sealed), in order of time."""
        events: list[Event] = []
        for uid, sealed in rows:
            plain = self._sealer.open(PURPOSE, f"{message}/{uid}", bytes(sealed))
            events += decode_record(plain, uid).events
        return sorted(events, key=lambda event: event.time)  # Stable: what came at once stays as it was told.


@lru_cache(maxsize=4096)
def _normal(address: str) -> tuple[str, str]:
    """`address` as it is compared, and its domain: lower case, A-labels."""
    local, at, domain = address.lower().rpartition("@")
    if not at:
        return domain, ""
    if not domain.isascii():
        try:
            domain = normal_domain(domain)
        except BadAddress:
            pass  # As it came: it is still found by the same text.
    return f"{local}@{domain}", domain


def _asked_address(text: str) -> tuple[str, bool]:
    """What a person asked for, as it is compared, and whether it is a domain."""
    text = text.strip()
    if text.lower() in ("postmaster", _NULL_SENDER) or text == "":
        return text.lower() or _NULL_SENDER, False
    if "@" in text.removeprefix("@"):
        return _normal(text)[0], False
    return _normal(f"@{text.removeprefix('@')}")[1], True
