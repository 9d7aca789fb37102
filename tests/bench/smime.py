"""What S/MIME costs: the same message of 4 KiB plain, encrypted for one RSA-2048 recipient, and signed with P-256.

All go through the same gateway in the same run, in turn with Postfix, which relays them plain. Beside them, without a
relay: what a message of 10 MiB takes on one core, and how much memory at its peak.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from gateway.smime.cms.algorithms import AES256_CBC, AES256_GCM
from gateway.smime.cms.recipients import recipient
from gateway.smime.cms.signing import Signer
from gateway.smime.sealing import encrypt, sign
from gateway.world.chance import SystemChance
from tests.bench import gateways, relay
from tests.bench.counter import Counter
from tests.fakes import mail_keys
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.postfix import Postfix

GATEWAY = gateways.settings("corp.example")
RULES = """\
- name: Encrypted
  when: {recipient_domain_is: [encrypted.example]}
  then: {apply_smime: encrypt, smime_otherwise: reject}
- name: Signed
  when: {recipient_domain_is: [signed.example]}
  then: {apply_smime: sign, smime_otherwise: reject}
"""
PLAIN, ENCRYPTED, SIGNED, POSTFIX = "plain.example", "encrypted.example", "signed.example", "postfix"
PASSWORD = "bench"
LARGE = 10 << 20
TURNS = 5


def beside_plain(counter: Counter, rounds: int, settings: str) -> dict[str, float]:
    """Measure all four in turn; print the medians, and give the ratios. `settings` are those of a fast Postfix."""
    work = relay.WORKS["4k"]
    found: dict[str, list[float]] = {PLAIN: [], ENCRYPTED: [], SIGNED: [], POSTFIX: []}
    with (
        _gateway(counter) as gateway,
        Postfix(hostname="bench.test", relay_to=counter.port, extra=settings) as postfix,
    ):
        _check(gateway, counter)
        for turn in range(rounds):
            for name in list(found)[:: -1 if turn % 2 else 1]:
                port = postfix.port if name == POSTFIX else gateway.port
                to = f"otto@{PLAIN if name == POSTFIX else name}"
                found[name].append(relay.rate(port, work, counter, recipient=to))
    plain, encrypted, signed, postfix_ = (statistics.median(rates) for rates in found.values())
    ratios = {
        "smime": _ratio(found, ENCRYPTED, PLAIN),
        "smime-sign": _ratio(found, SIGNED, PLAIN),
        "smime-postfix": _ratio(found, ENCRYPTED, POSTFIX),
        "smime-sign-postfix": _ratio(found, SIGNED, POSTFIX),
    }
    print(
        f"smime     plain {plain:.1f}/s   encrypted {encrypted:.1f}/s ({ratios['smime']:.2f})   "
        f"signed {signed:.1f}/s ({ratios['smime-sign']:.2f})   postfix, plain {postfix_:.1f}/s "
        f"({ratios['smime-postfix']:.2f}, {ratios['smime-sign-postfix']:.2f})",
        flush=True,
    )
    return ratios | alone()


def alone() -> dict[str, float]:
    """MB/s of a message of 10 MiB on one core, and memory at the peak, the message with it, by its size."""
    line = b"Seventy octets of a text that says nothing and is as long as others.\r\n"
    head = b"From: Ida Berg <ida@corp.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
    message = head + line * (LARGE // len(line))
    people = [recipient(mail_keys.certificate("rsa"))]
    signers = [Signer.of(mail_keys.certificate("p256"), mail_keys.private_key("p256"))]
    chance, now = SystemChance(), time.time()
    figures: dict[str, float] = {}
    works: dict[str, Callable[[], bytes]] = {
        "AES-256-CBC": lambda: encrypt(message, people, AES256_CBC, chance),
        "AES-256-GCM": lambda: encrypt(message, people, AES256_GCM, chance),
        "signed": lambda: sign(message, signers, now),
    }
    told = []
    for name, work in works.items():
        work()
        began = time.process_time()
        for _ in range(TURNS):
            work()
        speed = len(message) * TURNS / 1e6 / (time.process_time() - began)
        tracemalloc.start()
        work()
        peak = 1 + tracemalloc.get_traced_memory()[1] / len(message)
        tracemalloc.stop()
        told.append(f"{name} {speed:.0f} MB/s ({peak:.1f} times its size)")
        if name == "AES-256-CBC":
            figures |= {"smime-large": speed, "smime-memory": peak}
    print(f"smime     10 MiB on one core: {', '.join(told)}", flush=True)
    return figures


def _ratio(found: dict[str, list[float]], ours: str, theirs: str) -> float:
    return statistics.median(a / b for a, b in zip(found[ours], found[theirs], strict=True))


@contextmanager
def _gateway(counter: Counter) -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as place:
        folder = Path(place)
        folder.chmod(0o711)
        gateway = Gateway(folder / "gateway", GATEWAY, SINK=counter.port, METRICS=free_port()).init()
        rules = gateway.folder / "rules"
        for sample in rules.glob("*.yaml"):
            sample.unlink()
        (rules / "smime.yaml").write_text(RULES)
        (folder / "otto.pem").write_bytes(mail_keys.pem(mail_keys.certificate("rsa")))
        key, one = mail_keys.private_key("p256"), mail_keys.certificate("p256")
        protection = BestAvailableEncryption(PASSWORD.encode())
        (folder / "ida.p12").write_bytes(serialize_key_and_certificates(b"ida", key, one, None, protection))
        _run(gateway, "import", str(folder / "otto.pem"), "--domain", ENCRYPTED)
        _run(gateway, "import", str(folder / "ida.p12"), "--password-stdin", "--address", "ida@corp.example")
        try:
            yield gateway.start()
        finally:
            gateway.stop()


def _run(gateway: Gateway, *arguments: str) -> None:
    done = gateway.run("certificate", *arguments, stdin=f"{PASSWORD}\n")
    if done.returncode:
        raise SystemExit(done.stderr)


def _check(gateway: Gateway, counter: Counter) -> None:
    """One message each, to see that they are what they are called."""
    for to in (ENCRYPTED, SIGNED):
        relay.rate(gateway.port, relay.Work(1, 1, 4 << 10), counter, recipient=f"otto@{to}")
    stories = gateway.ask("trace")
    done = sum(one["event"] == "protected" for story in stories for one in story["events"])
    if done != 2:
        raise SystemExit(f"smime: {done} of 2 messages were sealed; the figures mean nothing\n{stories}")
