"""The `file` vault: keys in one sealed file, opened by any one of several protectors.

    vault      FileVault: the protocol over the file
    holding    the keys in memory, and the life of a key
    software   private keys in memory
    sheet      the file's form (format 2): protectors in clear, keys sealed under the master key
    clear      format 1, which the first gateways wrote: not sealed
    store      reading, locking and replacing the file
    protectors what seals the master key: secret, passphrase, certificate, recovery key, shares
    means      what this process has to open a vault with
    custody    adding, removing and proving protectors

Leaves out: changing the master key (make a new vault and rehome the domain keys), protection against somebody who puts
back an older copy of the whole file while nothing runs.
"""
