"""A secure mail gateway: an SMTP relay that keeps TLS terms, applies rules and protects what leaves.

The layers, from the face down to the values, stand in docs/flow.md.
"""

__version__ = "0.1.0"
