"""What the kernel says of one connection: `TCP_INFO` (struct tcp_info of linux/tcp.h), in bytes and seconds."""

import struct

from msgspec import Struct

TCP_INFO_BYTES = 216
"""So much of the struct is asked for. Its fields never move; older kernels than 4.19 return less."""

# At 24: unacked, sacked. At 68: rtt, rttvar. At 120: bytes_acked. At 144: notsent_bytes, min_rtt. At 200: bytes_sent,
# bytes_retrans.
_TCP_INFO = struct.Struct("=24xII36xII44xQ16xII48xQQ")
_RECORD_BYTES = 22  # TLS 1.3: head 5, content type 1, tag 16
_LONG_MESSAGE = 126
HEAD_BYTES = 52  # of IPv4 and TCP, around each message


class LaneFacts(Struct, frozen=True, gc=False):
    """`unacked`: bytes handed over that the other end has not acknowledged, those that have not left (`unsent`) among
    them. `holes`: later bytes arrived, so some are missing."""

    unacked: int
    unsent: int = 0
    holes: bool = False
    rtt_s: float = 0.0
    rtt_deviation_s: float = 0.0
    least_rtt_s: float = 0.0

    @property
    def queueing_s(self) -> float:
        """How much longer the way takes now than at its best."""
        return max(0.0, self.rtt_s - self.least_rtt_s)


def lane_facts(tcp_info: bytes, waiting_bytes: int) -> LaneFacts | None:
    """Read the kernel's answer; `waiting_bytes` have not reached the kernel. None: the kernel is too old to tell."""
    if len(tcp_info) < TCP_INFO_BYTES:
        return None
    segments, sacked, rtt_us, deviation_us, acked, unsent, least_us, sent, again = _TCP_INFO.unpack_from(tcp_info)
    flying = max(0, sent - again - acked) if segments else 0
    waiting = unsent + waiting_bytes
    return LaneFacts(flying + waiting, waiting, sacked > 0, rtt_us / 1e6, deviation_us / 1e6, least_us / 1e6)


def wire_bytes(message_bytes: int, masked: bool) -> int:
    """Return how many bytes a binary WebSocket message (RFC 6455, 5.2) is on a TLS connection; clients mask theirs."""
    return message_bytes + _RECORD_BYTES + (2 if message_bytes < _LONG_MESSAGE else 4) + (4 if masked else 0)
