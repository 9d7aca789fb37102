"""Where a delivery goes and when: route, schedule (pure), runner, attempt (one try), DSNs (RFC 5321, RFC 3464).

Leaves out: DANE, MTA-STS, DSN parameters passed on, conversion to 7 bits.
"""
