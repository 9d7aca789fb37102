"""The outside, as it is handed in: clock, chance, names (DNS), sockets. Tests replace each of them.

Nothing else in the gateway opens a socket, sleeps, asks the time or draws at random. It can't log: it returns facts.
Leaves out: HTTPS, which comes with its first user.
"""
