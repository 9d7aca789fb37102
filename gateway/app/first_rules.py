"""The rules that `gateway init` writes: one sample, which works where there is a portal, and a page that says how."""

from __future__ import annotations

from typing import Final

README: Final = """\
# Transport rules

Each `*.yaml` in this folder holds a list of rules; the files are read in the order of their names. A rule says `when`
it applies, `unless` what, and what is `then` done:

    - name: Invoices come by the portal
      when: {subject_contains_words: [invoice], attachment_extension_matches_words: [exe, js]}
      then: {reject_message: {text: "Please send invoices by the portal", code: 5.7.905}}

`gateway check` tells every fault with its file and line, `gateway rule list` shows the rules in the order in which they
run, `gateway rule test MESSAGE.eml --from A --to B` tells what they would do with a message, and `gateway reload` takes
changed rules, the whole of them or nothing. `gateway rule schema` prints a JSON Schema for editors.

Data types of your own (what your customer numbers look like) stand in `types/*.yaml`.
"""
_SECURE: Final = """\
# A sender writes [secure] into the subject, and whoever is outside gets the message protected: a mail with a button,
# which opens the message on the portal once he has typed a code that is mailed to him.
#{off}
# Where certificates of recipients are known (gateway certificate import FILE) they can get S/MIME instead: say
#     then: {{apply_smime: encrypt, smime_otherwise: {otherwise}}}
- name: Mail tagged [secure] is protected
  enabled: {enabled}
  when:
    subject_contains_words: ["[secure]"]
    sent_to_scope: not_in_organization
  then:
    apply_ome: true
"""
_OFF: Final = """
# It is off, since gateway.toml has no [portal] where it could be read: turned on, mail that it fits waits (4xx).
#"""


def secure(portal: bool) -> str:
    """The sample `[secure]`, in YAML; it works from the start where there is a portal."""
    off = "" if portal else _OFF
    return _SECURE.format(off=off, enabled=f"{portal}".lower(), otherwise="rights" if portal else "reject")
