"""What somebody may do with a protected message, by the names that [MS-RMPR] and its clients know. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Right(StrEnum):
    """One right, as a licence and a template in the settings name it."""

    VIEW = "VIEW"
    EDIT = "EDIT"
    PRINT = "PRINT"
    EXTRACT = "EXTRACT"  # Copy out: save attachments and the original.
    REPLY = "REPLY"
    REPLYALL = "REPLYALL"
    FORWARD = "FORWARD"
    OBJMODEL = "OBJMODEL"
    EXPORT = "EXPORT"
    VIEWRIGHTSDATA = "VIEWRIGHTSDATA"
    EDITRIGHTSDATA = "EDITRIGHTSDATA"
    COMMENT = "COMMENT"
    DOCEDIT = "DOCEDIT"
    OWNER = "OWNER"  # Everything, and for ever.


ALL: Final = frozenset(Right)
