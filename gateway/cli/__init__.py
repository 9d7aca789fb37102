"""The command `gateway`, one file for each noun. It talks and does not decide: what it does lies in `gateway.app`.

Leaves out: `key`, `certificate`, `rule`, `user` and `mailbox`, which come with their parts.
"""
