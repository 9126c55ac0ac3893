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
from callbox.wire.bodies import Body, CallAck, CallAnswer, CallOffer, CallReveal, CallRinging
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Envelope

CALL_LETTER_TTL_S = 60
CALLS_REMEMBERED = 16


@dataclass(frozen=True, slots=True)
class Proven:
    """A handshake that both sides proved: whose device, and the keys as seen from here."""

    record: DeviceRecord
    keys: CallKeys
    outgoing: bool


@dataclass(slots=True)
class _Incoming:
    """An offer of somebody else's whose caller has proven itself."""

    record: DeviceRecord
    handshake: CalleeHandshake
    answer: CallAnswer | None = None
    acked: bool = False


class Handshakes:
    """Handshakes under way, as caller (several devices per call) and as callee (several offers at once)."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._callers: dict[bytes, CallerHandshakes] = {}
        self._offered: OrderedDict[bytes, tuple[DeviceRecord, ...]] = OrderedDict()
        self._acks: dict[tuple[bytes, str], tuple[CallAnswer, CallAck]] = {}
        self._open = OpenHandshakes()
        self._incoming: dict[bytes, _Incoming] = {}

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
        self._forget_acks(call_id)
        self._callers[call_id] = CallerHandshakes(by_device)
        self._offered[call_id] = tuple(records)
        while len(self._offered) > CALLS_REMEMBERED:
            self._offered.popitem(last=False)
        return [self.letter(record, by_device[record.device].offer) for record in records]

    def offered(self, call_id: bytes) -> tuple[DeviceRecord, ...]:
        """Return the devices that were offered this call of ours, also after its keys are gone."""
        return self._offered.get(call_id, ())

    def on_ringing(self, record: DeviceRecord, body: CallRinging) -> None:
        self.send(record, self._caller(body.call_id).ringing(record.device, body))

    def on_answer(self, record: DeviceRecord, body: CallAnswer) -> None:
        """Verify an answer and keep the ack for it; the call machine decides whether it is sent.

        The same answer may come again: our ack to it was lost with somebody's link.
        """
        parties = body.call_id, record.device
        if parties in self._acks and self._acks[parties][0] == body:
            return
        ack = self._caller(body.call_id).answered(record.device, body)
        if ack is not None:
            self._acks[parties] = body, ack

    def acknowledge(self, call_id: bytes, record: DeviceRecord) -> Proven | None:
        """Send the ack that makes this device the winner, or the same one again."""
        verified = self._acks.get((call_id, record.device))
        if verified is None:
            return None
        self.send(record, verified[1])
        return Proven(record, self._callers[call_id][record.device].keys, outgoing=True)

    def _caller(self, call_id: bytes) -> CallerHandshakes:
        try:
            return self._callers[call_id]
        except KeyError:
            raise HandshakeRefused("we offer no such call") from None

    # --- as callee --------------------------------------------------------------------------------------------

    def on_offer(self, record: DeviceRecord, body: CallOffer) -> None:
        """Take up an offer, silently: send our fresh key."""
        core = self._core
        present = self._incoming.get(body.call_id)
        if present is not None and present.acked and not body.resume:
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

    def on_reveal(self, record: DeviceRecord, body: CallReveal) -> CallOffer:
        """Verify the caller's opened commitment; returns its offer once the caller is proven to be live."""
        handshake = self._open.get(record.account, record.device, body.call_id)
        handshake.revealed(body, self._core.now)
        self._incoming[body.call_id] = _Incoming(record, handshake)
        return handshake.offer

    def answer(self, call_id: bytes) -> None:
        """Send our answer, or the same one again."""
        incoming = self._incoming.get(call_id)
        if incoming is not None:
            incoming.answer = incoming.answer or incoming.handshake.answer()
            self.send(incoming.record, incoming.answer)

    def on_ack(self, record: DeviceRecord, body: CallAck) -> None:
        incoming = self._incoming.get(body.call_id)
        if incoming is None or incoming.record.device != record.device:
            raise HandshakeRefused("this device offered no such call")
        incoming.handshake.acked(body)
        incoming.acked = True

    def proven(self, call_id: bytes) -> Proven | None:
        """Return the keys of a call that its caller acknowledged."""
        incoming = self._incoming.get(call_id)
        if incoming is None or not incoming.acked:
            return None
        return Proven(incoming.record, incoming.handshake.keys, outgoing=False)

    # --- both -------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        return self._open.deadline

    def tick(self) -> None:
        self._open.tick(self._core.now)

    def forget(self, call_id: bytes) -> None:
        """Erase every key of a call."""
        caller = self._callers.pop(call_id, None)
        if caller is not None:
            caller.forget()
        self._forget_acks(call_id)
        incoming = self._incoming.pop(call_id, None)
        if incoming is not None:
            incoming.handshake.forget()
            self._open.close(incoming.record.account, incoming.record.device, call_id)

    def _forget_acks(self, call_id: bytes) -> None:
        self._acks = {parties: kept for parties, kept in self._acks.items() if parties[0] != call_id}


def guarded(step: Callable[[], None], refused: Callable[[str], None]) -> None:
    """Run one handshake step; a proof that does not hold ends in `refused` with its reason, never further."""
    try:
        step()
    except HandshakeRefused as error:
        refused(str(error))
