"""Rights-managed mail: who may do what with a message ([MS-RMPR], [MS-OXORMMS]), sealed by us and opened by our portal.

What leaves is signed by the tenant key and sealed to it; nobody else's software opens it. Works on octets, and knows
no database and no network: keys, clock and chance are handed in.

Leaves out: Outlook's and Office's use licences, chains to Microsoft's root, revocation lists inside of licences, RTF.
"""
