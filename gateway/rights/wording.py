"""What protected mail and code mails say, in three languages. Values; the portal's own texts lie in its catalogues.

`{sender}`, `{recipient}`, `{until}`, `{portal}`, `{name}`, `{reference}`, `{time}` are put in by whoever writes the
mail, escaped where that is HTML. Leaves out: other languages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The sentences of one language. `language` as in RFC 5646; `is_rtl`: it is written from right to left."""

    language: str
    is_rtl: bool
    months: tuple[str, ...]
    moment: str  # With {day}, {month}, {year}, {time}.
    subject: str  # In place of one that is hidden.
    introduction: str  # Behind the sender's name and address.
    button: str
    how: str
    link: str
    until: str
    reply: str
    attached: str
    needed: str  # The same where the portal has no copy.
    doubt: str
    privacy: str
    code_subject: str
    code_lead: str
    code_reference: str
    code_ends: str
    code_beware: str
    code_from: str
    door_subject: str
    door_lead: str
    door_button: str
    door_ends: str
    door_beware: str

    def date(self, at: float) -> str:
        """A moment (seconds since 1970) in words, in UTC."""
        then = datetime.fromtimestamp(at, UTC)
        return self.moment.format(day=then.day, month=self.months[then.month - 1], year=then.year, time=f"{then:%H:%M}")


_ENGLISH: Final = Wording(
    language="en",
    is_rtl=False,
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    moment="{day} {month} {year}, {time} UTC",
    subject="A protected message for you",
    introduction="has sent you a protected message.",
    button="Read the message",
    how="The message opens in your browser at {portal}. There you ask for a code, which is sent to {recipient} "
    "and nowhere else. You need no account and no password.",
    link="If the button does not work, open this address in your browser:",
    until="The message can be read until {until}.",
    reply="An ordinary reply to this mail is not protected. To answer protected, open the message and reply there.",
    attached="The attached file message.rpmsg is the message itself, encrypted. You need it only if the address above "
    "no longer works: it can then be opened at {open}.",
    needed="Keep the attached file message.rpmsg: it is the message itself, encrypted, and the page asks for it, as "
    "{open} does.",
    doubt="Did you not expect this mail? Ask {sender} in another way whether it is genuine before you open it.",
    privacy="Privacy statement",
    code_subject="Your code for a protected message ({reference})",
    code_lead="Your code:",
    code_reference="It belongs to the page that shows the reference {reference}. If your page shows another one, do "
    "not type the code there.",
    code_ends="It works once, until {time}.",
    code_beware="Tell this code to nobody; nobody of ours will ask you for it. If you did not ask for a code you need "
    "not do anything: without it the message stays closed.",
    code_from="Protected mail",
    door_subject="Your way to your protected message",
    door_lead="Too many codes were asked for, or wrong ones were typed, for messages that were sent to you. So that "
    "nobody keeps you out in this way, go on with this link, and have a code sent to you there.",
    door_button="Go on to the message",
    door_ends="The link works until {time}. It opens no message without a code.",
    door_beware="Give it to nobody. If you do not want to read a message now you need not do anything: it stays "
    "closed.",
)
_GERMAN: Final = Wording(
    language="de",
    is_rtl=False,
    months=(
        *("Januar", "Februar", "März", "April", "Mai", "Juni"),
        *("Juli", "August", "September", "Oktober", "November", "Dezember"),
    ),
    moment="{day}. {month} {year}, {time} Uhr (UTC)",
    subject="Eine geschützte Nachricht für Sie",
    introduction="hat Ihnen eine geschützte Nachricht gesendet.",
    button="Nachricht lesen",
    how="Die Nachricht öffnet sich in Ihrem Browser auf {portal}. Dort fordern Sie einen Code an, der an {recipient} "
    "geschickt wird und nirgendwohin sonst. Sie brauchen kein Konto und kein Passwort.",
    link="Falls die Schaltfläche nicht funktioniert, öffnen Sie diese Adresse in Ihrem Browser:",
    until="Die Nachricht kann bis {until} gelesen werden.",
    reply="Eine gewöhnliche Antwort auf diese E-Mail ist nicht geschützt. Um geschützt zu antworten, öffnen Sie die "
    "Nachricht und antworten Sie dort.",
    attached="Die angehängte Datei message.rpmsg ist die Nachricht selbst, verschlüsselt. Sie brauchen sie nur, wenn "
    "die Adresse oben nicht mehr funktioniert: Dann lässt sie sich auf {open} öffnen.",
    needed="Behalten Sie die angehängte Datei message.rpmsg: Sie ist die Nachricht selbst, verschlüsselt, und die "
    "Seite fragt danach, ebenso {open}.",
    doubt="Haben Sie diese E-Mail nicht erwartet? Fragen Sie {sender} auf anderem Weg, ob sie echt ist, bevor Sie sie "
    "öffnen.",
    privacy="Datenschutzerklärung",
    code_subject="Ihr Code für eine geschützte Nachricht ({reference})",
    code_lead="Ihr Code:",
    code_reference="Er gehört zu der Seite, die die Kennung {reference} zeigt. Zeigt Ihre Seite eine andere, geben "
    "Sie den Code dort nicht ein.",
    code_ends="Er gilt einmal, bis {time}.",
    code_beware="Nennen Sie diesen Code niemandem; niemand von uns wird Sie danach fragen. Haben Sie keinen Code "
    "angefordert, brauchen Sie nichts zu tun: Ohne ihn bleibt die Nachricht geschlossen.",
    code_from="Geschützte E-Mail",
    door_subject="Ihr Weg zu Ihrer geschützten Nachricht",
    door_lead="Für Nachrichten an Sie wurden zu viele Codes angefordert oder falsche eingegeben. Damit Sie auf diese "
    "Weise niemand aussperrt, gehen Sie über diesen Link weiter und fordern Sie dort einen Code an.",
    door_button="Weiter zur Nachricht",
    door_ends="Der Link gilt bis {time}. Ohne Code öffnet er keine Nachricht.",
    door_beware="Geben Sie ihn niemandem. Möchten Sie jetzt keine Nachricht lesen, brauchen Sie nichts zu tun: Sie "
    "bleibt geschlossen.",
)
_ARABIC: Final = Wording(
    language="ar",
    is_rtl=True,
    months=(
        *("يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو"),
        *("يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر"),
    ),
    moment="{day} {month} {year}، الساعة {time} بالتوقيت العالمي",
    subject="رسالة محمية لك",
    introduction="أرسل إليك رسالة محمية.",
    button="قراءة الرسالة",
    how="تُفتح الرسالة في متصفحك على {portal}. هناك تطلب رمزًا يُرسل إلى {recipient} ولا يُرسل إلى أي مكان آخر. "
    "لا تحتاج إلى حساب ولا إلى كلمة مرور.",
    link="إذا لم يعمل الزر، فافتح هذا العنوان في متصفحك:",
    until="يمكن قراءة الرسالة حتى {until}.",
    reply="الرد العادي على هذا البريد غير محمي. للرد بشكل محمي، افتح الرسالة ورُدّ من هناك.",
    attached="الملف المرفق message.rpmsg هو الرسالة نفسها مشفّرة. لا تحتاج إليه إلا إذا لم يعد العنوان أعلاه يعمل: "
    "عندئذ يمكن فتحه على {open}.",
    needed="احتفظ بالملف المرفق message.rpmsg: فهو الرسالة نفسها مشفّرة، وستطلبه الصفحة، وكذلك {open}.",
    doubt="ألم تكن تتوقع هذا البريد؟ اسأل {sender} بطريقة أخرى عن صحته قبل أن تفتحه.",
    privacy="بيان الخصوصية",
    code_subject="رمزك لرسالة محمية ({reference})",
    code_lead="رمزك:",
    code_reference="يخصّ الصفحة التي تعرض المرجع {reference}. إذا عرضت صفحتك مرجعًا آخر، فلا تكتب الرمز فيها.",
    code_ends="يصلح لمرة واحدة، حتى {time}.",
    code_beware="لا تخبر أحدًا بهذا الرمز، فلن يطلبه منك أحد منا. إذا لم تطلب رمزًا فلا يلزمك شيء: "
    "بدونه تبقى الرسالة مغلقة.",
    code_from="بريد محمي",
    door_subject="طريقك إلى رسالتك المحمية",
    door_lead="طُلبت رموز كثيرة أو كُتبت رموز خاطئة لرسائل أُرسلت إليك. حتى لا يمنعك أحد من القراءة بهذه الطريقة، "
    "تابع من هذا الرابط واطلب الرمز هناك.",
    door_button="المتابعة إلى الرسالة",
    door_ends="يعمل الرابط حتى {time}، ولا يفتح أي رسالة بدون رمز.",
    door_beware="لا تعطه لأحد. إذا كنت لا تريد قراءة رسالة الآن فلا يلزمك شيء: تبقى الرسالة مغلقة.",
)
WORDINGS: Final = MappingProxyType({one.language: one for one in (_ENGLISH, _GERMAN, _ARABIC)})
