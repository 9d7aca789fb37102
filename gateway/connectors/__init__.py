"""Connectors: who may hand us mail (inbound), where mail goes (outbound), each under its TLS terms.

RFC 3207, RFC 5280, RFC 8314, RFC 9525.

Leaves out: DANE, MTA-STS, TLS reports, revocation.
"""
