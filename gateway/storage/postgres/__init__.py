"""Storage on PostgreSQL 13 or newer, shared by any number of gateways: one database holds queue, keys and trace.

Leaves out: connection poolers that share a session among transactions, such as PgBouncer (advisory locks, LISTEN and
the settings of a session need a session of their own), and stand-by servers that only read.
"""
