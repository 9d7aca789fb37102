"""Trace events in plain words, a sentence each. The kinds and their facts are those of `gateway.observe.events`.

An event or a fact that this version does not know is shown as it stands, so that nothing of a story is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway.authenticate.dkim.findings import ALL as REASONS
from gateway.authenticate.dkim.findings import NOT_SIGNED
from gateway.cli.protection_words import lack, wanted
from gateway.cli.words import moment, octets, path, plain, seconds, some
from gateway.observe import events

Facts = dict[str, Any]


def spread(story: list[Facts]) -> list[Facts]:
    """The story with one event for each thing that happened.

    Where one host took a delivery for all its recipients, the trace keeps attempt, recipients and end as one event, so
    that the usual case costs one row.
    """
    told: list[Facts] = []
    for event in story:
        if event.get("event") != events.ATTEMPT or "recipients" not in event:
            told.append(event)
            continue
        shared = {"time": event.get("time"), "delivery": event.get("delivery")}
        told.append({name: fact for name, fact in event.items() if name not in ("recipients", "done")})
        told += [shared | {"event": events.RECIPIENT} | recipient for recipient in event["recipients"]]
        if event.get("done"):
            told.append(shared | {"event": events.DONE})
    return told


def sentence(event: Facts) -> str:
    """What happened, in one line without control characters."""
    kind = event.get("event", "")
    teller = _TELLERS.get(kind)
    if teller is None:
        facts = ", ".join(
            f"{plain(name)} {plain(fact)}" for name, fact in event.items() if name not in ("time", "event")
        )
        return f"{plain(kind)}: {facts}" if facts else plain(kind)
    return teller(event)


def tls_words(tls: Facts | None) -> str:
    """Version and cipher, and whether the certificate held; `in clear` for none."""
    if not tls or not tls.get("version"):
        return "in clear after a TLS handshake that failed" if tls and tls.get("fallback") else "in clear"
    words = f"{plain(tls['version'])} with {plain(tls.get('cipher') or 'an unnamed cipher')}"
    if "authenticated" in tls:
        words += ", certificate verified" if tls["authenticated"] else ", certificate not verified"
    return words


def _delivery(event: Facts) -> str:
    return f"Delivery {plain(event.get('delivery') or '-')}"


def _addresses(listed: Any) -> str:
    return some([str(one) for one in listed], 5) if isinstance(listed, list) else plain(listed or "-")


def _received(event: Facts) -> str:
    words = [f"Received from {path(event.get('from'))} for {_addresses(event.get('recipients'))}"]
    if event.get("unverified"):
        words.append(f"taken unverified: {_addresses(event['unverified'])}")
    if event.get("client"):
        helo = f" ({plain(event['helo'])})" if event.get("helo") else ""
        words.append(f"handed in by {plain(event['client'])}{helo} at {plain(event.get('listener', '-'))}")
        if event.get("user"):
            words.append(f"logged in as {plain(event['user'])}")
        words.append(f"connector {plain(event.get('connector') or '-')}")
        words.append(tls_words(event.get("tls")))
        if shown := event.get("certificate"):
            judged = "trusted" if shown.get("trusted") else "not judged"
            words.append(f"certificate of {plain(shown['name'])} from {plain(shown['issuer'])}, {judged}")
    else:
        words.append("made by the gateway itself")
    if isinstance(event.get("size"), int):
        words.append(octets(event["size"]))
    if event.get("message_id"):
        words.append(f"Message-ID {plain(event['message_id'])}")
    return "; ".join(words)


def _authenticated(event: Facts) -> str:
    told = []
    for one in event.get("dkim") or ():
        reason = str(one.get("reason") or "")
        if reason == NOT_SIGNED.word:
            return "Not signed with DKIM"
        key = f", {one['bits']} bits" if one.get("bits") else ""
        of = (
            f" of {plain(one['domain'])} (selector {plain(one.get('selector') or '-')}{key})"
            if one.get("domain")
            else ""
        )
        why = f": {plain(REASONS[reason].text if reason in REASONS else reason)}" if reason else ""
        told.append(f"{plain(one.get('result', '-'))}{of}{why}")
    words = f"DKIM signature {'; '.join(told)}" if len(told) == 1 else f"DKIM signatures: {'; '.join(told)}"
    return words + (f"; {event['skipped']} more were not judged" if event.get("skipped") else "")


def _opened(event: Facts) -> str:
    told = []
    for one in event.get("layers") or ():
        why = f" ({plain(one['reason'])})" if one.get("reason") else ""
        if one.get("layer") == "signed":
            told.append(f"signed by {plain(one.get('signer') or 'somebody')}: {plain(one.get('status') or '-')}{why}")
        elif one.get("layer") == "rights":
            how = "opened" if one.get("ok") else f"not opened{why}"
            told.append(f"protected by rights of ours ({plain(one.get('work') or '-')}), {how}")
        elif one.get("ok"):
            how = plain(one.get("algorithm") or "an unnamed cipher")
            told.append(f"encrypted with {how}, opened with the key of {plain(one.get('recipient') or '-')}{why}")
        else:
            told.append(f"encrypted, not opened{why}")
    is_rights = any(one.get("layer") == "rights" for one in event.get("layers") or ())
    return f"{'Rights' if is_rights else 'S/MIME'}: {'; '.join(told)}"


def _protected(event: Facts) -> str:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in event.get("recipients") or ():
        step = str(row.get("step") or "-").replace("-", " ")
        step += f" ({row['template']})" if row.get("template") else ""
        key = (step, str(row.get("rule") or ""), str(row.get("reason") or ""))
        groups.setdefault(key, []).append(str(row.get("recipient") or "-"))
    told = []
    for (step, rule, reason), people in groups.items():
        by = f", by the rule {plain(rule)}" if rule else ""
        told.append(f"{plain(step)} for {_addresses(people)}{by}{f': {lack(reason)}' if reason else ''}")
    return f"Protection: {'; '.join(told)}"


def _unprotected(event: Facts) -> str:
    whom = f" for {_addresses(event['recipients'])}" if event.get("recipients") else ""
    reason = f": {lack(str(event['reason']))}" if event.get("reason") else ""
    return f"{_delivery(event)}{whom} waits sealed for what the rule {plain(event.get('rule') or '-')} wants{reason}"


def _handed_on(event: Facts) -> str:
    """Told of the one that goes on: what it was before has its own story."""
    return f"It is what waited as {plain(event.get('from') or '-')}, whose trace tells what was before"


def _ruled(event: Facts) -> str:
    """Which rules matched, and what becomes of whom; what they found, tells `trace --json`."""
    names = [str(one.get("name")) for one in event.get("rules") or []]
    words = [f"Rules matched: {some(names)}" if names else "No rule matched"]
    words += [f"{_fate(one)}{_besides(one)}" for one in event.get("outcomes") or []]
    return "; ".join(words)


def _fate(outcome: Facts) -> str:
    """What rules let become of the message for some recipients."""
    whom = _addresses(outcome.get("recipients"))
    match outcome.get("disposition"):
        case "deliver":
            return f"{whom} may have it"
        case "redirect":
            return f"it goes to {whom} instead"
        case "quarantine":
            return f"it is held for {whom}"
        case "delete":
            return f"it is deleted for {whom}"
        case "reject":
            return f"it is refused for {whom} ({plain(outcome.get('reply') or '-')})"
        case "defer":
            return f"it has to come again for {whom} ({plain(outcome.get('reply') or '-')})"
        case other:
            return f"{whom}: {plain(other or '-')}"


def _besides(outcome: Facts) -> str:
    """Under which terms it leaves, which actions did something, what audited rules would have done."""
    terms = []
    if outcome.get("protection") == "smime":
        terms.append(wanted(str(outcome.get("smime") or "encrypt")))
    elif outcome.get("protection") not in (None, "none"):
        terms.append(wanted(str(outcome.get("template") or outcome["protection"])))
    terms += ["TLS"] if outcome.get("require_tls") else []
    found = [f"under {' and '.join(terms)}"] if terms else []
    found += [f"by the connector {plain(outcome['connector'])}"] if outcome.get("connector") else []
    found += [f"done by rules: {some(outcome['actions'])}"] if outcome.get("actions") else []
    found += [f"would be done by audited rules: {some(outcome['audited'])}"] if outcome.get("audited") else []
    found += [f"warnings: {some(outcome['warnings'])}"] if outcome.get("warnings") else []
    return "".join(f", {one}" for one in found)


def _signed(event: Facts) -> str:
    made = [
        f"{plain(one.get('selector', '-'))} ({plain(one.get('algorithm', '-'))})"
        for one in event.get("signatures") or ()
    ]
    lacks = f"; not with all keys: {plain(event['reason'])}" if event.get("reason") else ""
    return f"Signed with DKIM for {plain(event.get('domain') or '-')} by {_addresses(made)}{lacks}"


def _unsigned(event: Facts) -> str:
    whose = f" for {plain(event['domain'])}" if event.get("domain") else ""
    return f"Not signed with DKIM{whose}: {plain(event.get('reason') or '-')}"


def _routed(event: Facts) -> str:
    where = f" towards {plain(event['destination'])}" if event.get("destination") else ""
    whom = f" for {_addresses(event['recipients'])}" if event.get("recipients") else ""
    return f"{_delivery(event)} leaves by connector {plain(event.get('connector', '-'))}{where}{whom}"


def _attempt(event: Facts) -> str:
    host = plain(event.get("host") or "-")
    if event.get("address") and event["address"] != event.get("host"):
        host += f" ({plain(event['address'])})"
    took = f" in {seconds(event['seconds'])}" if isinstance(event.get("seconds"), int | float) else ""
    tls = event.get("tls")
    # A folder and a host that was never reached have no TLS to speak of.
    spoken = tls is not None or (event.get("outcome") == "delivered" and event.get("address"))
    secured = f"; {tls_words(tls)}" if spoken else ""
    return f"{_delivery(event)} tried at {host}: {plain(event.get('outcome', '-'))}{took}{secured}"


def _converted(event: Facts) -> str:
    words = [f"{_delivery(event)} was converted to 7 bits for {plain(event.get('host') or '-')}, which has no 8BITMIME"]
    if event.get("encodings"):
        words.append(_addresses(event["encodings"]))
    if event.get("signed"):
        words.append(f"signed anew by {_addresses(event['signed'])}")
    elif event.get("taken_off"):
        words.append(f"our signature taken off and not made anew: {plain(event.get('unsigned') or '-')}")
    if event.get("broken_signatures"):
        words.append(f"signatures of others that don't verify any more: {plain(event['broken_signatures'])}")
    return "; ".join(words)


def _recipient(event: Facts) -> str:
    status = {"sent": "delivered to", "failed": "failed for", "waiting": "not yet delivered to"}
    start = status.get(event.get("status", ""), plain(event.get("status", "-")) + " for")
    if event.get("reason") and event.get("reply") == f"451 4.7.0 {event['reason']}":  # It waits for its protection.
        return f"{_delivery(event)} {start} {plain(event.get('address', '-'))}: {lack(str(event.get('reason') or ''))}"
    code = f" {plain(event['enhanced'])}" if event.get("enhanced") and event.get("status") != "sent" else ""
    why = f" ({plain(event['reason'])}{code})" if event.get("reason") else f" ({code.strip()})" if code else ""
    reply, reason = plain(event.get("reply") or ""), plain(event.get("reason") or "")
    # Where it is a sentence of ours the reply is the same once more, behind its code.
    said = f": {reply}" if reply and not (reason and reason.casefold() in reply.casefold()) else ""
    return f"{_delivery(event)} {start} {plain(event.get('address', '-'))}{why}{said}{_placed(event)}"


def _placed(event: Facts) -> str:
    """Which mailbox it is, in which folder the mail lies, and under which policy."""
    if not event.get("mailbox"):
        return ""
    folder = f"{plain(event['folder'])} of " if event.get("folder") else ""
    under = f"the policy {plain(event['policy'])}" if event.get("policy") else "no policy"
    return f"; {folder}the mailbox {plain(event['mailbox'])}, under {under}"


def _deferred(event: Facts) -> str:
    attempts = event.get("attempts")
    after = f" after attempt {attempts}" if isinstance(attempts, int) else ""
    return f"{_delivery(event)} waits{after}; next attempt at {moment(event.get('next_attempt'))}"


def _refused(event: Facts) -> str:
    return f"Refused: the client was told {plain(event.get('reply') or '-')}"


def _done(event: Facts) -> str:
    return f"{_delivery(event)} is settled"


def _notified(event: Facts) -> str:
    what = {"failed": " of the failure", "delayed": " of the delay"}.get(event.get("action", ""), " of the success")
    if "action" not in event:
        what = ""
    return f"The sender {path(event.get('to'))} was told{what} by a notice, {plain(event.get('notice', '-'))}"


def _by_hand(word: str) -> Callable[[Facts], str]:
    def teller(event: Facts) -> str:
        if reason := event.get("reason"):
            return f"{_delivery(event)} was {word}: {reason}"
        by = event.get("by", "administrator")
        return f"{_delivery(event)} was {word} by {'an administrator' if by == 'administrator' else plain(by)}"

    return teller


def _quarantined(event: Facts) -> str:
    rules = ", ".join(f"'{plain(one)}'" for one in event.get("rules") or ())
    words = f"{_delivery(event)} is held in quarantine by {rules or 'a rule'}"
    if event.get("recipients"):
        words += f" for {_addresses(event['recipients'])}"
    return f"{words}; gateway held shows and releases it"


def _client_gone(event: Facts) -> str:
    return "The client was gone before it could read the 250; it may send the message again"


_TELLERS: Final[dict[str, Callable[[Facts], str]]] = {
    events.RECEIVED: _received,
    events.AUTHENTICATED: _authenticated,
    events.OPENED: _opened,
    events.RULED: _ruled,
    events.PROTECTED: _protected,
    events.SIGNED: _signed,
    events.UNSIGNED: _unsigned,
    events.REFUSED: _refused,
    events.ROUTED: _routed,
    events.ATTEMPT: _attempt,
    events.CONVERTED: _converted,
    events.RECIPIENT: _recipient,
    events.DEFERRED: _deferred,
    events.DONE: _done,
    events.NOTIFIED: _notified,
    events.HELD: _by_hand("held"),
    events.RELEASED: _by_hand("released"),
    events.RETRIED: _by_hand("sent on its way again"),
    events.DELETED: _by_hand("deleted"),
    events.QUARANTINED: _quarantined,
    events.UNPROTECTED: _unprotected,
    events.HANDED_ON: _handed_on,
    events.VIEWED: _by_hand("read"),
    events.CLIENT_GONE: _client_gone,
}
