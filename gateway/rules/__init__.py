"""Transport rules: what an administrator wants done with a message, and doing it. Conditions, exceptions and actions
are those of Exchange's mail flow rules, in YAML (a subset of YAML 1.2); patterns are RE2's.

`model` says what a rule is, `load` reads rules/*.yaml, `engine` judges a message, `stage` is their place in the
pipeline. Leaves out: groups and attributes of a directory, moderation, reading inside documents and archives, import
from Exchange.
"""
