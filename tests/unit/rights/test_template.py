"""Templates: those that are built in, and own ones in bounds."""

from __future__ import annotations

import pytest

from gateway.rights.right import Right
from gateway.rights.template import DO_NOT_FORWARD, ENCRYPT_ONLY, Template, Templates, template


def test_encrypt_only_lets_a_reader_do_all_but_what_is_the_owners() -> None:
    assert set(Right) - ENCRYPT_ONLY.rights == {Right.OWNER, Right.EXPORT, Right.EDITRIGHTSDATA}


def test_do_not_forward_lets_a_reader_read_and_answer_alone() -> None:
    rights = {Right.VIEW, Right.EDIT, Right.DOCEDIT, Right.OBJMODEL, Right.REPLY, Right.REPLYALL}
    assert rights == DO_NOT_FORWARD.rights


def test_a_template_has_the_same_guid_in_every_process() -> None:
    assert str(ENCRYPT_ONLY.guid) == "0af38f78-303c-68a1-63ab-ebd3d8fb83c2"
    assert own("board").guid == own("board", title="Another").guid
    assert own("board").guid != own("boards").guid


def own(
    name: str, rights: set[Right] | None = None, title: str = "Board", description: str = "Of the board."
) -> Template:
    return template(name, {Right.VIEW} if rights is None else rights, title, description)


def test_own_templates_stand_behind_the_built_in_ones() -> None:
    templates = Templates([own("board")])
    assert templates.names == ("encrypt-only", "do-not-forward", "board")
    assert [one.name for one in templates] == list(templates.names)
    assert templates.find("board") == own("board")
    assert templates.find("none") is None
    assert "board" in templates


@pytest.mark.parametrize("name", ["encrypt-only", "board"])
def test_two_templates_of_one_name_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"two templates of the name {name}"):
        Templates([own("board"), own(name)])


@pytest.mark.parametrize("name", ["", "Board", "a b", "-a", "a-", "a" * 65, "ä", "a\n"])
def test_a_name_that_rules_could_not_say_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a template"):
        own(name)


def test_a_template_that_nobody_could_read_under_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks VIEW"):
        own("board", {Right.PRINT})


def test_a_template_that_gives_the_message_away_is_refused() -> None:
    with pytest.raises(ValueError, match="OWNER"):
        own("board", {Right.VIEW, Right.OWNER})


@pytest.mark.parametrize("text", ["", " ", "a;b", "a\nb", "a:DESCRIPTION b", "a\x00", "\ud800"])
def test_texts_that_a_licence_can_not_tell_apart_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="title"):
        own("board", title=text)
    with pytest.raises(ValueError, match="description"):
        own("board", description=text)


def test_texts_have_an_end() -> None:
    own("board", title="x" * 64, description="x" * 1024)
    with pytest.raises(ValueError, match="from 1 to 64"):
        own("board", title="x" * 65)
    with pytest.raises(ValueError, match="from 1 to 1024"):
        own("board", description="x" * 1025)
