"""What an attachment is, told by its octets; its name tells only of scripts, which are nothing but text. Pure.

Exchange calls executable what Windows runs; here are others too that a double click starts somewhere: ELF, Mach-O,
scripts, installers, Java, shortcuts, and documents with macros.
Leaves out: what lies inside archives and documents, of which the directory alone is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.rules.zip_directory import entries

HEAD: Final = 4096  # Octets in which a script says what it is.

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LNK: Final = b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
_EICAR: Final = (
    b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR"
)  # A test file, in two pieces lest this file be taken for it.
# Class identifiers of Windows Installer's packages, patches and transforms, as they stand in the root entry.
_MSI = re.compile(rb"[\x82\x84\x86]\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46")
_OLE_MACROS: Final = tuple(word.encode("utf-16-le") for word in ("_VBA_PROJECT", "Macros", "VBA\x00"))
_OLE_SEALED: Final = "EncryptedPackage".encode("utf-16-le")

# What octets begin with, its type, and whether it is executable.
_BEGINNINGS: Final[tuple[tuple[bytes, str, bool], ...]] = (
    (b"\x7fELF", "application/x-executable", True),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary", True),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary", True),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary", True),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary", True),
    (b"\xca\xfe\xba\xbe", "application/x-java-applet", True),  # Java's classes, and Mach-O for several processors.
    (b"dex\n0", "application/x-dex", True),
    (_LNK, "application/x-ms-shortcut", True),
    (_EICAR, "application/x-eicar", True),
    (b"ITSF", "application/vnd.ms-htmlhelp", True),
    (b"!<arch>\ndebian-binary", "application/vnd.debian.binary-package", True),
    (b"\xed\xab\xee\xdb", "application/x-rpm", True),
    (b"FasdUAS", "application/x-applescript", True),
    (b"\x89PNG\r\n\x1a\n", "image/png", False),
    (b"\xff\xd8\xff", "image/jpeg", False),
    (b"GIF8", "image/gif", False),
    (b"II*\x00", "image/tiff", False),
    (b"MM\x00*", "image/tiff", False),
    (b"%!PS", "application/postscript", False),
    (b"{\\rtf", "application/rtf", False),
    (b"Rar!\x1a\x07", "application/vnd.rar", False),
    (b"\x1f\x8b", "application/gzip", False),
    (b"BZh", "application/x-bzip2", False),
    (b"\xfd7zXZ\x00", "application/x-xz", False),
    (b"\x28\xb5\x2f\xfd", "application/zstd", False),
    (b"OggS", "application/ogg", False),
    (b"fLaC", "audio/flac", False),
    (b"ID3", "audio/mpeg", False),
)
# The folders that Office's formats have, and their types.
_OFFICE: Final = (
    ("word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("visio/", "application/vnd.ms-visio.drawing"),
)
_ODF = re.compile(rb"\A.{30}mimetype(application/[a-z0-9.+-]+)", re.DOTALL)
# Names by which a system runs a text, or octets that nothing else tells (COM, whose first octet is code).
_RUN_BY_NAME: Final = frozenset(
    "bat cmd ps1 ps1xml psm1 psd1 psc1 js jse mjs vbs vbe wsf wsh wsc hta sct scr com pif cpl msc reg inf scf url ade"
    " adp application appref-ms settingcontent-ms sh bash zsh csh ksh command applescript desktop jnlp action"
    " workflow".split()
)
_SCRIPT = re.compile(
    rb"#!|@?echo[ \t]+off\b|#@~\^|<(?:\?xml[^>]*>\s*<)?(?:job|package|scriptlet|component)\b[^>]*>.{0,2000}<script\b"
    rb"|<hta:application\b|\[desktop entry\].{0,4000}?\nexec\s*=|\[internetshortcut\]|windows registry editor",
    re.IGNORECASE | re.DOTALL,
)
_HTA = re.compile(rb"<hta:application\b", re.IGNORECASE)
_MARKUP = re.compile(rb"(?:<!doctype html|<html|<head|<body|<!--)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileType:
    """`type` is a media type; `executable` and `password_protected` are what the conditions of those names ask."""

    type: str
    executable: bool = False
    password_protected: bool = False


def filetype(octets: bytes, names: tuple[str, ...] = (), declared: str = "") -> FileType:
    """What `octets` are. `names` are all that a reader might take, `declared` the type that the message gives, which
    counts where the octets tell nothing. Reads the beginning, an archive's directory, and of OLE files the whole.
    """
    if (made := _binary(octets)) is not None:
        return made
    head = octets[:HEAD]
    text = _text(head)
    if text is None:
        kind = declared or "application/octet-stream"
        return FileType(kind, executable=any(extension(name) in _RUN_BY_NAME for name in names))
    if _SCRIPT.match(text) is not None or _HTA.search(text) is not None:
        return FileType("text/x-shellscript" if text.startswith(b"#!") else "text/x-script", executable=True)
    if any(extension(name) in _RUN_BY_NAME for name in names):
        return FileType("text/x-script", executable=True)
    if _MARKUP.match(text) is not None:
        return FileType("text/html")
    return FileType(declared if declared.startswith("text/") else "text/plain")


def bare_name(name: str) -> str:
    """A file's name as a system takes it: in small letters, without folder. Blanks and dots in the end do not count,
    since Windows drops them, nor does the name of a stream behind a colon.
    """
    return name.replace("\\", "/").rpartition("/")[2].partition(":")[0].rstrip(" .\t\r\n\x00").casefold()


def extension(name: str) -> str:
    """The extension of a file's name, without the dot; "" where there is none."""
    return bare_name(name).rpartition(".")[2].strip() if "." in bare_name(name) else ""


def _binary(octets: bytes) -> FileType | None:
    """What its first octets say; None where they say nothing, as of a text."""
    if octets.startswith((b"MZ", b"ZM")) and _is_dos(octets):
        return FileType("application/x-dosexec", executable=True)
    if octets.startswith(b"PK") and octets[2:4] in (b"\x03\x04", b"\x05\x06", b"\x07\x08"):
        return _zip(octets)
    if octets.startswith(_OLE):
        return _ole(octets)
    if octets.startswith(b"7z\xbc\xaf\x27\x1c"):
        # 7zAES (06F10701) stands in the header, or in the one that packs it.
        return FileType("application/x-7z-compressed", password_protected=b"\x06\xf1\x07\x01" in octets[-65_536:])
    if b"%PDF-" in octets[:1024]:
        return FileType("application/pdf", password_protected=b"/Encrypt" in octets)
    if octets.startswith(b"RIFF"):
        kind = {b"WEBP": "image/webp", b"WAVE": "audio/x-wav", b"AVI ": "video/x-msvideo"}.get(octets[8:12])
        return FileType(kind or "application/x-riff")
    if octets[4:8] == b"ftyp":
        return FileType("video/mp4")
    for beginning, kind, executable in _BEGINNINGS:
        if octets.startswith(beginning):
            return FileType(kind, executable)
    return None


def _is_dos(octets: bytes) -> bool:
    """Whether a program begins here and not a text with these two letters: its header holds octets no text has."""
    return any(octet < 9 for octet in octets[2:64])


def _zip(octets: bytes) -> FileType:
    inside = entries(octets)
    locked = any(entry.encrypted for entry in inside)
    names = [entry.name.lower() for entry in inside]
    if _is_java(names):
        return FileType("application/java-archive", executable=True, password_protected=locked)
    # Macros of VBA, and the older ones of Excel that stand in sheets of their own.
    macros = any(name.endswith("vbaproject.bin") or name.startswith("xl/macrosheets/") for name in names)
    kind = "application/zip"
    if "[content_types].xml" in names:
        kind = next((office for folder, office in _OFFICE if any(name.startswith(folder) for name in names)), kind)
    elif (document := _ODF.match(octets)) is not None:
        kind = document[1].decode()
        macros = macros or any(name.startswith(("basic/", "scripts/")) for name in names)
    return FileType(kind, executable=macros, password_protected=locked)


def _is_java(names: list[str]) -> bool:
    """A JAR: a manifest and classes; Android's packages have theirs in one file."""
    if "meta-inf/manifest.mf" not in names:
        return False
    return any(name.endswith((".class", ".dex")) for name in names)


def _ole(octets: bytes) -> FileType:
    if _MSI.search(octets) is not None:
        return FileType("application/x-msi", executable=True)
    if _OLE_SEALED in octets:
        return FileType("application/x-ole-storage", password_protected=True)
    return FileType("application/x-ole-storage", executable=any(word in octets for word in _OLE_MACROS))


def _text(head: bytes) -> bytes | None:
    """The beginning of a text in ASCII, without byte order mark and white space; None where it is none."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode("utf-8", "replace")
    head = head.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in head:
        return None
    return head.lstrip()
