"""What is told of octets that are no container."""

from __future__ import annotations


class Damaged(ValueError):
    """The octets can't be read. Its words say what is wrong and where, and hold nothing of the octets themselves."""
