"""Conversations: contacts and who may ring, threads of texts and calls, the outbox, retention, the box's store.

Everything but the `stores` family is pure: it keeps its state in memory, and each change returns the writes that
make it durable. What the caller does with them, always in this order: commit, then act (send, acknowledge, show).
"""
