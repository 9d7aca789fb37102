"""Revisions of the shared database, `shared_0001` and on."""
