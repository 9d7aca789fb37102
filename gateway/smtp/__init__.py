"""The face towards clients: listeners and SMTP sessions (RFC 5321, RFC 1870, RFC 2034, RFC 2920, RFC 3030, RFC 3207,
RFC 3461, RFC 4954, RFC 6152, RFC 6409, RFC 6531, RFC 8314, RFC 9422; the PROXY protocol), built on aiosmtpd where that
is right and fast.

Leaves out: BINARYMIME, AUTH by other mechanisms than PLAIN and LOGIN.
"""
