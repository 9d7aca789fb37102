"""The stage `authenticate` of the pipeline: who signed a message that comes from elsewhere.

What the DNS can't say now is a temperror, and the mail goes on: whether that matters, rules decide. Leaves out: mail of
our own servers, of people who logged in, and of the gateway itself, about which others have to judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.authenticate.dkim.verify import Verifier
from gateway.authenticate.results import field
from gateway.authenticate.terms import AuthenticateTerms
from gateway.mail.authentication import Authentication, Verdict
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail

_LABELS: Final = {one: (one.value,) for one in Verdict}


class Authenticating:
    """Judges, and writes down what came of it. `terms` are replaced by a reload."""

    def __init__(
        self,
        terms: AuthenticateTerms,
        verifier: Verifier,
        *,
        is_ours: Callable[[Client | None, str | None], bool],
        count: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        """`is_ours` says whether mail comes from our side, by its client (None: the gateway itself) and the inbound
        connector's name.
        """
        self.terms = terms
        self._verifier = verifier
        self._is_ours = is_ours
        self._count = count

    async def __call__(self, mail: Mail) -> Mail:
        """The mail with `authentication`, and an Authentication-Results field in front (RFC 8601 4).

        Raises what reading the content raises, where it lies on disk and was not hashed as it came.
        """
        terms = self.terms
        if not terms.dkim or self._is_ours(mail.client, mail.connector):
            return mail
        found = await self._verifier.verify(mail.message)
        for one in found.dkim:
            self._count("dkim_results_total", _LABELS[one.verdict])
        return mail.topped(field(terms.authserv_id, found), found)


def facts(found: Authentication) -> dict[str, object]:
    """What the trace tells of it; `gateway authenticate` says the same."""
    told: dict[str, object] = {
        "dkim": [
            {
                "result": f"{one.verdict}",
                "domain": one.domain,
                "selector": one.selector,
                "reason": one.reason,
                "algorithm": one.algorithm,
                "bits": one.bits,
            }
            for one in found.dkim
        ]
    }
    if found.skipped:
        told["skipped"] = found.skipped
    return told
