"""The MIME structure of a message, by octets and while they stream (RFC 2045, RFC 2046). Pure: no I/O.

It reads as tolerantly as real mail demands and says where a message is broken, so that whoever edits can leave such a
part alone. Leaves out: charsets, and parameters continued by RFC 2231, which come with the rules.
"""
