"""Alembic's revisions: `shared` for the shared database, `spool` for each worker's own. `migrate` runs them.

Leaves out: alembic.ini and downgrades; a database goes forward only, and what is older comes from a copy.
"""
