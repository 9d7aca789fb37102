"""Folders: listed with what they are for, made, renamed, deleted, and what is told of them unopened."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gateway.imap import desk, folder_commands
from tests.fakes.imap import Client, ImapRoom, tagged, untagged


async def names(client: Client, command: str = 'LIST "" "*"') -> list[bytes]:
    return [line.split(b' "/" ')[1] for line in untagged(await client.ask(command))]


async def test_a_new_mailbox_has_folders_for_each_use(client: Client) -> None:
    said = untagged(await client.ask('LIST "" "*"'))
    assert said[0] == b'LIST (\\HasNoChildren) "/" "INBOX"'
    assert b'LIST (\\HasNoChildren \\Sent) "/" "Sent"' in said
    special = await names(client, 'LIST (SPECIAL-USE) "" "*"')
    assert special == [b'"Archive"', b'"Drafts"', b'"Junk"', b'"Sent"', b'"Trash"']
    returned = untagged(await client.ask('LIST "" (INBOX "S%") RETURN (SPECIAL-USE SUBSCRIBED)'))
    assert returned == [
        b'LIST (\\HasNoChildren \\Subscribed) "/" "INBOX"',
        b'LIST (\\HasNoChildren \\Sent \\Subscribed) "/" "Sent"',
    ]
    assert untagged(await client.ask('LIST "" ""')) == [b'LIST (\\Noselect) "/" ""']
    assert tagged(await client.ask('LIST (RECURSIVEMATCH) "" "*"')).startswith(b"BAD ")


async def test_folders_are_made_renamed_and_deleted_with_what_is_below(client: Client) -> None:
    assert tagged(await client.ask("CREATE Work/2026/")).startswith(b"OK ")
    assert tagged(await client.ask("CREATE Work/2026")).startswith(b"NO [ALREADYEXISTS] ")
    assert tagged(await client.ask("CREATE inbox")).startswith(b"NO [ALREADYEXISTS] ")
    assert await names(client, 'LIST "" "W%"') == [b'"Work"']
    assert await names(client, 'LIST "Work/" "%"') == [b'"Work/2026"']
    assert tagged(await client.ask("RENAME Work Entw&APw-rfe")).startswith(b"OK ")
    assert await names(client, 'LIST "" "E*"') == [b'"Entw&APw-rfe"', b'"Entw&APw-rfe/2026"']
    assert tagged(await client.ask("DELETE Entw&APw-rfe")).startswith(b"OK ")
    said = untagged(await client.ask('LIST "" "E*"'))
    assert said == [
        b'LIST (\\Noselect \\HasChildren) "/" "Entw&APw-rfe"',
        b'LIST (\\HasNoChildren) "/" "Entw&APw-rfe/2026"',
    ]
    assert tagged(await client.ask("DELETE INBOX")).startswith(b"NO [CANNOT] ")
    assert tagged(await client.ask("DELETE Nowhere")).startswith(b"NO [NONEXISTENT] ")
    assert tagged(await client.ask("RENAME Nowhere Else")).startswith(b"NO [NONEXISTENT] ")
    assert tagged(await client.ask("CREATE Big (USE (\\Archive))")).startswith(b"NO [USEATTR] ")


DAMAGED = ["&", '"&abc"', '"a\\nb"']


async def test_many_folders_are_listed_where_nobody_else_waits_for_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: five thousand folders and twenty long patterns, again and again, while others wait on the same loop."""
    threads: list[int] = []
    listed = folder_commands._listed

    def spied(*folders: Any, with_subscribed: bool) -> list[tuple[str, bytes]]:
        threads.append(threading.get_ident())
        return listed(*folders, with_subscribed=with_subscribed)

    monkeypatch.setattr(folder_commands, "_listed", spied)
    few = await names(client)
    monkeypatch.setattr(desk, "FEW", 2)
    assert await names(client) == few
    assert threads[0] == threading.get_ident() != threads[1]
    assert tagged(await client.ask(f'LIST "" {"x" * 1001}')).startswith(b"BAD LIST: a pattern has at most")


async def test_a_damaged_name_is_refused(client: Client) -> None:
    for name in DAMAGED:
        assert tagged(await client.ask(f"CREATE {name}"))[:3] in (b"BAD", b"NO ")
        assert tagged(await client.ask("NOOP")).startswith(b"OK ")


async def test_subscriptions_are_kept(client: Client) -> None:
    assert tagged(await client.ask("UNSUBSCRIBE Junk")).startswith(b"OK ")
    assert b'"Junk"' not in await names(client, 'LSUB "" "*"')
    assert tagged(await client.ask("SUBSCRIBE Junk")).startswith(b"OK ")
    assert b'"Junk"' in await names(client, 'LSUB "" "*"')
    assert b'"Junk"' in await names(client, 'LIST (SUBSCRIBED) "" "*"')
    assert tagged(await client.ask("SUBSCRIBE Nowhere")).startswith(b"NO [NONEXISTENT] ")


async def test_status_tells_counts_without_opening(room: ImapRoom, client: Client) -> None:
    await room.put(b"one\r\n", b"two\r\n")
    said = untagged(await client.ask("STATUS inbox (MESSAGES UNSEEN UIDNEXT RECENT)"))
    assert said == [b'STATUS "INBOX" (MESSAGES 2 UNSEEN 2 UIDNEXT 3 RECENT 0)']
    assert tagged(await client.ask("STATUS Nowhere (MESSAGES)")).startswith(b"NO [NONEXISTENT] ")
    assert tagged(await client.ask("STATUS INBOX (NONSENSE)")).startswith(b"BAD ")


async def test_the_quota_is_told_in_kibibytes(room: ImapRoom) -> None:
    await room.store.set_quota(room.ida.id, 10240)
    await room.put(b"x" * 1500)
    client = Client(room.server())
    await client.log_in()
    assert untagged(await client.ask("GETQUOTAROOT INBOX")) == [
        b'QUOTAROOT "INBOX" ""',
        b'QUOTA "" (STORAGE 2 10)',
    ]
    await room.store.set_quota(room.ida.id, None)
    assert untagged(await client.ask('GETQUOTA ""')) == [b'QUOTA "" ()']
    assert tagged(await client.ask("GETQUOTA other")).startswith(b"NO ")
    assert untagged(await client.ask("NAMESPACE")) == [b'NAMESPACE (("" "/")) NIL NIL']


async def test_a_folder_that_is_deleted_while_it_is_open_is_closed(room: ImapRoom, client: Client) -> None:
    await client.ask("CREATE Work")
    await client.ask("SELECT Work")
    await room.store.delete_folder(room.ida.id, "Work")
    assert untagged(await client.ask("NOOP")) == [b"OK [CLOSED] The folder was deleted"]
    assert tagged(await client.ask("FETCH 1 FLAGS")).startswith(b"BAD ")
