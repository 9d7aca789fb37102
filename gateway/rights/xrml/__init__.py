"""Licences in XrML 1.2 as [MS-RMPR] 2.2.9 has them: written, cut, read in bounds, signed and verified. Pure.

Leaves out: namespaces, entities but the five, comments, CDATA, and every other part of XML that no licence uses.
"""
