"""What happened: log lines, metrics, trace events. Where they are kept is handed in.

Leaves out: keeping events (storage), alerts.
"""
