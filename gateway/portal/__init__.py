"""The portal: the web pages on which a recipient outside reads a rights-protected message and answers it.

Server-rendered, usable without JavaScript; every page is made of what the `Desk` answers, and holds nothing longer than
its request. Follows RFC 9110 (HTTP), RFC 6265 (cookies, with the prefix `__Host-`), RFC 6797 (HSTS) and Content
Security Policy 3. Leaves out: sign-in with an OpenID Connect provider, passkeys, a page for the sender.
"""
