"""One call from press to line in the thread: events in, effects out, no clock, no socket.

Read `table.py` first: it is the whole machine, row by row. CALLS.md is drawn from it.
"""
