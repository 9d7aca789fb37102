"""Encrypted rights data: who has which right, until when, and the digest of the original ([MS-RMPR] 2.2.9.8). Pure.

A root of its own, unsigned because it lies, encrypted, inside of the publishing licence's signed BODY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from gateway.mail.address import BadAddress, parse_address
from gateway.rights.right import ALL, Right
from gateway.rights.template import BUILT_IN, Template
from gateway.rights.xrml.binary import read_guid, read_sha256, write_guid
from gateway.rights.xrml.element import GAP, BadLicence, Element, escaped, filled, tag
from gateway.rights.xrml.moment import read_moment, write_moment
from gateway.rights.xrml.reader import read
from gateway.rights.xrml.root import root, roots, written

MAX_GRANTS: Final = 2000  # RIGHT elements; a hundred readers with thirteen rights each have 1,300.
_TYPES: Final = frozenset({"Microsoft Rights Template", "Microsoft Official Rights Template"})
_ORIGINAL: Final = "original.sha256"
_TEMPLATE: Final = "template.name"
_FORM_2: Final = frozenset({"VIEW", "PRINT", "EDIT", "FORWARD", "VIEWRIGHTSDATA"})
_CONDITIONS: Final = frozenset({"TIME", "ACCESS"})
_LIST: Final = ("<RIGHTSLIST>", "</RIGHTSLIST>")
_FORM_1 = re.compile(r'<RIGHT name="([A-Za-z]{1,64})">(<CONDITIONLIST>.*</CONDITIONLIST>)', re.DOTALL)
_END: Final = "</RIGHT>"


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsData:
    """`grants`: the rights of each principal, by his address in the form in which addresses are compared; `readers`
    are they as written, in order, owners left out. `begins`, `ends`: seconds since 1970; the end is excluded.
    `template`: its name, where it is one of ours. `original_sha256`: None in what others wrote.
    """

    work: UUID
    issued: float
    begins: float | None
    ends: float | None
    grants: Mapping[str, frozenset[Right]] = field(repr=False)
    readers: tuple[str, ...] = field(repr=False)
    template: str | None
    original_sha256: str | None = field(repr=False)


def who(address: str) -> str:
    """An address as principals are compared: one person's may be written in several ways."""
    try:
        return parse_address(address.strip()).who
    except BadAddress:
        return address.strip().lower()


# -- writing -----------------------------------------------------------------------------------------------------------


class RightsForm:
    """The rights data of one template: what they have in common is written once."""

    __slots__ = ("_granted", "_pieces")

    def __init__(self, template: Template) -> None:
        self._granted = _around(right for right in Right if right in template.rights)
        body = tag(
            "BODY",
            tag("ISSUEDTIME", GAP)
            + tag("DESCRIPTOR", write_template(template))
            + tag(
                "WORK",
                tag("OBJECT", tag("ID", GAP, type_="MS-GUID"))
                + GAP
                + tag("RIGHTSGROUP", tag("RIGHTSLIST", GAP), name="Main-Rights"),
            )
            + tag("AUTHENTICATEDDATA", GAP, id_="APPSPECIFIC", name=_ORIGINAL)
            + tag("AUTHENTICATEDDATA", escaped(template.name), id_="APPSPECIFIC", name=_TEMPLATE),
            type_="Microsoft Rights Template",
        )
        self._pieces = written(body).split(GAP)

    def text(
        self,
        *,
        work: UUID,
        owner: str,
        readers: Iterable[str],
        issued: float,
        expires: float | None,
        original_sha256: str,
    ) -> str:
        """The root's text: OWNER for the owner, the template's rights for each reader. Raises ValueError for an address
        that XML can't hold.
        """
        granted = _condition(owner).join(_OWNED) if owner else ""
        granted += "".join([_condition(reader).join(self._granted) for reader in readers])
        end = "" if expires is None else _until(issued, expires)
        return filled(self._pieces, write_moment(issued), write_guid(work), end, granted, original_sha256)


def write_template(template: Template) -> str:
    """The OBJECT that names a template, in a DESCRIPTOR ([MS-RMPR] 2.2.9.1.7)."""
    named = tag("ID", write_guid(template.guid), type_="MS-GUID") + tag("NAME", escaped(template.label))
    return tag("OBJECT", named)


def _around(rights: Iterable[Right]) -> list[str]:
    """[MS-RMPR] 2.2.9.8.5.3 form 1, an element for each right, which a hundred readers make many: what stands between
    their conditions, which are all alike.
    """
    return "".join(f'<RIGHT name="{right.value}">{GAP}</RIGHT>' for right in rights).split(GAP)


_OWNED: Final = _around([Right.OWNER])


def _condition(address: str) -> str:
    """That it is this principal."""
    named = f'<OBJECT><ID type="Unspecified"/><NAME>{escaped(address)}</NAME></OBJECT>'
    return f"<CONDITIONLIST><ACCESS><PRINCIPAL>{named}</PRINCIPAL></ACCESS></CONDITIONLIST>"


def _until(issued: float, expires: float) -> str:
    # [MS-RMPR] 2.2.9.1.3: the end is excluded. An end at the beginning is a message that nobody may read.
    times = tag("FROM", write_moment(min(issued, expires))) + tag("UNTIL", write_moment(expires))
    return tag("PRECONDITIONLIST", tag("TIME", tag("RANGETIME", times)))


# -- reading -----------------------------------------------------------------------------------------------------------


def read_rights_data(text: str, owner: str) -> RightsData:
    """What the text says. `owner`: the address in the publishing licence, who may be meant without being named.

    Raises BadLicence. A right that is not known, or that hangs on a condition that is not known, is granted to nobody.
    """
    found = roots(text)
    if len(found) != 1:
        raise BadLicence("not one root of rights data")
    text = root(found[0], signed="<SIGNATURE" in found[0]).body
    listed = _listed(text)
    body = read(text if listed is None else _without_list(text))
    if body.attributes.get("type") not in _TYPES:
        raise BadLicence("rights data of an unknown type")
    work = body.one("WORK")
    begins, ends = _range(work.maybe("PRECONDITIONLIST"))
    rights = work.one("RIGHTSGROUP", "RIGHTSLIST").children
    if listed is None:
        listed = [_form(right) for right in rights]
    grants, readers = _grants(listed, owner)
    named = _named(body)
    return RightsData(
        work=read_guid(work.one("OBJECT", "ID").value),
        issued=read_moment(body.one("ISSUEDTIME").value),
        begins=begins,
        ends=ends,
        grants=grants,
        readers=readers,
        template=named.get(_TEMPLATE) or _built_in(body.maybe("DESCRIPTOR")),
        original_sha256=read_sha256(named[_ORIGINAL]) if _ORIGINAL in named else None,
    )


def _listed(body: str) -> list[tuple[str, Element]] | None:
    """The rights where all are of form 1, as we write them: a reader has the same condition for each of his rights, so
    each condition is read once. None: they are of another form.
    """
    if [body.count(one) for one in _LIST] != [1, 1] or body.index(_LIST[0]) > body.index(_LIST[1]):
        return None
    listed = body[body.index(_LIST[0]) + len(_LIST[0]) : body.index(_LIST[1])]
    *pieces, rest = listed.split(_END)
    found = [_FORM_1.fullmatch(piece) for piece in pieces]
    if rest or not all(found):
        return None
    named = [(match[1], match[2]) for match in found if match is not None]
    conditions = {condition: read(condition) for condition in {condition for _, condition in named}}
    return [(name, conditions[condition]) for name, condition in named]


def _without_list(body: str) -> str:
    return body[: body.index(_LIST[0])] + "<RIGHTSLIST/>" + body[body.index(_LIST[1]) + len(_LIST[1]) :]


def _form(right: Element) -> tuple[str, Element]:
    """[MS-RMPR] 2.2.9.8.5.3: the name of the right is an attribute in form 1, and the element's own in form 2."""
    if right.name == "RIGHT":
        return right.attributes.get("name", ""), right.one("CONDITIONLIST")
    return right.name if right.name in _FORM_2 else "", right.one("CONDITIONLIST")


def _grants(listed: list[tuple[str, Element]], owner: str) -> tuple[dict[str, frozenset[Right]], tuple[str, ...]]:
    """The rights by principal, and who is not the owner."""
    if len(listed) > MAX_GRANTS:
        raise BadLicence("too many rights")
    grants: dict[str, set[Right]] = {}
    readers: dict[str, str] = {}
    keys: dict[int, tuple[str, str] | None] = {}
    for name, condition in listed:
        if id(condition) not in keys:
            address = _address(condition, owner)
            keys[id(condition)] = None if address is None else (who(address), address)
        known = keys[id(condition)]
        if known is None or name not in ALL:
            continue
        key, address = known
        right = Right(name)
        grants.setdefault(key, set()).update(ALL if right is Right.OWNER else {right})
        if right is not Right.OWNER:
            readers.setdefault(key, address)
    return {key: frozenset(rights) for key, rights in grants.items()}, tuple(readers.values())


def _address(conditions: Element, owner: str) -> str | None:
    if any(child.name not in _CONDITIONS for child in conditions.children):
        return None
    # A TIME here counts the days for which a use licence may be kept. Ours is asked for each time that somebody reads.
    if any(child.name != "INTERVALTIME" for time in conditions.all("TIME") for child in time.children):
        return None
    named = conditions.one("ACCESS", "PRINCIPAL", "OBJECT")
    kind = named.maybe("ID")
    if kind is not None and kind.attributes.get("type") == "Internal":
        return owner if owner and kind.value == "Owner" else None  # Others are groups, such as everybody.
    name = named.maybe("NAME")
    return None if name is None else name.value or None


def _range(conditions: Element | None) -> tuple[float | None, float | None]:
    if conditions is None:
        return None, None
    times = conditions.one("TIME").maybe("RANGETIME")
    if times is None:
        return None, None
    return read_moment(times.one("FROM").value), read_moment(times.one("UNTIL").value)


def _named(body: Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in body.all("AUTHENTICATEDDATA"):
        if one.attributes.get("id") != "APPSPECIFIC":
            continue
        name = one.attributes.get("name", "")
        if name in found:
            raise BadLicence("data that stand twice")
        found[name] = one.value
    return found


def _built_in(descriptor: Element | None) -> str | None:
    if descriptor is None or (kind := descriptor.one("OBJECT").maybe("ID")) is None:
        return None
    return next((one.name for one in BUILT_IN if write_guid(one.guid) == kind.value.lower()), None)
