"""The `pkcs11` vault: keys in a token that speaks PKCS#11 (OASIS Cryptoki 2.40): an HSM, a smart card, SoftHSM2.

    vault       Pkcs11Vault: the protocol over a token
    life        making, rotating, disabling, deleting and destroying keys
    terms       which module, token and PIN, out of the settings
    module      the module in this process: one caller at a time, one logged-in session a token, opened anew when lost
    shelf       what lies in the token: keys with their versions, and the notes beside them
    note        what is written beside a key: its state, when it ends, when its versions were made
    making      new keys, which never leave the token
    doing       wrap, unwrap and sign in the token
    public      public keys as SubjectPublicKeyInfo
    faults      what a PKCS#11 error means to us

Leaves out: PIN pads (CKF_PROTECTED_AUTHENTICATION_PATH), keys that want the PIN for each use (CKA_ALWAYS_AUTHENTICATE),
several calls at once from one process, choosing among tokens of the same label, importing keys.
"""
