"""DKIM signatures (RFC 6376, RFC 8301, RFC 8463): tag lists, canonicalisation, hashes, making and judging them.

`tags`, `canonical` and `body` are pure and shared by both sides; `sign` makes signatures.
Leaves out: `l=` and `z=` of our own signatures, rsa-sha1, third-party signing rules (ATPS, RFC 6541).
"""
