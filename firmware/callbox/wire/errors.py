"""The one error that any malformed input raises, whatever is wrong with it."""


class MalformedMessage(ValueError):
    """Bytes from the network that are not a message of this protocol."""
