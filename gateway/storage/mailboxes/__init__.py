"""Mailboxes as they lie in the shared database: folders, messages, wrapped keys, policies, the names of blobs.

UIDs, MODSEQ and flags are as IMAP has them (RFC 3501 2.3, RFC 7162 3.1). In clear lie numbers, dates, sizes, wrapped
keys and the names of blobs; addresses, accounts, names of folders, keywords and policies are sealed, and found by blind
tokens. Runs on SQLite and PostgreSQL alike. Leaves out: unwrapping any key, what a map or a head says, and the blobs
themselves (`gateway.mailboxes`); subscriptions to folders that are not there.
"""
