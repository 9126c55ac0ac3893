"""The session with the server: its connections ("lanes"), heartbeats, reconnecting, media, and how a box joins.

Lane 0 is the session's own connection; lanes 1, 2, ... carry media and join the session by ticket. Everything
here but `transports` is pure: transport events and the time go in, effects come out.
"""
