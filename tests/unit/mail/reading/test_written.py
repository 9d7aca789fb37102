"""What a well-formed writer puts into a message comes out of it. Python's email package writes; it never reads here."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mail.reading import read
from gateway.mail.reading.unseen import without_unseen

LETTERS = st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"])
LINES = st.lists(st.text(LETTERS, max_size=60), max_size=5).map("\n".join)
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=40)
ENCODINGS = st.sampled_from(["base64", "quoted-printable", "8bit"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    subject=st.text(LETTERS, max_size=80),
    body=LINES,
    encoding=ENCODINGS,
    files=st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=3),
    nested=st.booleans(),
)
def test_subject_text_and_files_come_out(
    subject: str, body: str, encoding: str, files: list[tuple[str, bytes]], nested: bool
) -> None:
    message = EmailMessage(policy=SMTP.clone(max_line_length=998))
    message["Subject"] = subject
    message.set_content(body, cte=encoding, charset="utf-8")
    for name, octets in files:
        message.add_attachment(octets, maintype="application", subtype="x-odd", filename=name)
    if nested:
        outer = EmailMessage(policy=SMTP)
        outer.set_content("outer")
        outer.add_attachment(message)
        message = outer
    reading = read(message.as_bytes())
    subjects = (
        [text.text for text in reading.texts if text.where.startswith("subject")] if nested else [reading.subject]
    )
    seen = without_unseen(subject)
    if seen.strip():
        assert [" ".join(one.split()) for one in subjects] == [" ".join(seen.split())]
    texts = [text.text.replace("\r\n", "\n").strip("\n") for text in reading.texts]
    plain = without_unseen(body).replace("\xa0", " ").strip("\n")
    if plain:
        assert plain in texts
    found = [(one.names[0], one.octets()) for one in reading.attachments if one.type == "application/x-odd"]
    assert found == [(without_unseen(name) or name, octets) for name, octets in files]
