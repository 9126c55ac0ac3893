"""Everything of the server that touches the world: sockets, TLS, the clock, files, the store's thread.

TCP --> connection: TLS, WebSocket, queues --bytes--> serving: the core --effects--> connections, store_thread
"""
