"""Words and patterns of all rules, sought in one pass over a text (DESIGN 6).

A pass looks for what every hit needs: a whole word, or letters that a pattern can't do without. Five thousand values
take it little longer than ten, since Hyperscan looks for all of them at once, with tables that a processor's caches
hold; only what it points at is looked at again, by RE2 (patterns, phrases), in a time that grows with the text alone.
Patterns that need no letters, such as `\\d{3}-\\d{2}`, stand in sets of RE2, which are run over every text. Sets for
all would be as quick once they are warm, but the first text would take a quarter of a second, and a set that fails does
so without a word.
Leaves out: look-around and back-references, which RE2 does not have.
"""
