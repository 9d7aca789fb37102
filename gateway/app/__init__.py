"""The composition root: settings become parts, parts become processes. It alone knows everybody.

Leaves out: the portal's, IMAP's and administration's processes, which come with their parts.
"""
