"""The ladder of protection (DESIGN 15): what rules marked leaves as S/MIME or does not leave; what came in is opened.

Its steps are S/MIME and rights; where neither can be had mail waits, or is refused. Leaves out: wrapping in rights what
its sender had encrypted as S/MIME, which goes on as it came.
"""
