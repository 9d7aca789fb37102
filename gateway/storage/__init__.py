"""Where mail and its story lie: spool, shared database, migrations; everything with content is sealed.

SQLite lies in this package, PostgreSQL in `postgres`; what both fulfil are the protocols of `spooling`, `sharing`,
`tracing` and `moving`. Owns the `Sealer` protocol that keys fulfil. Leaves out: other databases.
"""
