"""Mail into mailboxes and out of them as files: mbox (RFC 4155), Maildir, folders of .eml; and looking at all of it.

Importing may be ended at any moment and begun again: what came before is known by a token and not added twice. What is
exported lies in clear, readable by whoever called for it and nobody else. Reading files is pure and synchronous
(`mbox`, `maildir`, `eml`), and done on threads.
Leaves out: mbox with Content-Length (mboxcl), MMDF, MH, Outlook's formats, folders' access rights and subscriptions.
"""
