"""Revisions of a spool, `spool_0001` and on."""
