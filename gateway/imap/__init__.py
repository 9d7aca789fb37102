"""IMAP4rev1 (RFC 3501) over TLS: mailboxes read by the mail programs that people have.

pymap is the base: its parsers, its words for responses, the course of a connection. What is ours: the model of an open
folder (packed arrays, 20 octets a message), FETCH in batches that decrypts only what is asked for, limits on all that a
client may send, and the answers for mailboxes that are closed and messages that are damaged.

Leaves out: access control lists, shared and several mailboxes of one account, SORT and THREAD, ANNOTATE and METADATA,
COMPRESS, STARTTLS (TLS comes at once, RFC 8314), the flag \\Recent, which no message ever has here.
"""
