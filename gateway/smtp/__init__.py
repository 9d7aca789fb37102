"""The face towards clients: listeners and SMTP sessions (RFC 5321, RFC 1870, RFC 2034, RFC 2920, RFC 3207, RFC 6152,
RFC 6531, RFC 8314), built on aiosmtpd where aiosmtpd is right and fast.

Leaves out: BDAT, DSN announced, AUTH, PROXY protocol, client certificates.
"""
