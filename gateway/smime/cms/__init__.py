"""CMS (RFC 5652, RFC 5083) for mail: envelopes and signatures as octets and keys, pure functions.

`enveloped` seals and opens, `signing` makes signatures, `signed` judges them. The frame of tags and lengths is read and
written here octet by octet (`ber`, `der`): a general parser copies a large content, recurses as deep as a stranger
likes, and takes longer over the frame than encrypting takes. Whatever octets come, what is told of them is a
`Finding`, never an exception of a parser.
Leaves out: compressed, digested, authenticated (RFC 5652 9) and encrypted data without recipients, password and KEK
recipients, static ECDH, MQV, CCM, countersignatures, the derived keys of RFC 9709, post-quantum algorithms.
"""
