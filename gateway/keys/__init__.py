"""Vaults that hold root keys, and domain keys that they wrap (AES-256-GCM, NIST SP 800-38D, SP 800-108).

Raises plain exceptions: `Unavailable` (passing), `Denied` (the owner's will), `VaultBroken` (the file is damaged).
Leaves out: cloud vaults, transit, KMIP, keys that their owner brings along.
"""
