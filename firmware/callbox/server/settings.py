"""`server.toml`: where the server listens and every bound it keeps, with defaults and the words of the sample file."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ServerAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: Annotated[
        str, Meta(description="Address and port to listen on; 0.0.0.0 takes connections from everywhere.")
    ] = "127.0.0.1:8443"
    public: Annotated[
        str,
        Meta(description='NAME:PORT under which boxes reach the server, for certificate and invites. "": as listen.'),
    ] = ""


class ConnectionBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Before a box has proven who it is, and how fast it may talk after."""

    unproven_per_address: Annotated[int, Meta(description="Unproven connections per address.", ge=1)] = 4
    unproven_on_loopback: Annotated[int, Meta(description="The same, from this machine itself.", ge=1)] = 64
    unproven_in_all: Annotated[int, Meta(description="Unproven connections in all.", ge=1)] = 256
    prove_within_s: Annotated[float, Meta(description="Seconds to prove a device, TLS included.", gt=0)] = 5.0
    ping_s: Annotated[float, Meta(description="Seconds between pings; two unanswered end it.", gt=0)] = 15.0
    blocked_s: Annotated[float, Meta(description="Seconds after which a peer that reads nothing is closed.", gt=0)] = (
        5.0
    )
    messages_per_s: Annotated[int, Meta(description="Messages read per second and connection.", ge=10)] = 500
    lanes: Annotated[int, Meta(description="Media connections of one session at a time.", ge=0, le=16)] = 6


class CallBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rings are counted per pair of accounts: who calls, who is called."""

    burst: Annotated[int, Meta(description="Rings at once.", ge=1)] = 3
    refill_s: Annotated[float, Meta(description="After the burst: one ring per so many seconds.", gt=0)] = 120.0
    per_hour: Annotated[int, Meta(description="Rings per hour.", ge=1)] = 10
    offer_s: Annotated[float, Meta(description="Seconds that an offer waits for a box to come.", gt=0)] = 60.0
    caller_away_s: Annotated[
        float, Meta(description="Seconds that an offer outlives its caller's connection.", gt=0)
    ] = 12.0
    route_within_s: Annotated[
        float, Meta(description="Seconds after a ring, or the server's start, to open its media route.", gt=0)
    ] = 90.0
    route_kept_s: Annotated[float, Meta(description="Seconds that a route waits for a side that was lost.", gt=0)] = (
        60.0
    )
    letters_per_s: Annotated[int, Meta(description="Call letters per second and session.", ge=1)] = 20
    media_bytes: Annotated[int, Meta(description="Bytes of one media message.", ge=64, le=4096)] = 4096
    media_frames: Annotated[int, Meta(description="Frames in one media message.", ge=1, le=12)] = 12
    copies: Annotated[
        float, Meta(description="Copies for a peer on a bad link: bytes for each byte of its voice.", ge=0.0, le=2.0)
    ] = 1.0
    media_queue_ms: Annotated[int, Meta(description="Media waiting for a peer is dropped when older.", ge=20)] = 120


class PrekeyBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    claims: Annotated[int, Meta(description="Prekey claims per pair of accounts and window.", ge=1)] = 6
    fetches: Annotated[int, Meta(description="Device look-ups per account and window.", ge=1)] = 60
    window_s: Annotated[float, Meta(description="Length of that window in seconds.", gt=0)] = 600.0
    kept: Annotated[int, Meta(description="One-time prekeys kept per device.", ge=1, le=500)] = 50
    low: Annotated[int, Meta(description="Below this many a box is asked for more.", ge=0)] = 20


class MailBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What waits for a box that is away, per device."""

    items: Annotated[int, Meta(description="Letters.", ge=1)] = 2000
    bytes: Annotated[int, Meta(description="Bytes.", ge=65536)] = 50 * 1024 * 1024
    sender_percent: Annotated[int, Meta(description="Part that one sender may fill.", ge=1, le=100)] = 25
    kept_days: Annotated[float, Meta(description="Days that undelivered mail is kept.", gt=0)] = 30.0
    window_items: Annotated[int, Meta(description="Letters handed over and not yet acknowledged.", ge=1)] = 32
    window_bytes: Annotated[int, Meta(description="The same in bytes.", ge=1024)] = 64 * 1024
    pending: Annotated[int, Meta(description="Letters of one session on their way to the disk.", ge=1)] = 128
    request_bytes: Annotated[int, Meta(description="Size of a stranger's one request, sealed.", ge=256)] = 2048


class BlobBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Voice messages that wait to be fetched, per receiving account. A part has 32 KiB, about 10 seconds of speech."""

    parts: Annotated[int, Meta(description="Parts of one blob.", ge=1, le=64)] = 64
    items: Annotated[int, Meta(description="Blobs.", ge=1)] = 1000
    bytes: Annotated[int, Meta(description="Bytes.", ge=2 * 1024 * 1024)] = 100 * 1024 * 1024
    sender_percent: Annotated[int, Meta(description="Part that one sender may fill.", ge=1, le=100)] = 25
    kept_days: Annotated[float, Meta(description="Days that a blob is kept which nobody fetches.", gt=0)] = 30.0
    unfinished_days: Annotated[float, Meta(description="Days to send the rest of a blob.", gt=0)] = 3.0
    unfinished: Annotated[int, Meta(description="Blobs that one device may have begun.", ge=1)] = 4
    burst: Annotated[int, Meta(description="Blobs that one account may begin at once.", ge=1)] = 20
    refill_s: Annotated[float, Meta(description="After the burst: one blob per so many seconds.", gt=0)] = 15.0
    parts_per_s: Annotated[float, Meta(description="Parts per second and device, each way; 64 at once.", gt=0)] = 20.0


class AccountBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: Annotated[int, Meta(description="Contacts that one account may keep rows for.", ge=1)] = 1000
    invite_days: Annotated[float, Meta(description="Days that an invite is good.", gt=0)] = 7.0
    invite_used_s: Annotated[float, Meta(description="Seconds that it is good after first use.", gt=0)] = 900.0


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    server: ServerAddress = ServerAddress()
    connections: ConnectionBounds = ConnectionBounds()
    calls: CallBounds = CallBounds()
    prekeys: PrekeyBounds = PrekeyBounds()
    mail: MailBounds = MailBounds()
    blobs: BlobBounds = BlobBounds()
    accounts: AccountBounds = AccountBounds()
