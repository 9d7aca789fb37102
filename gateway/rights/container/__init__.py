"""message.rpmsg as octets ([MS-OXORMMS] 2.2.4, [MS-OFFCRYPTO] 2.1 and 2.2, [MS-CFB]): written and read, pure functions.

`container` has the file itself: the licence and the ciphertext, neither of them understood here. `inner` has the
compound file that lies encrypted in it. Whatever octets come, what is wrong with them is a `Damaged`, never an
exception of a parser, and what is read is bounded by what came.
Leaves out: compound files of version 4, transaction logs and time stamps, rights-managed Office files ("EUL-" streams),
RTF bodies, attached MAPI messages and OLE objects (they are named, not opened), the stream RpmsgStorageInfo.
"""
