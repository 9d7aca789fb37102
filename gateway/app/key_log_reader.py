"""What `gateway key log` asks: read from the database itself, whether the gateway serves or not.

The running gateway is not asked: who judges the log should not have to believe those whose deeds stand in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from gateway.app import keyring
from gateway.app.channel import Fault
from gateway.app.database import open_shared
from gateway.app.key_log import head_place, person
from gateway.app.key_log_known import Known, PublicKeys, known
from gateway.app.keys import opened
from gateway.app.places import Places
from gateway.keys.access_head import KEY, BadHead, Head, Kind, fingerprint, head_of
from gateway.keys.access_log import (
    GENESIS,
    USE,
    BadLine,
    Line,
    accepted_body,
    batch_of,
    milliseconds,
    next_hash,
    parsed,
)
from gateway.keys.access_log import opened as lines_of
from gateway.keys.access_verify import Finding, Report, Verifier, What
from gateway.keys.vault import KeyFault, Vault
from gateway.settings.load import Loaded
from gateway.storage.key_log import BACK, FRONT, KeyLogStore
from gateway.storage.key_log_rows import Batch, HeadRow
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock, rfc3339

COMMANDS: Final = frozenset(f"key.log.{verb}" for verb in ("list", "verify", "export", "accept"))
PAGE: Final = 200  # Batches in memory at once.


class LogReader:
    """Answers one command. Blocks."""

    def __init__(self, loaded: Loaded, clock: Clock) -> None:
        self._loaded = loaded
        self._clock = clock

    def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        works: Mapping[str, Callable[..., Any]] = {
            "key.log.list": self._list,
            "key.log.verify": self._verify,
            "key.log.export": self._export,
            "key.log.accept": self._accept,
        }
        try:
            return works[command](**arguments)
        except (StorageBroken, StorageFull, KeyFault) as error:
            raise Fault(str(error)) from error
        except OSError as error:
            raise Fault(f"{error.filename}: {error.strerror}") from error

    # -- list ---------------------------------------------------------------------------------------------------------

    def _list(
        self,
        since: float | None = None,
        key: str | None = None,
        operation: str | None = None,
        about: str | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The newest lines that fit, oldest first. `since`: seconds since 1970; `key`: KEY or VAULT/KEY."""
        found: list[dict[str, Any]] = []
        first = BACK if since is None else int(since * 1000)
        with self._store() as store:
            for batch in () if store is None else _back(store):
                # Of two machines' clocks one may be behind: an hour is looked through in vain.
                if since is not None and batch.time < first - 3_600_000:
                    break
                for line in reversed(_readable(batch)):
                    if since is not None and milliseconds(line.time) < first:
                        continue
                    if _fits(line, key, operation, about):
                        found.append(line.told())
                        if len(found) >= limit:
                            return found[::-1]
        return found[::-1]

    # -- verify -------------------------------------------------------------------------------------------------------

    def _verify(self, head: str | None = None) -> dict[str, Any]:
        """`head`: a file with heads that were kept elsewhere."""
        outside = known(self._loaded, head)
        vaults = self._vaults()
        keys = PublicKeys(vaults, outside)
        with self._store() as store:
            rows = [] if store is None else store.heads()
            verifier = Verifier(rows, keys)
            verifier.watch(one for _, one in outside.heads)
            for batch in () if store is None else _forth(store, FRONT):
                verifier.feed(batch)
        for where, one in outside.heads:
            verifier.known(where, one)
        report = verifier.finish()
        report.findings[:0] = outside.findings
        report.notes += keys.notes
        self._note(report, outside)
        if not report.last and not report.findings:
            self._judge_empty(report, vaults)
        return {
            "whole": not report.findings,
            "first": report.first,
            "last": report.last,
            "hash": report.hash.hex(),
            "heads": report.heads,
            "signed": report.signed,
            "findings": [one.told() | {"sentence": one.sentence} for one in report.findings],
            "notes": report.notes,
        }

    def _note(self, report: Report, outside: Known) -> None:
        if report.last > max(report.signed + 1, 1):
            report.notes.append(
                f"lines {report.signed + 1} to {report.last} are not signed yet; a head is signed every few minutes "
                "and at a clean stop"
            )
        # The heads in the database go as easily as its lines, so that none is there says nothing either.
        if not outside.heads and report.last:
            place = head_place(self._loaded).name
            report.findings.append(
                Finding(
                    What.UNPROVEN,
                    report.last,
                    report.last,
                    f"no head is known outside the database ({place} is missing), so nothing says that lines were not "
                    "cut off at the end; --head names a file with one that was kept elsewhere",
                )
            )

    def _judge_empty(self, report: Report, vaults: Mapping[str, Vault]) -> None:
        """An empty log is whole only where nothing was ever made whose making would stand in it."""
        if self._has_domain_keys():
            why = "there are domain keys, and making them is a use of a key"
        elif (name := _holder(vaults)) is not None:
            why = f"vault {name} holds the key {KEY}, which signs it; before the first start that is as it should be"
        else:
            return
        text = f"no line is there, though {why}. Nothing says that lines were not removed"
        report.findings.append(Finding(What.UNPROVEN, 0, 0, text))

    def _has_domain_keys(self) -> bool:
        if not self._loaded.is_shared and not Places.of(self._loaded).shared.exists():
            return False
        with closing(open_shared(self._loaded)) as shared:
            return bool(shared.keys())

    # -- export -------------------------------------------------------------------------------------------------------

    def _export(self, since: float | None = None, after: int | None = None) -> dict[str, Any]:
        """A page of the export: `records`, and `next` for the page after it (None: there is none)."""
        with self._store() as store:
            if store is None:
                return {"records": [], "next": None}
            records: list[dict[str, Any]] = []
            if after is None:
                after = FRONT if since is None else store.since(int(since * 1000)) - 1
                records += self._preface(store, after)
            batches = store.batches(after, PAGE)
            for batch in batches:
                records += _line_records(batch)
            if len(batches) == PAGE:
                return {"records": records, "next": batches[-1].first}
            records += [{"head": _told(row)} for row in store.heads() if row.kind == Kind.HEAD]
            return {"records": records, "next": None}

    def _preface(self, store: KeyLogStore, after: int) -> Iterable[dict[str, Any]]:
        first = store.batches(after, 1)
        yield {
            "gateway_key_log": 1,
            "exported": rfc3339(self._clock.now()),
            "first": first[0].first if first else 0,
            "before": (first[0].before if first else GENESIS).hex(),
        }
        signers = {(row.vault, row.key, row.version) for row in store.heads()}
        keys = PublicKeys(self._vaults(), known(self._loaded))
        for vault, key, version in sorted(signers):
            octets = keys(vault, key, version)
            if octets is not None:
                yield {"public_key": _pem(octets), "vault": vault, "key": key, "version": version} | {
                    "sha256": fingerprint(octets)
                }
        for row in store.heads():
            if row.kind == Kind.START:
                yield {"start": _told(row)}

    # -- accept -------------------------------------------------------------------------------------------------------

    def _accept(self, reason: str) -> dict[str, Any]:
        """Somebody answers for the log not fitting the head that is known outside the database."""
        if not reason.strip():
            raise Fault("the reason is empty; right would be what happened, such as: the backup of Monday was restored")
        place = head_place(self._loaded)
        line, hash_ = 1, GENESIS  # For a head that can't be read.
        former: Head | None = None
        try:
            former = place.read()
            if former is None:
                raise Fault(f"{place.name} is not there, so there is nothing to answer for")
            line, hash_ = former.line, former.hash
        except BadHead:
            pass
        with self._store() as store:
            if store is None:
                raise Fault("there is no database yet; start the gateway first")
            bad = self._forged(store)
            if not bad and former is not None and store.end_of_batch(former.line) == former.hash:
                raise Fault(f"the log fits the head in {place.name}; there is nothing to answer for")
            body = accepted_body(self._clock.now(), person(), line, hash_, reason)
            batch = store.append(lambda first, before: batch_of(first, before or GENESIS, [body]))
            store.drop_heads(bad)
            aside = place.set_aside(batch.last)
        return {"line": batch.last, "accepted": line, "aside": aside, "heads_dropped": len(bad)}

    def _forged(self, store: KeyLogStore) -> list[tuple[str, int]]:
        """Statements in the database that nobody signed, or that the chain does not lead to."""
        keys = PublicKeys(self._vaults(), Known())
        bad: list[tuple[str, int]] = []
        for row in store.heads():
            try:
                head = head_of(row.statement, row.vault, row.key, row.version, row.signature)
                fits = head.kind is not Kind.HEAD or store.end_of_batch(row.line) == head.hash
            except BadHead:
                fits = False
            forged = any(one.what is What.FORGED for one in Verifier([row], keys).findings)
            if forged or not fits:
                bad.append((row.kind, row.line))
        return bad

    # -- what is read -------------------------------------------------------------------------------------------------

    @contextmanager
    def _store(self) -> Iterator[KeyLogStore | None]:
        """The log; None before the first start."""
        if not self._loaded.is_shared and not Places.of(self._loaded).shared.exists():
            yield None
            return
        shared = open_shared(self._loaded)
        try:
            yield KeyLogStore(shared)
        finally:
            shared.close()

    def _vaults(self) -> Mapping[str, Vault]:
        return opened(self._loaded, keyring.vaults).vaults


def _holder(vaults: Mapping[str, Vault]) -> str | None:
    """The first vault that holds the key for heads, in whatever state."""
    for name, vault in vaults.items():
        with suppress(KeyFault):  # One that is away can't tell.
            if any(key.name == KEY for key in vault.keys()):
                return name
    return None


def _forth(store: KeyLogStore, after: int) -> Iterator[Batch]:
    while batches := store.batches(after, PAGE):
        yield from batches
        after = batches[-1].first


def _back(store: KeyLogStore) -> Iterator[Batch]:
    before = BACK
    while batches := store.batches_back(before, PAGE):
        yield from batches
        before = batches[-1].first


def _readable(batch: Batch) -> list[Line]:
    """The lines of a batch that can be read: `verify` tells of the others."""
    try:
        octets, _ = lines_of(batch.lines)
    except BadLine:
        return []
    lines: list[Line] = []
    for one in octets:
        try:
            lines.append(parsed(one))
        except BadLine:
            continue
    return lines


def _fits(line: Line, key: str | None, operation: str | None, about: str | None) -> bool:
    facts = line.facts
    if key is not None and key not in (facts.get("key"), f"{facts.get('vault')}/{facts.get('key')}"):
        return False
    if operation is not None and facts.get("operation") != operation:
        return False
    return about is None or (line.kind == USE and about in facts["about"])


def _line_records(batch: Batch) -> list[dict[str, Any]]:
    try:
        octets, _ = lines_of(batch.lines)
        texts = [one.decode("utf-8") for one in octets]
    except ValueError as error:
        raise Fault(
            f"lines {batch.first} to {batch.last} can't be read: {error}; gateway key log verify tells more"
        ) from None
    records: list[dict[str, Any]] = []
    hash_ = batch.before
    for one, text in zip(octets, texts, strict=True):
        hash_ = next_hash(hash_, one)
        records.append({"line": text, "hash": hash_.hex()})
    return records


def _told(row: HeadRow) -> dict[str, Any]:
    try:
        return head_of(row.statement, row.vault, row.key, row.version, row.signature).told()
    except BadHead as error:
        raise Fault(
            f"the {row.kind} of line {row.line} can't be read: {error}; gateway key log verify tells more"
        ) from None


def _pem(octets: bytes) -> str:
    pem = load_der_public_key(octets).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")
