"""The ladder of protection (DESIGN 15): what rules marked leaves as S/MIME or does not leave; what came in is opened.

Leaves out: rights, the second step of the ladder: whoever waits for it waits until that part is there.
"""
