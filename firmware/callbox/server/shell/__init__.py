"""Everything of the server that touches the world: sockets, TLS, the clock, files, the store's thread.

TCP --> pipe: TLS --> connection: WebSocket, queues --> serving: the core --effects--> connections, store_thread
"""
