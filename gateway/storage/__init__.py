"""Where mail and its story lie: spool, shared database, migrations. SQLite; everything with content is sealed.

Owns the `Sealer` protocol that keys fulfil. Leaves out: PostgreSQL, blobs in object stores.
"""
