"""Who a message really comes from: DKIM (RFC 6376), signed for what leaves and verified for what comes in.

Leaves out: SPF, DMARC, ARC, reports about them (RFC 6591, RFC 7489), publishing keys in the DNS.
"""
