"""Mails that rules have the gateway write: to the sender, and reports about incidents. Pure: octets made by hand.

They have a null sender, so that nobody answers them, and come without a client: rules (but those that demand TLS) and
protection pass them over. Nobody is told anything in answer to a notice (RFC 3834 2). What a report would show of a
message that has to be protected is for the stage to protect, or to leave out. Leaves out: reports of delivery (RFC
3464), which `gateway.delivery.dsn` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.mail.address import Address
from gateway.mail.date import rfc5322_date
from gateway.mail.edit import Edit
from gateway.mail.edited import edited
from gateway.mail.envelope import Body, Envelope, Recipient
from gateway.mail.field import field, safe, written
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message, prefaced
from gateway.rules.html_text import html_text
from gateway.rules.text_part import quoted
from gateway.rules.tokens import filled
from gateway.rules.values import ReportItem
from gateway.rules.work import Disposition, Finding, NoticeWanted, Severity, Work

_LONGEST: Final = 2_000  # Letters of one value in a notice; senders may write anything at any length.
_MOST: Final = 100  # Recipients, or things found, that are listed.
_BECAME: Final = {
    Disposition.DELIVER: "it goes on to these recipients",
    Disposition.REDIRECT: "it goes to other recipients instead",
    Disposition.QUARANTINE: "it is held until somebody releases or deletes it",
    Disposition.REJECT: "it was refused",
    Disposition.DELETE: "it was deleted",
}
# What shows more of a message than its header section, which every kind of protection but TLS leaves in clear.
TELLING: Final = frozenset((ReportItem.ATTACH_ORIGINAL_MAIL, ReportItem.ID_MATCH))
_OMITTED: Final = {
    ReportItem.ATTACH_ORIGINAL_MAIL: "The message itself is not attached",
    ReportItem.ID_MATCH: "What was found is not shown",
}
_DATA: Final = "message_contains_data_classifications"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The message that notices are about. `values` gives those of a header field by its name in lower case, decoded."""

    mail: Mail
    values: Callable[[str], Sequence[str]]

    def line(self, name: str) -> str:
        """All values of a field, on one line."""
        return safe(", ".join(self.values(name)))[:_LONGEST]

    @property
    def is_notice(self) -> bool:
        """Whether some program wrote it by itself, so that it is not answered."""
        return self.mail.envelope.sender is None or any(
            value.partition(";")[0].strip().lower() != "no" for value in self.values("auto-submitted")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Writes them in the name of `hostname`. `boundary` makes one that stands in no message, of a text of its own."""

    hostname: str
    contact: str | None
    now: float
    boundary: Callable[[str], str]

    def notice(
        self,
        wanted: NoticeWanted,
        work: Work,
        about: About,
        number: int,
        without: frozenset[ReportItem] = frozenset(),
    ) -> Mail | None:
        """The mail, under the queue id of the message that it is about; None where nobody may be told.

        `work` is the fork as it became; `number` tells the notices of one message apart. `without`: items that a report
        must not have, since the message has to be protected and the report can't be.
        """
        sender = about.mail.envelope.sender
        if wanted.to is not None:
            if work.severity is Severity.DO_NOT_AUDIT:
                return None
            return self._mail(wanted.to, *self._report(wanted, work, about, without), about, number)
        if sender is None or about.is_notice:  # a31
            return None
        subject = "Your message and a rule of the organisation"
        return self._mail(sender, subject, self._told(wanted, about), False, about, number)

    # -- what they say ------------------------------------------------------------------------------------------------

    def _told(self, wanted: NoticeWanted, about: About) -> str:
        is_html = "<" in wanted.text and ">" in wanted.text
        values = {
            "from": about.line("from"),
            "to": about.line("to"),
            "cc": about.line("cc"),
            "subject": about.line("subject"),
            "messagedate": about.line("date"),
            "headers": about.mail.message.header_section().decode("utf-8", "replace")[: 8 * _LONGEST],
        }
        text = filled(wanted.text, values, html=is_html)
        lines = [
            html_text(text) if is_html else text,
            "",
            f"Subject: {about.line('subject')}",
            f"To:      {about.line('to')}",
            f"Sent:    {about.line('date')}",
        ]
        if self.contact is not None:
            lines += ["", f"Whoever has questions about it may write to {self.contact}."]
        return "\n".join(lines)

    def _report(
        self, wanted: NoticeWanted, work: Work, about: About, without: frozenset[ReportItem]
    ) -> tuple[str, str, bool]:
        """Subject and text, and whether the original goes with them."""
        envelope = about.mail.envelope
        lines = [
            f'The rule "{safe(wanted.rule)}" applies to a message, and {_BECAME.get(work.disposition, "it waits")}.',
            "",
            f"Message:    {about.mail.id}",
            f"Received:   {rfc5322_date(about.mail.received)}",
        ]
        content = frozenset(wanted.content) - without
        if ReportItem.SENDER in content:
            path = "<>" if envelope.sender is None else envelope.sender.text
            lines.append(f"Sender:     {path}; From {about.line('from')}")
        shown = f"{about.line('to')} {about.line('cc')}".lower()
        named = [one.address.text for one in work.recipients]
        if ReportItem.RECIPIENTS in content:
            visible = [one for one in named if ReportItem.BCC not in content or one.lower() in shown]
            lines.append(f"Recipients: {_several(visible)}")
        if ReportItem.CC in content:
            lines.append(f"Cc:         {about.line('cc')}")
        if ReportItem.BCC in content:
            lines.append(f"Bcc:        {_several([one for one in named if one.lower() not in shown])}")
        if ReportItem.SUBJECT in content:
            lines.append(f"Subject:    {about.line('subject')}")
        if ReportItem.SEVERITY in content:
            lines.append(f"Severity:   {'not set' if work.severity is None else work.severity}")
        if ReportItem.OVERRIDE in content:
            lines.append(f"Override:   {work.override or 'none'}")
        if ReportItem.FALSE_POSITIVE in content:
            lines.append(f"Reported as a false positive: {'yes' if work.override == 'false_positive' else 'no'}")
        if ReportItem.RULE_DETECTIONS in content:
            lines += ["", "Why the rule applies:", *(f"- {_where(one)}" for one in wanted.findings[:_MOST])]
        data = [one for one in wanted.findings if one.condition == _DATA]
        if ReportItem.DATA_CLASSIFICATIONS in content:
            lines += ["", "Data that was found:", *(f"- {one.where or '?'}: {len(one.found)}" for one in data[:_MOST])]
        if ReportItem.ID_MATCH in content:
            found = [f"- {_where(one)}: {_several(one.found)}" for one in wanted.findings[:_MOST]]
            lines += ["", "What was found:", *found]
        for item in [one for one in _OMITTED if one in without and one in wanted.content]:
            lines += ["", f"{_OMITTED[item]}: it is protected, and no certificate is known for {wanted.to}."]
        grade = "" if work.severity is None else f" ({work.severity})"
        subject = f"Incident report{grade}: {safe(wanted.rule)}"
        return subject, "\n".join(lines), ReportItem.ATTACH_ORIGINAL_MAIL in content

    # -- how they are written -----------------------------------------------------------------------------------------

    def _mail(self, to: Address, subject: str, text: str, attach: bool, about: About, number: int) -> Mail:
        id_, original = about.mail.id, about.mail
        how = "auto-replied" if to == original.envelope.sender else "auto-generated"  # RFC 3834 5
        head = (
            field("Date", rfc5322_date(self.now)),
            field("From", f"Mail gateway <MAILER-DAEMON@{self.hostname}>"),
            field("To", f"<{to.text}>"),
            field("Subject", written(subject)),
            field("Message-ID", f"<{id_}.n{number}@{self.hostname}>"),
            field("Auto-Submitted", how),
            field("X-Auto-Response-Suppress", "All"),
            b"MIME-Version: 1.0\r\n",
        )
        part = (
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
            quoted("\r\n".join(line.rstrip() for line in text.split("\n")).encode("utf-8", "replace")),
            b"\r\n",
        )
        eight_bit = not to.is_ascii
        if attach:
            message, beyond = self._with_original(b"".join(head), b"".join(part), original, number)
            eight_bit = eight_bit or beyond
        else:
            octets = b"".join((*head, *part))
            message = Message(octets[:MAX_HEAD], Held(octets))
        envelope = Envelope(
            sender=None,
            recipients=(Recipient(to, notify="NEVER"),),
            body=Body.EIGHT_BIT_MIME if eight_bit else Body.SEVEN_BIT,
            smtputf8=not to.is_ascii or (attach and original.envelope.smtputf8),
        )
        return Mail(id=id_, received=self.now, envelope=envelope, message=message)

    def _with_original(self, head: bytes, part: bytes, original: Mail, number: int) -> tuple[Message, bool]:
        """The original, as it came, behind the text; it is read where it lies. Whether it has 8 bits."""
        content = prefaced(original.preface, original.message.content)
        held = content.inline
        beyond = original.envelope.body is Body.EIGHT_BIT_MIME if held is None else not held.isascii()
        edge = f"--{self.boundary(f'{original.id} {number}')}".encode()
        encoding = b"8bit" if beyond else b"7bit"
        front = (
            *(head, b'Content-Type: multipart/mixed; boundary="', edge[2:], b'"\r\n'),
            *(b"Content-Transfer-Encoding: ", encoding, b"\r\n\r\n", edge, b"\r\n", part, edge, b"\r\n"),
            b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n",
            *(b"Content-Transfer-Encoding: ", encoding, b"\r\n\r\n"),
        )
        size = content.size
        whole = Message((original.preface + original.message.head)[:MAX_HEAD], content)
        return edited(
            whole, (Edit(0, 0, b"".join(front)), Edit(size, size, b"\r\n" + edge + b"--\r\n")), body=True
        ), beyond


def _several(texts: Sequence[str]) -> str:
    shown = ", ".join(safe(text)[:_LONGEST] for text in texts[:_MOST])
    return shown + (f" and {len(texts) - _MOST} more" if len(texts) > _MOST else "")


def _where(one: Finding) -> str:
    return f"{one.condition}{'' if one.where is None else f' in {safe(one.where)}'}"
