"""The reference signaling server: it carries sealed letters, rings and media, and can read none of them.

`core.Server` decides: events and the time in, effects out. `shell/` moves bytes, `stores/` keep rows and letters,
`commands` is the command line. `buses/` will join several processes.
"""
