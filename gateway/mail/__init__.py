"""Values of mail: address, envelope, message, delivery, reply (RFC 5321, RFC 5322, RFC 3463). Pure: no I/O, no clock.

`mime` reads the structure of a message. Leaves out: charsets, which come with the rules.
"""
