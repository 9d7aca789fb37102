"""S/MIME 4.0 (RFC 8551, RFC 8550) on CMS (RFC 5652): what is sealed, opened, signed and verified, and by whose keys.

Leaves out: harvesting certificates, LDAP, CRL and OCSP, issuing, header protection, post-quantum algorithms.
"""
