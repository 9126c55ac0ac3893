"""What the lanes ask of a TCP socket: to hurry, to hold almost nothing, and to tell how it stands. For shells only.

An option that a kernel lacks is left out: the call works without, only recovers later.
"""

import socket

from callbox.lanes.facts import TCP_INFO_BYTES

_EXPEDITED = 46 << 2  # DSCP EF, the class of voice (RFC 3246)
MEDIA_BUFFER_BYTES = 32 * 1024
_MEDIA_UNSENT_BYTES = 512
_CONTROL_UNSENT_BYTES = 16 * 1024
_TCP_INFO = getattr(socket, "TCP_INFO", 11)
_TCP_QUICKACK = getattr(socket, "TCP_QUICKACK", 12)
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
# Of linux/tcp.h; Python does not name them.
_TCP_THIN_LINEAR_TIMEOUTS = 16
_TCP_RTO_MAX_MS = 44  # Linux 6.15
_LONGEST_TIMEOUT_MS = 1000


def tune(connected: socket.socket, media: bool, buffer_bytes: int = MEDIA_BUFFER_BYTES) -> None:
    """Set a socket for small messages that must not wait.

    For media also: hold almost nothing unsent, for what waits in the kernel can no longer be dropped when it becomes
    stale; be of the class of voice; and go on trying at the same pace while little is on the way, where TCP would
    wait twice as long after every try. The kernel doubles `buffer_bytes`, and counts its own records among them.
    """
    unsent = _MEDIA_UNSENT_BYTES if media else _CONTROL_UNSENT_BYTES
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, unsent)]
    if media:
        options += [
            (socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes),
            (socket.IPPROTO_TCP, _TCP_THIN_LINEAR_TIMEOUTS, 1),
            (socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, _LONGEST_TIMEOUT_MS),
            (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _EXPEDITED)
            if connected.family == socket.AF_INET6
            else (socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED),
        ]
    for level, option, value in options:
        try:
            connected.setsockopt(level, option, value)
        except OSError:
            continue


def told(connected: socket.socket) -> bytes:
    """Return the kernel's TCP_INFO; nothing where it has none, or the socket is closed."""
    try:
        return connected.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, TCP_INFO_BYTES)
    except OSError:
        return b""


def acknowledge(connected: socket.socket) -> None:
    """Acknowledge at once what has arrived. The kernel forgets this wish with the next bytes."""
    try:
        connected.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)
    except OSError:
        return
