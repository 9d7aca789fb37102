"""Values of mail: address, envelope, message, delivery, reply (RFC 5321, RFC 5322, RFC 3463). Pure: no I/O, no clock.

Leaves out: MIME structure and charsets, which come with the rules.
"""
