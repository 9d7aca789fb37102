"""The section [smime] with the files that it names: what is wrong with them, and who is believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.settings.fault import BadSettings, Fault, errors, shown
from gateway.settings.load import Loaded
from gateway.smime.certificate import Certificate, Unreadable, plain_address
from gateway.smime.certificate_file import MAX_FILE, read
from gateway.smime.terms import SmimeTerms

_RIGHT: Final = "a PEM file with certificates of authorities"


def smime_terms(loaded: Loaded) -> SmimeTerms:
    """The terms of these settings. Reads the anchors. Raises BadSettings."""
    faults: list[Fault] = []
    anchors = [one for _, found in _anchors(loaded, faults) for one in found]
    if wrong := errors(faults):
        raise BadSettings(wrong)
    section = loaded.settings.smime
    return SmimeTerms.from_settings(section, tuple(dict.fromkeys(anchors)), fips=loaded.settings.security.fips)


def judge_smime(loaded: Loaded) -> list[Fault]:
    """Faults and warnings of the section, but those about dates, which `anchors` helps to tell. Blocks."""
    faults: list[Fault] = []
    for key, found in _anchors(loaded, faults):
        for one in found:
            if not one.is_ca and not one.is_self_issued:
                what = f"the certificate of {shown(one.subject[:60])}, which is no authority's"
                faults.append(loaded.warning(key, what, "its authority's; as it stands it alone is believed"))
    identity = loaded.settings.smime.signing_identity
    if identity is not None and plain_address(identity) is None:
        right = "an address whose certificate and key were imported, such as gateway@corp.example"
        faults.append(loaded.fault("smime.signing_identity", shown(identity), right))
    return faults


def anchors(loaded: Loaded) -> Iterator[tuple[str, Certificate]]:
    """Each certificate that can be read, with the key of the settings that names its file. Blocks."""
    for key, found in _anchors(loaded, []):
        for one in found:
            yield key, one


def anchor_files(loaded: Loaded) -> tuple[Path, ...]:
    """The files of `trust_anchors`."""
    return tuple(loaded.resolve(text) for text in loaded.settings.smime.trust_anchors)


def _anchors(loaded: Loaded, faults: list[Fault]) -> Iterator[tuple[str, tuple[Certificate, ...]]]:
    for number, path in enumerate(anchor_files(loaded)):
        key = f"smime.trust_anchors[{number}]"
        try:
            with path.open("rb") as file:
                octets = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            faults.append(loaded.fault(key, f"no file {path}", _RIGHT))
            continue
        except OSError as error:
            right = f"{_RIGHT} that the gateway may read"
            faults.append(loaded.fault(key, f"that {path} can't be read ({error.strerror})", right))
            continue
        try:
            holding = read(octets)
        except Unreadable as fault:
            faults.append(loaded.fault(key, f"{fault.found} in {path}", _RIGHT))
            continue
        if holding.identities:
            faults.append(loaded.fault(key, f"a private key in {path}", f"{_RIGHT} alone"))
            continue
        yield key, holding.certificates
