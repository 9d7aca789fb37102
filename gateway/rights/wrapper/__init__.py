"""The mail that carries a rights-managed message out: it says who has sent it and where it opens, and nothing of it.

Leaves out: pictures that are loaded from elsewhere; attachments beside message.rpmsg.
"""
