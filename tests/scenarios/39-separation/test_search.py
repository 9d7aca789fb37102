"""The search itself."""

from __future__ import annotations

from base64 import b64encode

from tests.scenarios.peers.search import key_forms, word_forms


def test_the_forms_of_a_word_and_of_a_key() -> None:
    """Each is what a program would write."""
    assert word_forms("Grüße")["quoted-printable"] == b"Gr=C3=BC=C3=9Fe"
    assert word_forms("abcdef")["reversed UTF-8"] == b"fedcba"
    assert word_forms("abcdef")["base64 1"] in b64encode(b"Xabcdef!")
    assert key_forms(bytes(range(32)))["reversed"] == bytes(range(31, 15, -1))
