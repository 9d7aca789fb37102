"""Who is known before mail for them is taken: lists, directories in YAML (a subset of YAML 1.2), LDAP (RFC 4511).

`app` puts the question at RCPT. Answers are facts; what a client then reads is decided there.
Leaves out: asking the next hop, which `delivery.probe` does; logging in, which `accounts` does; writing to a directory.
"""
