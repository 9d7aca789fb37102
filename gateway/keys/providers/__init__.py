"""Providers of vaults: each package here fulfils `gateway.keys.vault.Vault` over one kind of store.

Leaves out: cloud vaults, transit engines, KMIP, keys that a customer brings (BYOK).
"""
