"""One sample of every message, and the file of compatibility vectors that is made from them.

tests/vectors/wire-v1.json holds, for each message, the hex of every encoding that a released version ever sent, the
present one last. All of them must decode to the sample for good. Run this file after adding a message, or a field
with a default: it appends what is new and refuses whatever would not read an old encoding as before.
"""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec

from callbox.wire import bodies, codec, media, records, signals
from callbox.wire.told import Told

VECTORS = Path(__file__).parents[1] / "vectors" / "wire-v1.json"


def filled(size: int, first: int) -> bytes:
    """Return `size` bytes that count up from `first`, so that swapped fields show."""
    return bytes((first + place) % 256 for place in range(size))


DEVICE, PEER = "0123456789abcdef", "fedcba9876543210"
MESSAGE_ID, CALL_ID, TOKEN, BLOB = filled(16, 0x10), filled(16, 0x20), filled(16, 0x30), filled(16, 0x38)
KEY, SIGNATURE, MAC, NONCE = filled(32, 0x40), filled(64, 0x50), filled(32, 0x60), filled(32, 0x70)

RECORD = records.DeviceRecord(
    "anna", KEY, DEVICE, filled(32, 1), filled(32, 2), filled(32, 3), "box", 1_700_000_000_000, 7, False
)
SIGNED_RECORD = records.SignedRecord(codec.encode_record(RECORD), SIGNATURE, filled(64, 0x51))
PREKEY = records.SignedKey(KEY, SIGNATURE, True)
ENVELOPE = signals.Envelope("mail", MESSAGE_ID, "anna", DEVICE, "bert", PEER, 3600, 0, filled(300, 0))

CLIENT: tuple[signals.ClientMessage, ...] = (
    signals.AskAuthority(),
    signals.Enrol("token-of-an-invite", SIGNED_RECORD),
    signals.Login("anna", DEVICE, NONCE, 3, SIGNATURE, "callbox 0.1"),
    signals.AskLink("token-of-a-link", SIGNED_RECORD.record, SIGNATURE),
    signals.JoinLane(filled(32, 5)),
    signals.PublishPrekeys(1, (PREKEY,)),
    signals.PutRecord(13, SIGNED_RECORD),
    signals.OpenLink(14, "token-of-a-link"),
    signals.AnswerLink("token-of-a-link", NONCE, False),
    signals.ClaimPrekeys(2, "bert", (PEER,)),
    signals.FetchDevices(3, "bert"),
    signals.Submit(4, ENVELOPE),
    signals.Ring(5, CALL_ID, "bert", (ENVELOPE,), True, False),
    signals.EndRing(CALL_ID),
    signals.Acknowledge(((DEVICE, MESSAGE_ID),)),
    signals.SetRow(6, "bert", "knock"),
    signals.SetCalls(7, False),
    signals.Erase(15, SIGNATURE),
    signals.OpenRoute(8, TOKEN, CALL_ID, "bert", PEER),
    signals.CloseRoute(9),
    signals.BeginBlob(10, BLOB, "bert", 4),
    signals.PutPart(11, BLOB, 3, bytes(codec.PART_BYTES)),
    signals.GetPart(12, BLOB, 1),
    signals.DropBlob(13, BLOB),
)

SERVER: tuple[signals.ServerMessage, ...] = (
    signals.Challenge(filled(32, 6), NONCE, (1,)),
    signals.Authority(b"DER"),
    signals.Enrolled("anna"),
    signals.Refused("epoch", "the card is older than the server remembers", 12),
    signals.Welcome(filled(16, 7), (filled(32, 8),), 1_700_000_000_000, 20, True, (("bert", "ring"),)),
    signals.LaneJoined(2, filled(32, 10)),
    signals.Accepted(4),
    signals.Denied(5, "too-often", Told.UNAVAILABLE, 120),
    signals.Devices(
        2, "bert", (signals.DevicePrekey(SIGNED_RECORD, PREKEY), signals.DevicePrekey(SIGNED_RECORD, None))
    ),
    signals.Deliver(ENVELOPE),
    signals.RingEnded(CALL_ID),
    signals.PrekeysLow(19),
    signals.RouteOpened(8, 77, True),
    signals.RouteClosed(77),
    signals.Erased(15, "account: anna\ndevices: 1\n", b"signature in DER"),
    signals.BlobPlace(10, BLOB, 2),
    signals.BlobPart(12, BLOB, 1, bytes(codec.PART_BYTES)),
    signals.DevicesChanged("bert"),
    signals.LinkAsked("token-of-a-link", SIGNED_RECORD.record, SIGNATURE),
    signals.LinkAnswered(NONCE, False),
    signals.Linked(SIGNED_RECORD),
    signals.Moved("box.example:8443", 1_700_000_000_000, b"signature in DER"),
)

BODIES: tuple[bodies.Body, ...] = (
    bodies.Text("Grüße", True),
    bodies.VoiceMessage(BLOB, KEY, MAC, 4, 12_500),
    bodies.Heard((MESSAGE_ID,), "heard"),
    bodies.MissedCall(CALL_ID, 30_000, True),
    bodies.CallOffer(CALL_ID, MAC, (5,), False, True),
    bodies.CallRinging(CALL_ID, KEY),
    bodies.CallReveal(CALL_ID, KEY, NONCE, MAC),
    bodies.CallAlerting(CALL_ID),
    bodies.CallAnswer(CALL_ID, MAC),
    bodies.CallAck(CALL_ID, MAC),
    bodies.CallTaken(CALL_ID, "answered"),
    bodies.CallEnd(CALL_ID, Told.HUNG_UP),
    bodies.Probe(),
    bodies.DeviceList((SIGNED_RECORD,)),
    bodies.OwnRecords((bodies.OwnRecord("contact/bert/permission", b"ring", 7, DEVICE),), filled(32, 11)),
    bodies.OwnText(MESSAGE_ID, "bert", "Grüße", True),
    bodies.OwnVoice(
        MESSAGE_ID, "bert", 4200, "sent", bodies.VoiceMessage(NONCE[:16], filled(32, 12), filled(32, 13), 1, 4200)
    ),
    bodies.OwnVoiceWanted(MESSAGE_ID),
    bodies.OwnCall(CALL_ID, "bert", True, "hung_up", True, 12.5, False),
    bodies.OwnMarks((MESSAGE_ID,), "heard"),
)


def inner(body: bodies.Body) -> bodies.Inner:
    """Return a letter around a body."""
    return bodies.Inner(MESSAGE_ID, "anna", DEVICE, KEY, "bert", PEER, filled(32, 9), 1_700_000_000_000, body)


FRAME = media.PlainFrame(media.FrameKind.VOICE, 96_000, b"opus", 1)
REPORT = media.Report(50, 1, 2, 40, 6000)


def tag_of(message: msgspec.Struct) -> str:
    """Return the tag of a message's struct."""
    return str(message.__struct_config__.tag)


def present() -> dict[str, bytes]:
    """Return every sample as the code encodes it now, by a name that says where it belongs."""
    encoded = {f"client {tag_of(message)}": codec.encode_message(message) for message in CLIENT}
    encoded |= {f"server {tag_of(message)}": codec.encode_message(message) for message in SERVER}
    encoded |= {f"letter {tag_of(body)}": codec.encode_inner(inner(body)) for body in BODIES}
    encoded["record device"] = codec.encode_record(RECORD)
    encoded["media message"] = media.pack_media(0x01020304, [b"sealed one", b"two"])
    encoded["media frame"] = media.pack_plain(FRAME, 40)
    encoded["media report"] = media.pack_report(REPORT)
    encoded["transcript login"] = codec.login_transcript(filled(32, 6), NONCE, filled(32, 7), DEVICE, 3)
    return encoded


def read(name: str, data: bytes) -> Any:
    """Return what a vector called `name` decodes to; a transcript is only ever made, so it stays as it is."""
    kind, _, what = name.partition(" ")
    readers: dict[str, Any] = {
        "client": codec.decode_client_message,
        "server": codec.decode_server_message,
        "letter": codec.decode_inner,
        "record": codec.decode_record,
        "transcript": bytes,
        "media": {"message": media.unpack_media, "frame": media.unpack_plain, "report": media.unpack_report}.get(what),
    }
    return readers[kind](data)


def meant() -> dict[str, Any]:
    """Return every sample as it must be decoded."""
    samples: dict[str, Any] = {f"client {tag_of(message)}": message for message in CLIENT}
    samples |= {f"server {tag_of(message)}": message for message in SERVER}
    samples |= {f"letter {tag_of(body)}": inner(body) for body in BODIES}
    samples["record device"] = RECORD
    samples["media message"] = (0x01020304, [b"sealed one", b"two"])
    samples["media frame"] = FRAME
    samples["media report"] = REPORT
    samples["transcript login"] = present()["transcript login"]
    return samples


def union_tags() -> set[str]:
    """Return the names that `present` must have for the messages of all unions."""
    unions = {"client": signals.ClientMessage, "server": signals.ServerMessage, "letter": bodies.Body}
    return {f"{kind} {struct.__struct_config__.tag}" for kind, union in unions.items() for struct in get_args(union)}


def main() -> None:
    """Append what is new to the vectors."""
    known: dict[str, list[str]] = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}
    for name, data in present().items():
        encodings = known.setdefault(name, [])
        if any(read(name, bytes.fromhex(old)) != meant()[name] for old in encodings):
            raise SystemExit(f"{name}: an encoding that is out in the world would be read differently. Undo that.")
        if data.hex() not in encodings:
            encodings.append(data.hex())
    VECTORS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
