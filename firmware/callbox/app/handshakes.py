"""The handshakes of calls that are being set up: letters in, verified call events out.

It joins the letters (`wire.bodies`) with the cryptography (`crypto.handshake`) and keeps, per call and device, how far
each handshake has come. Nothing leaves here towards the call machine that was not proven by a mac over fresh keys:

    caller                                   callee device
    offer (commitment)          ->
                                <-           ringing (fresh key), still silent
    reveal                      ->           proven: admission decides; only now it may ring
                                <-           answer
    ack                         ->           proven: the microphone may pass
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callbox.app.core import Core
from callbox.base.time import Instant
from callbox.crypto.errors import HandshakeRefused
from callbox.crypto.handshake import CalleeHandshake, CallerHandshake, CallKeys
from callbox.crypto.handshakes import CallerHandshakes, OpenHandshakes
from callbox.crypto.sframe import Direction, Opener, Sealer
from callbox.wire.bodies import Body, CallAck, CallAnswer, CallOffer, CallReveal, CallRinging
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Envelope

CALL_LETTER_TTL_S = 60
CALLS_REMEMBERED = 16
# Direction and key id of what each side sends (PROTOCOL.md, media frames).
CALLER: tuple[Direction, int] = ("c2r", 0)
CALLEE: tuple[Direction, int] = ("r2c", 1)


@dataclass(frozen=True, slots=True)
class Proven:
    """A handshake that both sides proved: whose device, the keys as seen from here, and what seals under them.

    There is one sealer per handshake, however often the media of a call start: with a second one under the same keys
    the frame counter would begin anew, and a nonce be used twice.
    """

    record: DeviceRecord
    keys: CallKeys
    outgoing: bool
    sealer: Sealer
    opener: Opener


def _prove(call_id: bytes, record: DeviceRecord, keys: CallKeys, outgoing: bool) -> Proven:
    mine, theirs = (CALLER, CALLEE) if outgoing else (CALLEE, CALLER)
    return Proven(
        record, keys, outgoing, Sealer(keys.send_base, call_id, *mine), Opener(keys.receive_base, call_id, *theirs)
    )


@dataclass(slots=True)
class _Incoming:
    """An offer of somebody else's whose caller has proven itself."""

    record: DeviceRecord
    handshake: CalleeHandshake
    answer: CallAnswer | None = None
    proven: Proven | None = None  # once the caller has acknowledged


class Handshakes:
    """Handshakes under way, as caller (several devices per call) and as callee (several offers at once)."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._callers: dict[bytes, CallerHandshakes] = {}
        self._offered: OrderedDict[bytes, tuple[DeviceRecord, ...]] = OrderedDict()
        self._acks: dict[tuple[bytes, str], tuple[CallAnswer, CallAck, Proven]] = {}
        self._reveals: dict[tuple[bytes, str], tuple[CallRinging, CallReveal]] = {}
        self._open = OpenHandshakes()
        self._incoming: dict[tuple[str, bytes], _Incoming] = {}  # by device and call: an id is anybody's to repeat

    # --- letters ----------------------------------------------------------------------------------------------

    def letter(self, record: DeviceRecord, body: Body) -> Envelope:
        """Seal one call letter to one device."""
        return self._core.seal(record, "call", body, CALL_LETTER_TTL_S)

    def send(self, record: DeviceRecord, body: Body) -> None:
        """Seal, store the ratchet, then submit. A full disk does not stop a call."""
        if not self._core.sessions.has(record.device, "call"):
            return
        self._core.send(self.letter(record, body), urgent=True)

    # --- as caller --------------------------------------------------------------------------------------------

    def offer(self, call_id: bytes, records: Sequence[DeviceRecord], resume: bool, knock: bool) -> list[Envelope]:
        """Make one fresh offer per device; an earlier offer of the same call counts no more."""
        core, identity = self._core, self._core.identity
        by_device = {
            record.device: CallerHandshake(
                call_id,
                my_account_key=identity.account_public,
                my_olm_signing_key=identity.olm_signing_key,
                peer_account_key=record.account_key,
                peer_device_id=record.device,
                peer_olm_signing_key=record.olm_signing_key,
                chance=core.chance,
                resume=resume,
                knock=knock,
            )
            for record in records
        }
        self._forget_said(call_id)
        self._callers[call_id] = CallerHandshakes(by_device)
        self._offered[call_id] = tuple(records)
        while len(self._offered) > CALLS_REMEMBERED:
            self._offered.popitem(last=False)
        return [self.letter(record, by_device[record.device].offer) for record in records]

    def offered(self, call_id: bytes) -> tuple[DeviceRecord, ...]:
        """Return the devices that were offered this call of ours, also after its keys are gone."""
        return self._offered.get(call_id, ())

    def on_ringing(self, record: DeviceRecord, body: CallRinging) -> None:
        """Verify the fresh key of a device that could ring, and open our commitment to it."""
        parties = body.call_id, record.device  # the same key may come again: our reveal was lost with its link
        asked = self._reveals.get(parties)
        if asked is None or asked[0] != body:
            asked = body, self._caller(body.call_id).ringing(record.device, body)
            self._reveals[parties] = asked
        self.send(record, asked[1])

    def on_answer(self, record: DeviceRecord, body: CallAnswer) -> None:
        """Verify an answer and keep the ack for it; the call machine decides whether it is sent.

        The same answer may come again: our ack to it was lost with somebody's link.
        """
        parties = body.call_id, record.device
        if parties in self._acks and self._acks[parties][0] == body:
            return
        ack = self._caller(body.call_id).answered(record.device, body)
        if ack is not None:
            keys = self._callers[body.call_id][record.device].keys
            self._acks[parties] = body, ack, _prove(body.call_id, record, keys, outgoing=True)

    def acknowledge(self, call_id: bytes, record: DeviceRecord) -> Proven | None:
        """Send the ack that makes this device the winner, or the same one again."""
        verified = self._acks.get((call_id, record.device))
        if verified is None:
            return None
        _, ack, proven = verified
        self.send(record, ack)
        return proven

    def _caller(self, call_id: bytes) -> CallerHandshakes:
        try:
            return self._callers[call_id]
        except KeyError:
            raise HandshakeRefused("we offer no such call") from None

    # --- as callee --------------------------------------------------------------------------------------------

    def on_offer(self, record: DeviceRecord, body: CallOffer) -> None:
        """Take up an offer, silently: send our fresh key."""
        core = self._core
        present = self._incoming.get((record.device, body.call_id))
        if present is not None and present.proven and not body.resume:
            raise HandshakeRefused("this call is on already")
        self._open.check(record.account, record.device, body, core.now)
        handshake = CalleeHandshake(
            body,
            my_account_key=core.identity.account_public,
            my_device_id=core.identity.device,
            my_olm_signing_key=core.identity.olm_signing_key,
            peer_account_key=record.account_key,
            peer_olm_signing_key=record.olm_signing_key,
            chance=core.chance,
            now=core.now,
        )
        self._open.add(record.account, record.device, handshake, core.now)
        self.send(record, handshake.ringing)

    def say_ringing_again(self, record: DeviceRecord) -> None:
        """Send our fresh keys once more that no reveal of this device has come for."""
        for handshake in self._open.waiting(record.account, record.device):
            self.send(record, handshake.ringing)

    def on_reveal(self, record: DeviceRecord, body: CallReveal) -> CallOffer:
        """Verify the caller's opened commitment; returns its offer once the caller is proven to be live."""
        handshake = self._open.get(record.account, record.device, body.call_id)
        handshake.revealed(body, self._core.now)
        self._incoming[record.device, body.call_id] = _Incoming(record, handshake)
        return handshake.offer

    def answer(self, call_id: bytes, device: str) -> None:
        """Send our answer to the device that called, or the same one again."""
        incoming = self._incoming.get((device, call_id))
        if incoming is not None:
            incoming.answer = incoming.answer or incoming.handshake.answer()
            self.send(incoming.record, incoming.answer)

    def on_ack(self, record: DeviceRecord, body: CallAck) -> None:
        """Verify that the caller chose this device: from now on the keys may be used."""
        incoming = self._incoming.get((record.device, body.call_id))
        if incoming is None:
            raise HandshakeRefused("this device offered no such call")
        if incoming.proven is not None:
            return  # said again, because the caller's link was lost meanwhile
        incoming.handshake.acked(body)
        incoming.proven = _prove(body.call_id, incoming.record, incoming.handshake.keys, outgoing=False)

    def proven(self, call_id: bytes, device: str) -> Proven | None:
        """Return the keys of a call that its caller acknowledged."""
        incoming = self._incoming.get((device, call_id))
        return incoming.proven if incoming is not None else None

    # --- both -------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When an offer that nobody went on with expires."""
        return self._open.deadline

    def tick(self) -> None:
        """Drop offers that have expired."""
        self._open.tick(self._core.now)

    def forget(self, call_id: bytes) -> None:
        """Erase every key of a call."""
        caller = self._callers.pop(call_id, None)
        if caller is not None:
            caller.forget()
        self._forget_said(call_id)
        for device in [device for device, known in self._incoming if known == call_id]:
            self.drop(device, call_id)

    def drop(self, device: str, call_id: bytes) -> None:
        """Erase the keys of one device's offer."""
        incoming = self._incoming.pop((device, call_id), None)
        if incoming is not None:
            incoming.handshake.forget()
            self._open.close(incoming.record.account, device, call_id)

    def _forget_said(self, call_id: bytes) -> None:
        self._reveals = {parties: kept for parties, kept in self._reveals.items() if parties[0] != call_id}
        self._acks = {parties: kept for parties, kept in self._acks.items() if parties[0] != call_id}


def guarded(step: Callable[[], None], refused: Callable[[str], None]) -> None:
    """Run one handshake step; a proof that does not hold ends in `refused` with its reason, never further."""
    try:
        step()
    except HandshakeRefused as error:
        refused(str(error))
