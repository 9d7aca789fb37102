"""Measurements of the relay, beside Postfix and on its own. No figure makes a run fail by itself.

python -m tests.bench [--rounds 3] [--only 4k,64k,10m,single,verify,rules,memory,greeting,keylog] [--least 4k=2.5]
                      [--storage postgresql]
"""
