"""The publishing licence ([MS-RMPR] 2.2.9.7): travels with the content, in the clear, signed by the tenant key. Pure.

Our second root is the tenant's own certificate (2.2.9.3, server licensor certificate), for readers who look for one; it
proves nothing, since anybody can write one, and is never consulted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from gateway.rights.template import Template
from gateway.rights.tenant import Mode, TenantVersion
from gateway.rights.xrml.binary import (
    read_base64,
    read_guid,
    read_modulus,
    read_sha256,
    write_base64,
    write_guid,
    write_public_key,
)
from gateway.rights.xrml.element import GAP, BadLicence, Element, escaped, filled, tag
from gateway.rights.xrml.moment import read_moment, write_moment
from gateway.rights.xrml.reader import read
from gateway.rights.xrml.rights_data import write_template

SERVER: Final = "MS-DRM-Server"
CLUSTER: Final = "DRM Server Cluster"
_TYPE: Final = "Microsoft Rights Label"
_CONTENT: Final = "content.sha256"
_RIGHTS: Final = "Encrypted-Rights-Data"
_SEALED: Final = {Mode.MODE_1: "sealed-key", Mode.MODE_2: "sealed-key-v2"}
_ISSUER = re.compile(r"<ISSUER[\s>]"), "</ISSUER>"
_PRINCIPALS = re.compile(r"<ISSUEDPRINCIPALS[\s>]"), "</ISSUEDPRINCIPALS>"
_BITS = re.compile(r"<ENABLINGBITS[\s>]"), "</ENABLINGBITS>"
_TITLE = re.compile(r"LCID [0-9]{1,5}:NAME (.{1,200}?):DESCRIPTION ", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishingLicence:
    """`modulus`: of the key that signed and that the content key is sealed to. `principal`: the text that the enabling
    bits are bound to. `title`: of the template, as people read it. `issuer`: the text of the element, for use licences.
    """

    issued: float
    title: str | None
    owner: str
    work: UUID
    modulus: int
    urls: tuple[str, ...]
    mode: Mode
    enabling_bits: bytes = field(repr=False)
    principal: str = field(repr=False)
    rights_data: bytes = field(repr=False)
    content_sha256: str | None
    issuer: str = field(repr=False)


# -- writing -----------------------------------------------------------------------------------------------------------


def write_server(version: TenantVersion, url: str) -> str:
    """OBJECT and PUBLICKEY of the tenant: alike in ISSUER, in ISSUEDPRINCIPALS and in the second root."""
    numbers = version.public_key.public_numbers()
    named = (
        tag("ID", write_guid(version.guid), type_="MS-GUID")
        + tag("NAME", "Gateway")
        + tag("ADDRESS", escaped(url), type_="URL")
    )
    return tag("OBJECT", named, type_=SERVER) + write_public_key(numbers.n, numbers.e)


def write_principals(server: str, bits: str = "") -> str:
    """ISSUEDPRINCIPALS ([MS-RMPR] 2.2.9.7.4), exactly one. `bits`: the element of the enabling bits; without it the
    text is what they are bound to.
    """
    return tag("ISSUEDPRINCIPALS", tag("PRINCIPAL", server + bits, internal_id="1"))


def write_bits(octets: bytes, mode: Mode = Mode.MODE_2) -> str:
    """ENABLINGBITS ([MS-RMPR] 2.2.9.1.13)."""
    value = f'<VALUE encoding="base64" size="{len(octets) * 8}">{write_base64(octets)}</VALUE>'
    return f'<ENABLINGBITS type="{_SEALED[mode]}">{value}</ENABLINGBITS>'


class BodyForm:
    """The BODYs of one key, URL and template: what they have in common is written once, and is most of each."""

    __slots__ = ("_mode", "_pieces", "alike", "principal")

    def __init__(self, version: TenantVersion, url: str, template: Template) -> None:
        """Raises ValueError for a URL that XML can't hold."""
        server = write_server(version, url)
        whose = tag("ID", type_="Windows") + tag("NAME", GAP)
        self._mode = version.mode
        self.principal = write_principals(server)  # The text that enabling bits are bound to.
        self._pieces = tag(
            "BODY",
            tag("ISSUEDTIME", GAP)
            + tag("DESCRIPTOR", write_template(template))
            + tag("ISSUER", server)
            + _distribution("License-Acquisition-URL", version, url)
            + _distribution("Extranet-License-Acquisition-URL", version, url)
            + write_principals(server, GAP)
            + tag(
                "WORK",
                tag("OBJECT", tag("ID", GAP, type_="MS-GUID")) + tag("METADATA", tag("OWNER", tag("OBJECT", whose))),
            )
            + tag("AUTHENTICATEDDATA", GAP, id_=_RIGHTS)
            + tag("AUTHENTICATEDDATA", GAP, id_="APPSPECIFIC", name=_CONTENT),
            type_=_TYPE,
            version="3.0",
        ).split(GAP)
        # Octets (in UTF-8) at the beginning that all of one minute have in common.
        self.alike = len(write_moment(0.0).join(self._pieces[:2]).encode())

    def body(
        self, *, issued: float, owner: str, work: UUID, bits: bytes, rights_data: bytes, content_sha256: str
    ) -> str:
        """The BODY that is signed. Raises ValueError for an owner that XML can't hold."""
        return filled(
            self._pieces,
            write_moment(issued),
            write_bits(bits, self._mode),
            write_guid(work),
            escaped(owner),
            write_base64(rights_data),
            content_sha256,
        )


def write_certificate_body(version: TenantVersion, url: str, issued: float) -> str:
    """The BODY of the server licensor certificate: the tenant says that it is the tenant."""
    server = write_server(version, url)
    kind = tag("OBJECT", tag("ID", write_guid(version.guid), type_="MS-GUID"), type_="Server-Licensor-Certificate")
    return tag(
        "BODY",
        tag("ISSUEDTIME", write_moment(issued))
        + tag("DESCRIPTOR", kind)
        + tag("ISSUER", server)
        + write_principals(server),
        type_="LICENSE",
        version="3.0",
    )


def _distribution(kind: str, version: TenantVersion, url: str) -> str:
    named = (
        tag("ID", write_guid(version.guid), type_="MS-GUID")
        + tag("NAME", CLUSTER)
        + tag("ADDRESS", escaped(url), type_="URL")
    )
    return tag("DISTRIBUTIONPOINT", tag("OBJECT", named, type_=kind))


# -- reading -----------------------------------------------------------------------------------------------------------


def issuer_modulus(body: str) -> int:
    """The modulus of the key that says it signed the BODY: all that is read before the signature is verified, and good
    for nothing but to look for a key of ours. Raises BadLicence.
    """
    return read_modulus(read(_only(_ISSUER, body)).one("PUBLICKEY"))


def read_body(body: str) -> PublishingLicence:
    """What a BODY says, of which each thing must be said once. Raises BadLicence.

    Only what `verify` has taken for good may be believed.
    """
    said = read(body)
    if said.attributes.get("type") != _TYPE:
        raise BadLicence("no publishing licence")
    counted = [element.name for element in _walk(said)]
    for name in ("ISSUER", "ISSUEDPRINCIPALS", "ENABLINGBITS"):
        if counted.count(name) != 1:
            raise BadLicence(f"not one {name}")
    issuer, principals = _only(_ISSUER, body), _only(_PRINCIPALS, body)
    holder = said.one("ISSUEDPRINCIPALS", "PRINCIPAL")
    modulus = read_modulus(said.one("ISSUER", "PUBLICKEY"))
    if read_modulus(holder.one("PUBLICKEY")) != modulus:
        raise BadLicence("a principal with another key than the issuer's")  # Published offline, which we never did.
    bits = holder.one("ENABLINGBITS")
    data = _data(said)
    rights = data.get((_RIGHTS, ""))
    if rights is None:
        raise BadLicence("no rights data")
    content = data.get(("APPSPECIFIC", _CONTENT))
    return PublishingLicence(
        issued=read_moment(said.one("ISSUEDTIME").value),
        title=_title(said.maybe("DESCRIPTOR")),
        owner=said.one("WORK", "METADATA", "OWNER", "OBJECT", "NAME").value,
        work=read_guid(said.one("WORK", "OBJECT", "ID").value),
        modulus=modulus,
        urls=tuple(_urls(said)),
        mode=_mode(bits),
        enabling_bits=read_base64(bits.one("VALUE").text),
        principal=principals.replace(_only(_BITS, principals), ""),
        rights_data=read_base64(rights),
        content_sha256=None if content is None else read_sha256(content.strip()),
        issuer=issuer,
    )


def _only(tags: tuple[re.Pattern[str], str], body: str) -> str:
    """The text of the one element with these tags. Each is looked for once, however many there are."""
    begins, ends = [match.start() for match in tags[0].finditer(body)], body.count(tags[1])
    end = body.find(tags[1]) + len(tags[1])
    if len(begins) != 1 or ends != 1 or begins[0] > end:
        raise BadLicence("an element that stands not once")
    return body[begins[0] : end]


def _walk(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from _walk(child)


def _data(body: Element) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for one in body.all("AUTHENTICATEDDATA"):
        key = (one.attributes.get("id", ""), one.attributes.get("name", ""))
        if key in found:
            raise BadLicence("data that stand twice")
        found[key] = one.text
    return found


def _mode(bits: Element) -> Mode:
    kind = bits.attributes.get("type")
    for mode, name in _SEALED.items():
        if kind == name:
            return mode
    raise BadLicence("enabling bits of an unknown type")


def _title(descriptor: Element | None) -> str | None:
    name = None if descriptor is None else descriptor.one("OBJECT").maybe("NAME")
    match = None if name is None else _TITLE.search(name.value)
    return None if match is None else match[1]


def _urls(body: Element) -> Iterator[str]:
    for point in body.all("DISTRIBUTIONPOINT"):
        address = point.one("OBJECT").maybe("ADDRESS")
        if address is not None:
            yield address.value
