"""Data encryption policies: two root keys in two vaults and the availability key, each of which wraps the policy key.

The policy key wraps mailbox keys (AES-256-GCM, NIST SP 800-38D), so that whoever owns the roots opens and closes the
mailboxes, rotates, replaces and destroys, and no mail is rewritten for it. Everything wrapped is bound to whose it is.

Leaves out: organisations but `default`, key custody by a second person, policies in cloud vaults.
"""
