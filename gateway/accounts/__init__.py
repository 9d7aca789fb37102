"""People who may log in: their passwords (RFC 9106, RFC 8018, RFC 8265), their addresses, limits on guessing.

SMTP AUTH asks here; mailboxes and IMAP will. Leaves out: app passwords, OAuth, groups, directories (LDAP), second
factors, and limits that several processes share.
"""
