"""gateway.toml: what it may say (schema), reading it (load), its reference (reference).

Pydantic models stay here; each package turns its section into frozen values of its own.
"""
