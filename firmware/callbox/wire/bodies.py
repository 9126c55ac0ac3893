"""End-to-end messages: what two devices say to each other inside Olm. The server never sees any of it.

`Inner` repeats the identities and ids of the envelope around it; the receiver refuses a letter whose inside and
outside disagree, so a lying server cannot relabel one. It is padded before encryption (see `codec.pad`).
"""

from typing import Literal

import msgspec

from callbox.wire.records import AccountName, DeviceId, Number, SignedRecord, Words
from callbox.wire.told import Told


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A text message of a conversation."""

    text: str
    ready_made: bool = False  # sent by holding the calls button while it rang


class Heard(msgspec.Struct, frozen=True, tag="receipt"):
    """Marks for messages of the receiver's: delivered to this device, or heard/read by its person."""

    messages: tuple[bytes, ...]
    mark: Literal["delivered", "heard"]


class VoiceMessage(msgspec.Struct, frozen=True, tag="voice"):
    """A voice message that lies sealed at the server: where, its key, and what it must be. See `crypto.blobs`."""

    blob: bytes
    key: bytes  # AES-256-GCM, for this blob alone
    digest: bytes  # SHA-256 of the sealed blob, all parts in order
    parts: Number
    duration_ms: Number
    codec: Words = "ogg-opus"


class MissedCall(msgspec.Struct, frozen=True, tag="missed-call"):
    """The caller's own sealed notice of a call that nobody took; the only trace that the server keeps of it."""

    call_id: bytes
    rang_ms: Number
    knock: bool = False


class CallOffer(msgspec.Struct, frozen=True, tag="call-offer"):
    """Commitment of a caller towards one callee device; silent until the reveal is proven."""

    call_id: bytes
    commitment: bytes  # SHA-256, see crypto.handshake
    suites: tuple[Number, ...] = (5,)
    resume: bool = False  # a restarted box takes up its own call; never rings
    knock: bool = False


class CallRinging(msgspec.Struct, frozen=True, tag="call-ringing"):
    """The callee device's fresh key. `offer`: how the commitment begins that it is for; a late one spoils no other."""

    call_id: bytes
    ephemeral: bytes
    offer: bytes = b""


class CallReveal(msgspec.Struct, frozen=True, tag="call-reveal"):
    """The caller opens its commitment and proves that it is live. Only now may the callee ring."""

    call_id: bytes
    ephemeral: bytes
    nonce: bytes
    mac: bytes


class CallAlerting(msgspec.Struct, frozen=True, tag="call-alerting"):
    """The callee device rings (or knocks): the caller's ringback starts."""

    call_id: bytes


class CallAnswer(msgspec.Struct, frozen=True, tag="call-answer"):
    """Somebody pressed answer on this device."""

    call_id: bytes
    mac: bytes


class CallAck(msgspec.Struct, frozen=True, tag="call-ack"):
    """The caller chose this device. Only now does a microphone sample pass."""

    call_id: bytes
    mac: bytes


class CallTaken(msgspec.Struct, frozen=True, tag="call-taken"):
    """To the other devices of the callee: stop ringing."""

    call_id: bytes
    by: Literal["answered", "declined", "cancelled", "replaced"]


class CallEnd(msgspec.Struct, frozen=True, tag="call-end"):
    """Decline, hang up, busy, give up: the call is over and this is what the other side may know of why."""

    call_id: bytes
    told: Told


class Probe(msgspec.Struct, frozen=True, tag="probe"):
    """Nothing to say: the first letter of a session made anew, so that the other side adopts it."""


class DeviceList(msgspec.Struct, frozen=True, tag="device-list"):
    """Devices of the sender's account that were linked or revoked: sealed, so no server can withhold one of them."""

    records: tuple[SignedRecord, ...]


class OwnRecord(msgspec.Struct, frozen=True):
    """One setting or contact field of an account, as the device with the highest stamp (counter, device) left it."""

    key: str
    value: bytes
    counter: Number
    device: DeviceId


class OwnRecords(msgspec.Struct, frozen=True, tag="own-records"):
    """To our own devices: what changed. `summary`, a digest of all records, asks who has others to send all of them.

    An empty one asks for nothing.
    """

    records: tuple[OwnRecord, ...]
    summary: bytes = b""


class OwnText(msgspec.Struct, frozen=True, tag="own-text"):
    """To our own devices: a text that was written on this one."""

    message_id: bytes
    contact: AccountName
    text: str
    ready_made: bool = False


class OwnVoice(msgspec.Struct, frozen=True, tag="own-voice"):
    """To our own devices: a voice message that was spoken on this one, how far it is, and its copy for them.

    `sound` is None where the server takes no copy. `problem`: why it was not sent.
    """

    message_id: bytes
    contact: AccountName
    duration_ms: Number
    mark: Words
    sound: VoiceMessage | None = None
    problem: Words = ""


class OwnVoiceWanted(msgspec.Struct, frozen=True, tag="own-voice-wanted"):
    """To our own devices: the copy of this voice message is gone; whoever it was spoken on makes another one."""

    message_id: bytes


class OwnCall(msgspec.Struct, frozen=True, tag="own-call"):
    """To our own devices: the line of a call that this one made, answered or declined."""

    call_id: bytes
    contact: AccountName
    outgoing: bool
    reason: str
    answered: bool
    duration_s: float
    knock: bool = False


class OwnMarks(msgspec.Struct, frozen=True, tag="own-marks"):
    """To our own devices: how far messages and calls have come; heard ones blink no more.

    `problem`: why they are unsent, as the server said it.
    """

    messages: tuple[bytes, ...]
    mark: Literal["sent", "delivered", "heard", "unsent"]
    problem: Words = ""


Body = (
    Text
    | VoiceMessage
    | Heard
    | MissedCall
    | CallOffer
    | CallRinging
    | CallReveal
    | CallAlerting
    | CallAnswer
    | CallAck
    | CallTaken
    | CallEnd
    | Probe
    | DeviceList
    | OwnRecords
    | OwnText
    | OwnVoice
    | OwnVoiceWanted
    | OwnCall
    | OwnMarks
)


class Inner(msgspec.Struct, frozen=True, array_like=True):
    """The letter inside an envelope. An array without field names, so that a short text fits the smallest step."""

    message_id: bytes
    from_account: AccountName
    from_device: DeviceId
    from_key: bytes  # account key of the sender
    to_account: AccountName
    to_device: DeviceId
    to_key: bytes  # account key of the receiver
    sent_ms: Number
    body: Body
