"""Mailboxes that lie encrypted under a data encryption policy whose root keys the customer holds (AES-256-GCM).

Root keys wrap the policy key, it wraps mailbox keys, they seal the map that holds each content's keys. Which rows and
blobs there are storage knows; who reads them over which protocol is the business of the faces.

Leaves out: key custody by a second person, discovery under a right, Sieve, app passwords.
"""
