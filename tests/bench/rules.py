"""What transport rules cost: 100 that do not match, beside a gateway without any, and how little a thousand add.

The first is one message of 4 KiB through two gateways in the same run. The second is the engine by itself on a message
of 20 KiB, read anew each time: 10 rules and 1,000, with 50 and 5,000 words and patterns.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from random import Random
from string import ascii_lowercase
from time import process_time

from gateway.rules.engine import Engine
from gateway.rules.model import Rule
from tests.bench import relay
from tests.bench.counter import Counter
from tests.fakes.judging import engine, facts, letter, rule, work
from tests.scenarios.peers.gateway import Gateway

GATEWAY = """\
accepted_domains = ["corp.example"]

[[listeners]]
listen = "127.0.0.1:$PORT"
tls = "none"

[[connectors.inbound]]
name = "ours"
type = "on_premises"
sender_domains = ["corp.example"]
sender_ip_addresses = ["127.0.0.0/8"]

[[connectors.outbound]]
name = "sink"
recipient_domains = ["*"]
smart_hosts = ["127.0.0.1:$SINK"]

[rules]
folder = "rules"
"""
# One of each kind, and each of them ten times with other values.
RULES = """\
- name: words {0}
  when: {{subject_or_body_contains_words: [term{0}a, term{0}b, "several words {0}", "[tag{0}]"]}}
  then: {{prepend_subject: "[x]"}}
- name: patterns {0}
  when:
    subject_or_body_matches_patterns: ['\\bproject-{0}-\\d+', 'no{0}\\s*:\\s*\\w+']
    sent_to_scope: not_in_organization
  then: {{prepend_subject: "[x]"}}
- name: subject {0}
  when: {{subject_contains_words: ["urgent {0}"]}}
  then: {{set_header: {{name: X-Urgent, value: "1"}}}}
- name: subject pattern {0}
  when: {{subject_matches_patterns: ['^case {0}\\d+']}}
  then: {{set_header: {{name: X-Case, value: "1"}}}}
- name: recipients {0}
  when: {{recipient_domain_is: [a{0}.example, b{0}.example]}}
  then: {{route_message_outbound_require_tls: true}}
- name: sender {0}
  when: {{from: [u{0}@corp.example]}}
  unless: {{recipient_domain_is: [a{0}.example]}}
  then: {{blind_copy_to: [archive@corp.example]}}
- name: header {0}
  when: {{header_contains: {{name: X-Tag, words: ["tag {0}"]}}}}
  then: {{remove_header: X-Tag}}
- name: programs {0}
  when: {{attachment_extension_matches_words: [exe, "x{0}"]}}
  then: {{quarantine: true}}
- name: large {0}
  when: {{message_size_over: "{0}0MB"}}
  then: {{set_audit_severity: low}}
- name: partner {0}
  when: {{sent_to: [p{0}@partner.example], subject_or_body_contains_words: [offer, "price {0}"]}}
  then: {{apply_smime: encrypt}}
"""
MESSAGE = (
    b"Received: from pc.corp.example ([192.0.2.1])\r\n\tby mx.corp.example with ESMTPSA id 4XYZ\r\n"
    b"\tfor <otto@partner.example>; Tue, 03 Nov 2026 09:12:00 +0100\r\nFrom: Ida Berg <ida@corp.example>\r\n"
    b"To: Otto Falk <otto@partner.example>\r\nSubject: figures of the third quarter\r\n"
    b"Date: Tue, 03 Nov 2026 09:12:00 +0100\r\nMessage-ID: <c0ffee@corp.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\nUser-Agent: Mail 1.0\r\n\r\n"
)
LINE = b"Seventy octets of a text that says nothing and is as long as others.\r\n"
OUTSIDE = "not_in_organization"
TURNS = 200  # Messages that each engine judges, in turn.


def beside_plain(counter: Counter, rounds: int) -> dict[str, float]:
    """Measure both figures; print them; the median ratio of the first, and what a thousand rules take of ten's time."""
    work_ = relay.WORKS["4k"]
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as place:
        file = Path(place) / "message"
        octets = MESSAGE + LINE * ((work_.octets - len(MESSAGE)) // len(LINE))
        file.write_bytes(octets.replace(b"\r\n", b"\n"))  # smtp-source ends the lines itself.
        gateways = [Gateway(Path(place) / name, GATEWAY, SINK=counter.port).init() for name in ("ruled", "plain")]
        for gateway, count in zip(gateways, (10, 0), strict=True):
            folder = gateway.folder / "rules"
            folder.mkdir(exist_ok=True)
            for old in folder.glob("*.yaml"):
                old.unlink()
            (folder / "bench.yaml").write_text("".join(RULES.format(number) for number in range(1, count + 1)))
        try:
            for gateway in gateways:
                gateway.start()
            pairs = []
            for turn in range(rounds):
                order = gateways if turn % 2 == 0 else gateways[::-1]
                seen = {one.port: relay.rate(one.port, work_, counter, file=file) for one in order}
                pairs.append((seen[gateways[0].port], seen[gateways[1].port]))
        finally:
            for gateway in gateways:
                gateway.stop()
    ruled, plain = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"rules     100 rules {ruled:6.1f}/s   plain {plain:9.1f}/s   ratio {ratio:5.2f}", flush=True)
    return {"rules": ratio, "engine": 1 / of_the_engine()}


def of_the_engine() -> float:
    """How often the time of 10 rules 1,000 take, parsing included, for messages of 20 KiB of which no two are alike."""
    made = _Words()
    few, many = engine(*_rules(made, 10)), engine(*_rules(made, 1000))
    messages = [made.message() for _ in range(20)]
    took: dict[int, list[float]] = {10: [], 1000: []}
    for turn in range(TURNS):
        message = messages[turn % len(messages)]
        for count, one in ((10, few), (1000, many))[:: 1 if turn % 2 else -1]:
            took[count].append(_time(one, message))
    small, large = (statistics.median(took[count]) for count in (10, 1000))
    print(
        f"engine    20 KiB: 10 rules {small * 1e6:.0f} us, 1,000 rules with 5,000 words and patterns"
        f" {large * 1e6:.0f} us: {large / small:.2f} times",
        flush=True,
    )
    return large / small


def _time(one: Engine, message: bytes) -> float:
    """Seconds for one message, reading included."""
    began = process_time()
    judged = one.judge(facts(message), work())
    took = process_time() - began
    if judged.matched or judged.failures:
        raise SystemExit(f"engine: {judged.matched or judged.failures}; the figure means nothing")
    return took


class _Words:
    """Words at random, none of them twice: those of messages are never those of rules."""

    def __init__(self) -> None:
        self._chance = Random(7)  # The same words in each run.
        self._taken: set[str] = set()

    def word(self) -> str:
        while (made := "".join(self._chance.choices(ascii_lowercase, k=self._chance.randint(4, 10)))) in self._taken:
            pass
        self._taken.add(made)
        return made

    def message(self) -> bytes:
        """About 20 KiB: a text, the same length again as HTML, and a small attachment."""
        text = " ".join(self.word() for _ in range(400))
        html = "".join(f"<p>{' '.join(self.word() for _ in range(20))}</p>\r\n" for _ in range(70))
        parts = (f"text/plain\r\n\r\n{text}", f"text/html; charset=utf-8\r\n\r\n<html><body>{html}</body></html>")
        file = "application/octet-stream; name=data.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n" + "QUJD\r\n" * 500
        body = "".join(f"--b\r\nContent-Type: {part}\r\n" for part in (*parts, file)) + "--b--\r\n"
        return letter(body, headers='MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n')


def _rules(made: _Words, count: int) -> list[Rule]:
    """`count` rules of five words or patterns each."""
    rules = []
    for number in range(count):
        words = [made.word() for _ in range(5)]
        kinds: tuple[dict[str, object], ...] = (
            {"subject_or_body_contains_words": words},
            {"subject_or_body_matches_patterns": [rf"\b{word}-\d{{3,6}}\b" for word in words]},
            {"subject_contains_words": words},
            {
                "subject_or_body_contains_words": [f"{word} plan" for word in words],
                "sent_to_scope": "not_in_organization",
            },
            {"subject_or_body_matches_patterns": [rf"{word}\s*:\s*\w+" for word in words]},
        )
        rules.append(rule(f"rule {number}", kinds[number % 5], then={"prepend_subject": "[x]"}, priority=number))
    return rules
