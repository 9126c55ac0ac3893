"""WebSocket messages (RFC 6455, 5.2) in one frame each, as all but a few are: written and read without ceremony.

    bytes -> Incoming.take -> (True, message): whole, binary, in one frame
                           -> (False, frame): pings, farewells, fragments, faults: for who knows the whole protocol

Two hundred messages a second go through here at a box, thousands at a server.
"""

import struct

BINARY = 0x82  # the last fragment of a binary message, and the first
_MASKED, _LONG, _LONGER = 0x80, 126, 127
_HEAD, _LONG_HEAD, _LONGER_HEAD = struct.Struct(">BB"), struct.Struct(">BBH"), struct.Struct(">BBQ")
_MASK_BYTES = 4
_DATA_OPCODES = (0, 1, 2)


def framed(message: bytes, mask: bytes = b"") -> bytes:
    """Return the frame of a binary message. `mask`: four bytes, as a client must use and nobody can foresee."""
    size, bit = len(message), _MASKED if mask else 0
    if size < _LONG:
        head = _HEAD.pack(BINARY, bit | size)
    elif size < 1 << 16:
        head = _LONG_HEAD.pack(BINARY, bit | _LONG, size)
    else:
        head = _LONGER_HEAD.pack(BINARY, bit | _LONGER, size)
    return head + mask + masked(message, mask) if mask else head + message


def masked(data: bytes, mask: bytes) -> bytes:
    """Return `data` with the mask put on, or taken off."""
    size = len(data)
    pattern = int.from_bytes((mask * (size // _MASK_BYTES + 1))[:size], "little")
    return (int.from_bytes(data, "little") ^ pattern).to_bytes(size, "little")


class Incoming:
    """Cuts what a connection brings into frames. `masked`: they come from a client.

    A frame that is said to be larger than `most_bytes` is passed on as it comes, for the protocol to refuse it.
    """

    def __init__(self, most_bytes: int, masked: bool) -> None:
        self._most_bytes = most_bytes
        self._bit = _MASKED if masked else 0
        self._rest = b""
        self._fragments = False  # of a message whose end has not come
        self._refused = False

    def take(self, data: bytes) -> list[tuple[bool, bytes]]:
        """Return what is complete by now, in order."""
        if self._rest:
            data = self._rest + data
        made: list[tuple[bool, bytes]] = []
        at, end = 0, len(data)
        while end - at >= _HEAD.size and not self._refused:
            first, second = data[at], data[at + 1]
            size, head = second & ~_MASKED, _HEAD.size
            if size >= _LONG:
                shape = _LONG_HEAD if size == _LONG else _LONGER_HEAD
                if end - at < shape.size:
                    break
                head = shape.size
                size = shape.unpack_from(data, at)[2]
            if size > self._most_bytes:
                self._refused = True
                break
            body = at + head + (_MASK_BYTES if second & _MASKED else 0)
            after = body + size
            if after > end:
                break
            if first == BINARY and second & _MASKED == self._bit and not self._fragments:
                message = data[body:after]
                made.append((True, masked(message, data[body - _MASK_BYTES : body]) if self._bit else message))
            else:
                if first & 0x0F in _DATA_OPCODES:
                    self._fragments = first < _MASKED
                made.append((False, data[at:after]))
            at = after
        if self._refused:
            made.append((False, data[at:]))
            at = end
        self._rest = data[at:]
        return made
