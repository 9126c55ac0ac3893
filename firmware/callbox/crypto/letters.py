"""Letters: a body sealed for one device in an envelope, and back, with everything compared that must agree.

    body -> Inner (repeats the envelope, adds both account keys) -> padded to a step -> Olm -> Envelope

A lying server can relabel an envelope but not what is inside; a letter whose two sides disagree is refused.
"""

from typing import get_args

from callbox.base.errors import WrongUse
from callbox.base.time import Instant
from callbox.crypto.errors import Untrusted
from callbox.crypto.identity import Identity
from callbox.crypto.sessions import SessionClass, Sessions
from callbox.wire.bodies import (
    Body,
    DeviceList,
    Heard,
    Inner,
    MissedCall,
    OwnCall,
    OwnMarks,
    OwnRecords,
    OwnText,
    OwnVoice,
    OwnVoiceWanted,
    Probe,
    Text,
    VoiceMessage,
)
from callbox.wire.codec import decode_inner, encode_inner
from callbox.wire.errors import MalformedMessage
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Class, Envelope

ENVELOPE_VERSION = 1
_CLASSES_OF_BODY: dict[type, frozenset[str]] = {body: frozenset({"call"}) for body in get_args(Body)} | {
    Text: frozenset({"mail"}),
    VoiceMessage: frozenset({"mail"}),
    MissedCall: frozenset({"mail"}),
    Heard: frozenset({"receipt"}),
    Probe: frozenset({"mail", "call"}),
    DeviceList: frozenset({"mail"}),
    OwnRecords: frozenset({"mail"}),
    OwnText: frozenset({"mail"}),
    OwnVoice: frozenset({"mail"}),
    OwnVoiceWanted: frozenset({"mail"}),
    OwnCall: frozenset({"mail"}),
    OwnMarks: frozenset({"mail"}),
}


def session_class(cls: Class) -> SessionClass:
    """Return the Olm session that a class of letters goes over: receipts share the one of mail."""
    return "call" if cls == "call" else "mail"


def seal_letter(
    sessions: Sessions,
    identity: Identity,
    peer: DeviceRecord,
    cls: Class,
    body: Body,
    message_id: bytes,
    sent_ms: int,
    ttl_s: int,
) -> Envelope:
    """Seal `body` for a verified device. Raises NoSession, or WrongUse for a text that no letter holds.

    Store `sessions.changed()` together with the envelope before sending it.
    """
    if cls not in _CLASSES_OF_BODY[type(body)]:
        raise ValueError(f"a {type(body).__name__} does not travel as {cls}")
    inner = Inner(
        message_id,
        identity.account,
        identity.device,
        identity.account_public,
        peer.account,
        peer.device,
        peer.account_key,
        sent_ms,
        body,
    )
    try:
        padded = encode_inner(inner)
    except ValueError:
        raise WrongUse("This message is too long.", "Split it into parts of at most 40,000 letters.") from None
    olm_type, ciphertext = sessions.seal(peer, session_class(cls), padded)
    return Envelope(
        cls=cls,
        message_id=message_id,
        from_account=identity.account,
        from_device=identity.device,
        to_account=peer.account,
        to_device=peer.device,
        ttl_s=ttl_s,
        olm_type=0 if olm_type == 0 else 1,
        ciphertext=ciphertext,
        version=ENVELOPE_VERSION,
    )


def open_letter(sessions: Sessions, identity: Identity, peer: DeviceRecord, envelope: Envelope, now: Instant) -> Inner:
    """Open a letter of a verified device. Raises Undecryptable, or Untrusted when inside and outside disagree.

    Olm has moved on in both cases but the first: store `sessions.changed()` even for a letter that is refused.
    """
    if envelope.version != ENVELOPE_VERSION:
        raise Untrusted("envelope of an unknown version")
    if peer.revoked:
        raise Untrusted("the sending device is revoked")
    addresses = (peer.account, peer.device, identity.account, identity.device)
    if (envelope.from_account, envelope.from_device, envelope.to_account, envelope.to_device) != addresses:
        raise Untrusted("the envelope is not from this device to ours")
    padded = sessions.open(peer, session_class(envelope.cls), envelope.olm_type, envelope.ciphertext, now)
    try:
        inner = decode_inner(padded)
    except MalformedMessage as error:
        raise Untrusted(f"the letter is malformed: {error}") from None
    if (inner.from_account, inner.from_device, inner.to_account, inner.to_device) != addresses:
        raise Untrusted("the letter inside is from or for somebody else")
    if (inner.from_key, inner.to_key) != (peer.account_key, identity.account_public):
        raise Untrusted("the letter inside is for other account keys")
    if inner.message_id != envelope.message_id:
        raise Untrusted("the letter inside has another message id")
    if envelope.cls not in _CLASSES_OF_BODY[type(inner.body)]:
        raise Untrusted(f"a {type(inner.body).__name__} does not travel as {envelope.cls}")
    return inner
