"""The octets of messages in mailboxes: chunks of 1 MiB, each under a key of its own (AES-256-GCM, NIST SP 800-38D).

    mailbox key ── KDF, content id ── seals the map ── holds the content keys ── each seals one chunk, one the head

A content is written once and never changed. Its chunks are blobs under random names, its map and head lie in the
database: neither opens anything without the other, nor both without the mailbox key.

Leaves out: where blobs and rows lie (`gateway.storage`), which key a mailbox has (`gateway.mailboxes.policies`), what
stands in a head (`gateway.mailboxes.head`), compression, contents that several mailboxes share.
"""
