"""gateway.toml (TOML 1.0): what it may say (schema), reading it (load), its faults in people's words, its reference.

Pydantic models stay here; each package turns its section into frozen values of its own.
Leaves out: rules, which are YAML files of their own, and what only disk, DNS or peers can tell.
"""
