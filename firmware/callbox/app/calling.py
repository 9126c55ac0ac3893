"""The calling desk: the call machine's effects become letters, keys, routes, sounds and lines in the thread.

The machine (`calls.machine`) decides; this desk only carries out, and turns what comes back into its events. Letters
of a call go through `handshakes`, so the machine hears of nothing unproven.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from callbox.app.core import Core
from callbox.app.directory import Directory
from callbox.app.handshakes import Handshakes, guarded
from callbox.app.media import CallMedia
from callbox.app.people import People
from callbox.audio import facts as audio
from callbox.audio.tones import Tone
from callbox.base.time import Instant, earliest
from callbox.calls import effects as want
from callbox.calls import events as happened
from callbox.calls.machine import Calls
from callbox.calls.state import Timing
from callbox.wire.bodies import (
    Body,
    CallAck,
    CallAlerting,
    CallAnswer,
    CallEnd,
    CallOffer,
    CallReveal,
    CallRinging,
    CallTaken,
    Inner,
    Probe,
)
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import (
    Accepted,
    Denied,
    EndRing,
    Ring,
    ServerMessage,
)

DIAL_MARGIN_S = 2.0  # the callee's word comes first


@dataclass(slots=True)
class Alerting:
    """What the lights show of a call that rings or knocks here, silent ones excepted."""

    contact: str
    loud: bool
    knock: bool


@dataclass(slots=True)
class Outcomes:
    """Where the other desks hear of calls."""

    recorded: Callable[[want.RecordCall], None]
    missed: Callable[[want.QueueMissedNotice], None]
    ready_text: Callable[[str], None]
    clear_mute: Callable[[], None]
    muted: Callable[[], bool]


class Calling:
    """Carries out what the call machine wants."""

    def __init__(self, core: Core, people: People, directory: Directory, outcomes: Outcomes) -> None:
        self._core = core
        self._people = people
        self._directory = directory
        self._outcomes = outcomes
        self.machine = Calls(
            Timing(ring_s=core.settings.calls.ring_s, dial_s=core.settings.calls.ring_s + DIAL_MARGIN_S)
        )
        self.handshakes = Handshakes(core)
        self.media = CallMedia(core, self.feed, outcomes.muted)
        self.alerting: Alerting | None = None
        self.deaf = False  # a box that runs one command takes no calls
        self._events: deque[happened.Event | None] = deque()
        self._feeding = False
        self._perform: dict[type, Callable[[Any], None]] = {
            want.SendOffer: self._send_offer,
            want.SendAlerting: lambda effect: self._send(effect.contact, effect.device, CallAlerting(effect.call_id)),
            want.SendAnswer: lambda effect: self.handshakes.answer(effect.call_id, effect.device),
            want.SendAck: self._send_ack,
            want.SendTaken: self._send_taken,
            want.SendEnd: self._send_end,
            want.WithdrawOffer: self._withdraw_offer,
            want.OpenSound: self._open_sound,
            want.CloseSound: self._close_sound,
            want.StartMedia: self._start_media,
            want.ReopenRoute: lambda effect: self.media.open_route(),
            want.StopMedia: lambda effect: self.media.stop(),
            want.PlayTone: lambda effect: core.emit(audio.Play(Tone(effect.tone), effect.repeat)),
            want.StopTone: lambda effect: core.emit(audio.StopTones()),
            want.Ring: self._ring,
            want.StopRing: self._stop_ring,
            want.RecordCall: outcomes.recorded,
            want.QueueMissedNotice: outcomes.missed,
            want.SendReadyText: lambda effect: outcomes.ready_text(effect.contact),
            want.ForgetKeys: self._forget,
            want.ClearMute: lambda effect: outcomes.clear_mute(),
            want.SoftTick: lambda effect: core.emit(audio.Play(Tone.TICK, False)),
        }

    # --- events in --------------------------------------------------------------------------------------------

    def feed(self, event: happened.Event | None) -> None:
        """Give the machine one event (None: only the time); what its effects cause is handled after it, in order."""
        self._events.append(event)
        if isinstance(event, happened.MediaBack | happened.MediaSilent):
            flows = isinstance(event, happened.MediaBack)
            self._core.emit(*self._core.link.media_flows(flows, self._core.now))
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events:
                event, now = self._events.popleft(), self._core.now
                for effect in self.machine.tick(now) if event is None else self.machine.handle(event, now):
                    self.carry_out(effect)
        finally:
            self._feeding = False

    def carry_out(self, effect: want.Effect) -> None:
        """Do one thing that the machine asks for."""
        self._perform[type(effect)](effect)

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is due."""
        return earliest(self.machine.deadline, self.handshakes.deadline)

    def tick(self) -> None:
        """Let the machine and open handshakes see the time."""
        self.handshakes.tick()
        self.feed(None)

    def dial(self, contact: str, knock: bool = False) -> bytes:
        """Call a contact; returns the new call's id."""
        call_id = self._core.chance.token(16)
        self.feed(happened.Dialed(contact, call_id, knock))
        return call_id

    def receive(self, inner: Inner, record: DeviceRecord) -> None:
        """Handle a letter of class `call` that was opened and belongs to `record`'s device."""
        if isinstance(inner.body, CallOffer) or self._may_speak(record, inner.body):
            self._heard(inner.body, record)
        else:
            self._core.complain(f"a call letter of {record.account} is not from a device in that call; dropped")

    def _heard(self, body: Body, record: DeviceRecord) -> None:
        account, device = record.account, record.device
        match body:
            case CallOffer():
                if self._people.may_call(account) and not self.deaf:
                    self._guard(lambda: self.handshakes.on_offer(record, body), account)
            case CallRinging():
                if self.machine.may_reveal(body.call_id):
                    self._guard(lambda: self.handshakes.on_ringing(record, body), account)
            case CallReveal():
                self._guard(lambda: self._revealed(record, body), account)
            case CallAlerting():
                self.feed(happened.FarAlerting(body.call_id, device, account))
            case CallAnswer():
                self._guard(lambda: self._answered(record, body), account)
            case CallAck():
                self._guard(lambda: self._acked(record, body), account)
            case CallTaken():
                self.feed(happened.FarTaken(body.call_id, body.by, account))
            case CallEnd():
                self.feed(happened.FarEnded(body.call_id, device, body.told, account))
            case Probe():
                self.session_was_lost(account)
            case _:
                self._core.complain(f"{account} sent something that is not part of a call as a call letter; dropped")

    def _may_speak(self, record: DeviceRecord, body: Body) -> bool:
        """Say whether this device may say anything about a call: it has a contact's key, and the call is with it.

        What a changed key offers is left to admission, which refuses it and tells the person.
        """
        if isinstance(body, CallReveal):
            return True
        call_id, current = getattr(body, "call_id", b""), self.machine.current
        parties = {offered.device for offered in self.handshakes.offered(call_id)}
        if current is not None and current.call_id == call_id and not current.outgoing and current.device:
            parties.add(current.device)
        return self._people.confirmed(record) and (not parties or record.device in parties)

    def session_was_lost(self, account: str) -> None:
        """A letter did not open there or here (a restart in the middle?): offer again what we offer now."""
        call = self.machine.current
        if call is not None and self.machine.state == "dialing" and call.contact == account:
            self._send_offer(want.SendOffer(call.call_id, account, call.knock, resume=False))

    def offered_again(self, record: DeviceRecord) -> None:
        """The server hands out again what we have opened: our link was lost, and maybe our word on it."""
        self.handshakes.say_ringing_again(record)

    def link_lost(self) -> None:
        """The session is gone, and the voice's route with it."""
        self.media.leave_route()
        self.feed(happened.LinkLost())

    # --- letters ----------------------------------------------------------------------------------------------

    def _guard(self, step: Callable[[], None], account: str) -> None:
        guarded(step, lambda why: self._core.complain(f"a call letter of {account} proves nothing ({why}); dropped"))

    def _revealed(self, record: DeviceRecord, body: CallReveal) -> None:
        offer = self.handshakes.on_reveal(record, body)
        if offer.resume:
            self.feed(happened.ResumeProven(body.call_id, record.account, record.device))
        else:
            current = self.machine.current
            dialling = self.machine.state == "dialing" and current is not None and current.contact == record.account
            admission = self._people.admit(record.account, offer.knock, dialling)
            self.feed(happened.RingProven(body.call_id, record.account, record.device, admission))
        if not self._feeding and not self.machine.concerns(body.call_id, record.account, record.device):
            self.handshakes.drop(record.device, body.call_id)  # over, refused, or another's call: its keys are no use

    def _answered(self, record: DeviceRecord, body: CallAnswer) -> None:
        self.handshakes.on_answer(record, body)
        self.feed(happened.FarAnswered(body.call_id, record.device, record.account))

    def _acked(self, record: DeviceRecord, body: CallAck) -> None:
        self.handshakes.on_ack(record, body)
        self.feed(happened.FarAcked(body.call_id, record.account))

    # --- effects of the machine ---------------------------------------------------------------------------------

    def _send_offer(self, effect: want.SendOffer) -> None:
        call_id, core = effect.call_id, self._core
        offered_to = 0

        def answered(message: ServerMessage | None) -> None:
            if isinstance(message, Accepted):
                self.feed(happened.OfferAccepted(call_id, offered_to))
            elif isinstance(message, Denied):
                self.feed(happened.OfferDenied(call_id, message.why, message.told))

        def reached(records: list[DeviceRecord]) -> None:
            nonlocal offered_to
            current = self.machine.current
            if current is None or current.call_id != call_id:
                return  # given up meanwhile
            if effect.device is not None:
                records = [record for record in records if record.device == effect.device]
            offered_to = len(records)
            letters = tuple(self.handshakes.offer(call_id, records, effect.resume, effect.knock))

            def ring(number: int) -> Ring:
                return Ring(number, call_id, effect.contact, letters, effect.knock, effect.resume)

            core.commit([], then=lambda: core.request(ring, answered), urgent=True)

        def failed(why: str) -> None:
            if why != "offline":
                self.feed(happened.Unreachable(call_id))

        self._directory.reach(effect.contact, "call", reached, failed)

    def _send(self, contact: str, device: str, body: CallAlerting | CallEnd) -> None:
        record = self._directory.record(contact, device)
        if record is not None:
            self.handshakes.send(record, body)

    def _send_ack(self, effect: want.SendAck) -> None:
        record = self._directory.record(effect.contact, effect.device)
        proven = record and self.handshakes.acknowledge(effect.call_id, record)
        if proven:
            self.media.adopt(effect.call_id, proven)

    def _send_taken(self, effect: want.SendTaken) -> None:
        for record in self.handshakes.offered(effect.call_id):
            if record.device != effect.except_device and effect.to_device in (None, record.device):
                self.handshakes.send(record, CallTaken(effect.call_id, effect.by))

    def _withdraw_offer(self, effect: want.WithdrawOffer) -> None:
        self._end_ring(effect.call_id)

    def _end_ring(self, call_id: bytes) -> None:
        """Not before the letters that say why: they wait for the disk."""
        core = self._core
        core.commit([], then=lambda: core.say(EndRing(call_id)), urgent=True)

    def take_back(self, call_id: bytes, contact: str) -> None:
        """Stop what rings for a call of ours from before a restart. The server may have forgotten it meanwhile, so
        every device of the contact is told, too."""
        for record in self._directory.devices(contact):
            self.handshakes.send(record, CallTaken(call_id, "cancelled"))
        self._end_ring(call_id)

    def _send_end(self, effect: want.SendEnd) -> None:
        body = CallEnd(effect.call_id, effect.told)
        if effect.device is not None:
            self._send(effect.contact, effect.device, body)
        else:
            for record in self.handshakes.offered(effect.call_id):
                self.handshakes.send(record, body)

    def _open_sound(self, effect: want.OpenSound) -> None:
        core, sound = self._core, self._core.settings.sound
        core.emit(audio.OpenSound(sound.input, sound.output))
        core.emit(*core.link.want_lanes(core.settings.calls.lanes, core.now))
        core.emit(*core.link.in_call(True, core.now))

    def _close_sound(self, effect: want.CloseSound) -> None:
        core = self._core
        core.emit(audio.CloseSound())
        core.emit(*core.link.want_lanes(0, core.now))
        core.emit(*core.link.in_call(False, core.now))

    def _start_media(self, effect: want.StartMedia) -> None:
        proven = self.handshakes.proven(effect.call_id, effect.device)
        if proven is not None:
            self.media.adopt(effect.call_id, proven)
        self.media.open_route()

    def _ring(self, effect: want.Ring) -> None:
        contact = self._people.get(effect.contact)
        style = contact.ring_style if contact is not None else "full"
        loud = effect.loud and style != "light"
        self.alerting = Alerting(effect.contact, loud, effect.knock)
        if loud:
            self._core.emit(audio.Play(Tone.RING_RISING if style == "rising" else Tone.RING, True))

    def _stop_ring(self, effect: want.StopRing) -> None:
        if self.alerting is not None and self.alerting.loud:
            self._core.emit(audio.StopTones())
        self.alerting = None

    def _forget(self, effect: want.ForgetKeys) -> None:
        self.handshakes.forget(effect.call_id)
