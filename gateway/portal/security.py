"""What protects the portal's pages: headers of every answer, the checks of every request, cookies and hidden fields.

Host and Origin are compared with `[portal] url` (RFC 9110 7.2, RFC 6454); a form must come from a page of ours, which
its hidden field shows: a MAC of the browser's own cookie, which no other site can read or set (`__Host-`, RFC 6265bis
4.1.3.2). Nothing is kept for that on our side. Pure.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from gateway.portal.desk import TOKEN_OCTETS
from gateway.portal.terms import PortalTerms

BROWSER: Final = "__Host-browser"  # 32 octets by which we know a browser again, and nothing else about it.
LANGUAGE: Final = "__Host-language"
_DOOR: Final = "__Host-d-"  # 32 octets that a mail brought, by which a recipient is told from who holds his link.
_OTHER_DOORS: Final = 3  # Of those that other messages' mails brought, that are looked for.
_MOST_DOORS: Final = 64  # That a browser keeps, 5 KiB of the head of each request: a longer one is refused.
_SESSION: Final = "__Host-m-"  # And what belongs to the link, so that one browser may read several messages.
_YEAR: Final = 365 * 86400
MAX_FORWARDED: Final = 2000  # Letters of X-Forwarded-For that are looked at.

# Pages: nothing but our own style sheet, pictures and the mail's frame; no script that does not lie with us.
_PAGE: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
# A file: whatever a browser makes of it, it is nobody's page.
_FILE: Final = "sandbox; default-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
# A PDF in a frame of our page: a browser's own viewer does not run in a sandbox.
_FRAMED: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'"

_ALWAYS: Final = (
    ("Strict-Transport-Security", f"max-age={2 * _YEAR}"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("X-Robots-Tag", "noindex, nofollow"),
)
_KEPT_NOWHERE: Final = ("Cache-Control", "no-store")


def page_headers(*, scripts: bool = False) -> dict[str, str]:
    """Of a page of ours."""
    policy = f"{_PAGE}; script-src 'self'" if scripts else _PAGE
    return _headers(policy, "DENY")


def body_headers(policy: str) -> dict[str, str]:
    """Of the mail's own document in its frame, under its own `policy` for contents (`html_view.frame_policy`)."""
    return _headers(policy, "SAMEORIGIN")


def file_headers() -> dict[str, str]:
    """Of a file that goes to the reader's disk, and of a picture in the mail."""
    return _headers(_FILE, "DENY")


def framed_headers() -> dict[str, str]:
    """Of a file that a frame of our page shows."""
    return _headers(_FRAMED, "SAMEORIGIN")


def static_headers() -> dict[str, str]:
    """Of our own style sheet: the same for everybody; its address changes with it."""
    headers = _headers(_FILE, "DENY")
    headers["Cache-Control"] = "public, max-age=86400"
    return headers


def _headers(policy: str, frames: str) -> dict[str, str]:
    return dict((*_ALWAYS, _KEPT_NOWHERE, ("Content-Security-Policy", policy), ("X-Frame-Options", frames)))


# -- requests ----------------------------------------------------------------------------------------------------------


def is_our_host(terms: PortalTerms, hosts: Iterable[str]) -> bool:
    """Whether the request names our host, once (RFC 9112 3.2); `hosts` are all its Host fields."""
    found = [host.strip().lower().removesuffix(":443") for host in hosts]
    return found == [terms.host]


def is_our_origin(terms: PortalTerms, origins: Iterable[str], sites: Iterable[str]) -> bool:
    """Whether a form may come from where its browser says: `origins` and `sites` are all its Origin and Sec-Fetch-Site
    fields.

    Since our pages send no referrer, a browser writes `null` for a form of theirs; then it must say `same-origin` in
    Sec-Fetch-Site, which no page can make it write. What says neither is no browser of today: the hidden field decides.
    """
    named, site = list(origins), list(sites)
    if site not in ([], ["same-origin"], ["none"]):
        return False
    if named in ([], [terms.origin]):
        return site != ["none"] or named == [terms.origin]
    return named == ["null"] and site == ["same-origin"]


def client_of(peer: str, forwarded: Iterable[str], proxies: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """The address for which is asked: the peer's, or, where that is a proxy of ours, the last one of X-Forwarded-For
    that is none.
    """
    if not proxies or not is_within(peer, proxies):
        return peer
    hops = ",".join(forwarded)[-MAX_FORWARDED:].split(",")
    for hop in reversed(hops):
        one = hop.strip()
        try:
            ip_address(one)
        except ValueError:
            return peer  # A proxy of ours wrote no address: nothing in front of it counts.
        if not is_within(one, proxies):
            return one
    return peer


def is_within(text: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address is in one of the networks; what is no address is in none."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


# -- cookies and hidden fields -----------------------------------------------------------------------------------------


def session_cookie(token: str) -> str:
    """The name of the cookie of a session: the message's own. It tells nothing of the link."""
    return _SESSION + sha256(b"gateway session cookie\0" + token.encode("ascii")).hexdigest()[:16]


def door_cookie(token: str) -> str:
    """The name of the cookie with a door that was mailed for that message: another site can't put one in its place
    without its link.
    """
    return _DOOR + sha256(b"gateway door cookie\0" + token.encode("ascii")).hexdigest()[:16]


def doors(cookies: Mapping[str, str], token: str) -> tuple[bytes, ...]:
    """The doors that the browser has: that message's, and some of others, since a recipient's opens all of his."""
    found = [secret(cookies, name) for name in (door_cookie(token), *_other_doors(cookies, token)[:_OTHER_DOORS])]
    return tuple([one for one in found if one is not None])


def doors_too_many(cookies: Mapping[str, str], token: str) -> list[str]:
    """The names of those that the browser has to give up for one of that message."""
    return _other_doors(cookies, token)[_MOST_DOORS - 1 :]


def _other_doors(cookies: Mapping[str, str], token: str) -> list[str]:
    own = door_cookie(token)
    return sorted(name for name in cookies if name.startswith(_DOOR) and name != own)


def secret(cookies: Mapping[str, str], name: str) -> bytes | None:
    """The octets of a cookie of ours, None where there is none or it is nothing of ours."""
    return token_octets(cookies.get(name, ""))


def token_octets(text: str) -> bytes | None:
    """The 32 octets of a token, in its one spelling (RFC 4648 5, without padding); None where it is none."""
    if len(text) != 43 or not text.isascii():
        return None
    try:
        octets = urlsafe_b64decode(text + "=")
    except ValueError:
        return None
    return octets if len(octets) == TOKEN_OCTETS and spelled(octets) == text else None


def spelled(octets: bytes) -> str:
    """A token as it stands in paths and cookies."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def cookie(name: str, value: str, *, seconds: float | None = None) -> str:
    """A Set-Cookie field. `seconds`: how long it stays, 0: it goes; None: until the browser is closed."""
    lasting = "" if seconds is None else f"; Max-Age={int(seconds)}"
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{lasting}"


def hidden(browser: bytes) -> str:
    """The value of the hidden field `csrf` of this browser's forms."""
    return spelled(hmac.digest(browser, b"gateway portal form 1", "sha256"))


def is_ours(browser: bytes | None, value: object) -> bool:
    """Whether a form came from a page that we gave to this browser."""
    if browser is None or not isinstance(value, str) or len(value) > 64:
        return False
    return hmac.compare_digest(hidden(browser).encode(), value.encode("utf-8", "surrogatepass"))
