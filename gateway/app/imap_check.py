"""The section [imap] with all that it names: what is wrong with it, for `gateway check`, `serve` and `reload`.

Its place is judged with those of the listeners (`gateway.app.check`).
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.app.face import IMAP
from gateway.app.face_certificate import face_files
from gateway.app.own_certificates import judge_pair
from gateway.settings.fault import Fault, entry_keys
from gateway.settings.load import Loaded


def judge_imap(loaded: Loaded, now: float) -> Iterator[Fault]:
    """Faults and warnings of the section. Reads certificate and key."""
    section = loaded.settings.imap
    if section is None:
        return
    if face_files(loaded, IMAP) is None:
        right = "the certificate's PEM file: IMAP speaks TLS alone here"
        yield loaded.fault("imap.certificate", "nothing, and no listener that has one", right)
    elif section.certificate is not None:
        yield from judge_pair(loaded, "imap", section.certificate, section.key, now)
    elif section.key is not None:
        yield loaded.fault("imap.key", "a key without a certificate", "both, or neither", beside=("imap.certificate",))
    connectors = loaded.settings.connectors.outbound
    if not any(one.deliver == "mailbox" and one.enabled for one in connectors):
        right = '[[connectors.outbound]] with deliver = "mailbox", for the domains whose mail ends here'
        found = "no connector that delivers to mailboxes, so nothing arrives in them"
        beside = entry_keys("connectors.outbound", len(connectors), "deliver", "enabled")
        yield loaded.warning("imap", found, right, beside=beside)
