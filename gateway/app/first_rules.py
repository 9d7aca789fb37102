"""The rules that `gateway init` writes: one sample that is ready to be turned on, and a page that says how."""

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
SECURE: Final = """\
# A sender writes [secure] into the subject, and whoever is outside gets the message protected.
#
# It is off, since rights protection comes with a later version: turned on, mail that it fits waits (4xx) until then.
# For recipients with certificates (gateway certificate import FILE) it can protect today, as S/MIME: say
#     then: {apply_smime: encrypt, smime_otherwise: reject}
- name: Mail tagged [secure] is protected
  enabled: false
  when:
    subject_contains_words: ["[secure]"]
    sent_to_scope: not_in_organization
  then:
    apply_ome: true
"""
