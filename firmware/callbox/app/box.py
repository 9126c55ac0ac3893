"""The box: everything that it decides, in one pure object.

`handle(event, now)` takes one thing that happened and returns what is to be done about it; `deadline` says when it
wants to be woken. It is put together from desks that share one `Core`:

    front      buttons and lights              people    contacts, permissions, controls
    calling    calls, their keys and routes    post      texts, receipts, the thread
    control    asks of the command line        directory other accounts' devices and Olm sessions

It has no clock, no socket, no thread and no file; `app.world` and `testing.world` have.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from callbox import __version__
from callbox.app import events as happened
from callbox.app.calling import Calling, Outcomes
from callbox.app.control import Control
from callbox.app.core import Core
from callbox.app.directory import Directory
from callbox.app.effects import Effect
from callbox.app.facts import call_facts, media_facts
from callbox.app.front import Front
from callbox.app.interrupted import Interrupted
from callbox.app.keys import Keys
from callbox.app.own import Own
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.records import Records
from callbox.app.saved import STATE, Saved
from callbox.app.settings import BoxSettings
from callbox.app.sound_checks import SoundChecks
from callbox.app.spoken import Spoken
from callbox.app.traffic import Traffic
from callbox.app.voice_files import VoiceFiles
from callbox.app.voice_messages import VoiceMessages, VoicePlayer
from callbox.audio import facts as audio
from callbox.base.chance import Chance
from callbox.base.time import Instant, earliest
from callbox.calls import events as call_happened
from callbox.calls.effects import RecordCall
from callbox.conversations.controls import format_quiet
from callbox.conversations.items import VoiceItem
from callbox.crypto.records import card_fingerprint
from callbox.link import events as link
from callbox.link.session import Credentials, Session
from callbox.panel.parts import Board
from callbox.wire.cards import Card
from callbox.wire.signals import (
    Deliver,
    PrekeysLow,
    RingEnded,
    RouteClosed,
    RouteOpened,
    ServerMessage,
)

GOODBYE_S = 0.3


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """Where this box's server is, and how it is known: SHA-256 of its certificate authority."""

    address: str
    server_id: bytes


class Box:
    """See the module's docstring."""

    def __init__(self, settings: BoxSettings, board: Board, saved: Saved, place: ServerPlace, chance: Chance) -> None:
        self.finished = False
        self._place = place
        self.board = board
        self._leave_at: Instant | None = None
        self.keys = Keys(saved)
        credentials = Credentials(
            saved.identity.account,
            saved.identity.device,
            saved.identity.sign_login,
            self.keys.next_epoch,
            __version__,
            saved.identity.record,
        )
        session = Session(credentials, place.server_id, chance)
        self.core = core = Core(settings, saved.identity, saved.sessions, session, chance)
        self.keys.join(core)
        self.directory = Directory(core, saved.contacts, saved.peers)
        self.people = People(core, saved.contacts, saved.controls)
        self.post = Post(core, self.people, self.directory, saved)
        self.records = Records(core, self.people, self.directory, self.post, saved)
        outcomes = Outcomes(
            recorded=self._call_recorded,
            missed=self.post.missed_call,
            ready_text=self.post.ready_text,
            clear_mute=lambda: self.front.set_mute(False, tone=False),
            muted=lambda: self.front.muted,
        )
        self.calling = Calling(core, self.people, self.directory, outcomes)
        self.spoken = Spoken(core, self.people, self.post, self.calling, place.address, board.one_button)
        speaking = self.spoken.speaking
        self.voice_messages = VoiceMessages(core, self.people, self.post, self.calling, speaking, saved)
        self.spoken.reading.players[VoiceItem] = VoicePlayer(core, speaking)
        self.front = Front(core, board, self.people, self.calling, self.post, self.spoken, self.voice_messages)
        self.voice_messages.muted = lambda: self.front.muted
        self.front.remember_volume(saved.volume)
        self.spoken.announcing.panel = self.front.spoken_facts
        self.control = Control(core, self.people, self.calling, self.front, self.post, self.status, self.card)
        self.own = Own(core, self.keys, self.directory, self.people, self.post, saved, lambda: self._in_call)
        self.own.join(self.control)
        self._join_own()
        self.spoken.join_linking(self.own.linking)
        self.spoken.menus.server = lambda: self.own.moving.address
        self.spoken.announcing.recording = lambda: self.voice_messages.recording is not None
        self.interrupted = Interrupted(core, self.calling, self.front, self.post, saved.current_call)
        self.records.join(self.control)
        VoiceFiles(core, self.post, self.voice_messages).join(self.control)
        self.sound_checks = SoundChecks(
            core,
            lambda: self._in_call or self.voice_messages.recording is not None,
            lambda: self.front.muted,
            lambda: self.front.sounding.fault,
        )
        self.sound_checks.join(self.control)
        self.traffic = Traffic(core, lambda: self._in_call, saved.store.load(STATE))
        self.traffic.join(self.control)
        self._join_records()
        self.front.on_mute = self.interrupted.note
        self.directory.on_device_gone = self._device_gone
        self.people.on_confirmed = self.post.confirmed
        self.directory.on_key_changed = self._key_changed
        self.post.on_call_letter = self.calling.receive
        self.post.inbox.on_no_such_prekey = self.keys.no_such_prekey
        self.post.inbox.on_offer_again = self.calling.offered_again
        self.post.inbox.on_call_session = self.calling.session_was_lost
        self._link_problem = ""
        self._handlers = self._make_handlers()
        self._from_server = self._make_server_handlers()

    @property
    def deadline(self) -> Instant | None:
        """When to handle Ticked if nothing else happens first; None: nothing is due."""
        core = self.core
        return earliest(
            core.deadline,
            self.calling.deadline,
            self.front.deadline,
            self.control.deadline,
            self.post.deadline,
            self.voice_messages.deadline,
            self.spoken.deadline,
            self.records.deadline,
            self.own.deadline,
            self._leave_at,
        )

    def handle(self, event: happened.Event, now: Instant) -> list[Effect]:
        """Decide about one event; return the effects to perform, in order."""
        self.core.now = now
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        self._tick()
        performed = self._settled()
        self.interrupted.note()
        self.spoken.tick()
        self.control.tick()
        self.front.show()
        return performed + self._settled()

    def _settled(self) -> list[Effect]:
        """Take the effects out; what the link tells us among them is handled here, the rest is the world's."""
        performed: list[Effect] = []
        while effects := self.core.drain():
            for effect in effects:
                own = self._handlers.get(type(effect))
                if own is not None:
                    own(effect)
                else:
                    performed.append(effect)
        return performed

    def _tick(self) -> None:
        """Let everything that is due happen. Each part looks at the time itself."""
        now, core = self.core.now, self.core
        core.tick()
        self.calling.tick()
        self.front.tick()
        self.post.tick()
        self.voice_messages.tick()
        self.records.tick()
        self.own.tick()
        if self._leave_at is not None and now >= self._leave_at:
            core.emit(*core.link.stop(now))
            self.finished = True

    # --- what happens -------------------------------------------------------------------------------------------

    def _make_handlers(self) -> dict[type, Callable[[Any], None]]:
        core, front = self.core, self.front
        feed = self.calling.feed
        return {
            happened.Started: lambda event: self._started(),
            happened.ClockSet: self._clock_set,
            happened.ButtonMoved: lambda event: front.button_moved(event.button, event.pressed, event.at),
            happened.Committed: lambda event: core.ledger.committed(event.ticket),
            happened.CommitFailed: self._commit_failed,
            happened.SoundRead: core.sound_read,
            happened.Asked: lambda event: self.control.asked(event.ask, event.what, event.words),
            happened.AskerLeft: lambda event: self.control.asker_left(event.ask),
            happened.Spoken: self.spoken.speaking.spoken,
            happened.SpeechFailed: self.spoken.speaking.failed,
            happened.SignalSeen: lambda event: self.spoken.menus.signal_seen(event.percent),
            happened.Stopping: lambda event: self._stopping(),
            link.LaneOpened: self._to_link,
            link.LaneReceived: self._to_link,
            link.LanePonged: self._to_link,
            link.LaneClosed: self._to_link,
            link.SessionUp: self._session_up,
            link.SessionLost: self._session_lost,
            link.Retrying: lambda event: self._link_trouble(event.why),
            link.LinkFault: lambda event: self._link_trouble(event.sentence, event.cure),
            link.Replied: lambda event: core.replied(event.request, event.message),
            link.Incoming: lambda event: self._incoming(event.message),
            link.EpochRolledBack: lambda event: self.keys.rolled_back(event.server_epoch),
            audio.LiveChanged: front.sound_fact,
            audio.SoundFound: front.sound_fact,
            audio.SoundOpened: front.sound_fact,
            audio.SoundLost: front.sound_fact,
            audio.Meter: self._metered,
            audio.MediaEnded: self.traffic.ended,
            audio.Arrived: self.traffic.arrived,
            audio.Recorded: self.voice_messages.recorded,
            audio.Level: self.sound_checks.level,
            audio.Listened: self.sound_checks.listened,
            audio.SpeechEnded: self.spoken.speaking.ended,
            audio.FirstAudio: front.sound_fact,
            audio.MediaSilent: lambda event: feed(call_happened.MediaSilent()),
            audio.MediaBack: lambda event: feed(call_happened.MediaBack()),
        }

    def _join_own(self) -> None:
        voices, own = self.voice_messages, self.own
        own.on_gap = self.post.on_hand_over = voices.uploads.again
        own.items.on_copy_wanted, own.items.on_copy = voices.copies.wanted, voices.downloads.copy_named
        voices.copies.others = lambda: bool(own.devices.others)
        own.agreeing.on_calls = lambda enabled: self.calling.feed(call_happened.CallsSet(enabled))

    def _join_records(self) -> None:
        self.records.own_devices = self.own.devices.listed
        self.records.trouble = lambda: self._link_problem
        self.records.stop = self._stopping
        self.records.on_contact_gone = self._contact_gone

    def _metered(self, meter: audio.Meter) -> None:
        self.front.sound_fact(meter)
        self.traffic.metered(meter)

    def _make_server_handlers(self) -> dict[type, Callable[[Any], None]]:
        feed = self.calling.feed
        return {
            Deliver: lambda message: self.post.delivered(message.envelope),
            RingEnded: lambda message: feed(call_happened.RingWithdrawn(message.call_id)),
            RouteOpened: self.calling.media.route_opened,
            RouteClosed: self.calling.media.route_closed,
            PrekeysLow: lambda message: self.keys.publish(message.left),
            **self.own.from_server(),
        }

    def _started(self) -> None:
        """Reserve the first connection epoch on disk, then connect."""
        core = self.core
        self.front.status = "connecting"
        sound = core.settings.sound
        core.emit(audio.SetVolume(self.front.volume), audio.CheckSound(sound.input, sound.output))
        self.spoken.speaking.warm_up()
        self.keys.reserve_epoch(then=lambda: core.emit(*core.link.start(core.now)))

    def _to_link(self, event: link.TransportEvent) -> None:
        self.core.emit(*self.core.link.handle(event, self.core.now))

    def _clock_set(self, event: happened.ClockSet) -> None:
        self.core.set_wall(event.wall_ms)
        self.people.clock_trusted, self.people.utc_offset_s = event.trusted, event.utc_offset_s

    def _commit_failed(self, event: happened.CommitFailed) -> None:
        if self.core.ledger.fault is None:
            self.core.warn(f"store: {event.sentence}")
        self.core.ledger.failed(event.ticket, event.sentence, event.kind)

    def _session_up(self, event: link.SessionUp) -> None:
        self.front.status, self._link_problem = "connected", ""
        self.core.log(f"connected to {self.own.moving.dialled}")
        self.directory.session_started()
        self.own.session_up(event.welcome)
        self.post.session_up()
        self.voice_messages.session_up(event.welcome)
        self.records.session_up(event.welcome)
        self.calling.feed(call_happened.LinkBack())
        self.interrupted.take_up()

    def _session_lost(self, event: link.SessionLost) -> None:
        self.front.status = "connecting"
        if self._leave_at is None:
            self.core.warn(f"connection to the server lost: {event.why}")
        self.core.session_lost()
        self.post.session_lost()
        self.voice_messages.session_lost()
        self.own.session_lost()
        self.calling.link_lost()

    def _link_trouble(self, why: str, cure: str = "") -> None:
        """Each failed attempt says why; what only a person can mend was said, with its cure, just before."""
        if self._link_problem.startswith(why) and not cure:
            return
        self.front.status = "fault" if cure else "connecting"
        problem = f"{why} {cure}".strip()
        if problem != self._link_problem:
            self._link_problem = problem
            self.core.warn(f"no connection to {self.own.moving.dialled}: {problem}")

    def _incoming(self, message: ServerMessage) -> None:
        handler = self._from_server.get(type(message))
        if handler is not None:
            handler(message)

    @property
    def _in_call(self) -> bool:
        return self.calling.machine.state != "idle"

    def _key_changed(self, account: str) -> None:
        """A contact has another account key: no call with it goes on; text follows where nobody vouched for the old."""
        self.calling.feed(call_happened.KeyChanged(account))
        self.post.confirmed(account)

    def _device_gone(self, device: str) -> None:
        """An account gave a device of its own up: nothing is written to it, and no call with it goes on."""
        self.post.device_gone(device)
        media = self.calling.media.current
        if media is not None and media.proven.record.device == device:
            self.calling.feed(call_happened.HungUp())

    def _contact_gone(self, contact: str) -> None:
        """A contact is erased: a call with them ends."""
        current = self.calling.machine.current
        if current is not None and current.contact == contact:
            self.calling.feed(call_happened.HungUp())

    def _stopping(self) -> None:
        """Hang up politely, give the letter a moment to leave, then end."""
        if self._leave_at is None:
            in_call = self._in_call
            self.calling.feed(call_happened.HungUp())
            self._leave_at = self.core.now + (GOODBYE_S if in_call else 0.0)

    def _call_recorded(self, call: RecordCall) -> None:
        self.post.call_recorded(call)
        self.control.call_recorded(call.call_id, call.reason)

    # --- what it looks like -------------------------------------------------------------------------------------

    def card(self) -> str:
        """Return this box's contact card."""
        identity = self.core.identity
        return str(Card(identity.account, self.own.moving.address, card_fingerprint(identity.account_public)))

    def status(self) -> dict[str, Any]:
        """Return the facts that `callbox status` prints."""
        machine, front, meter = self.calling.machine, self.front, self.front.sounding.meter
        view, talking = machine.current, machine.state in ("talking", "reconnecting")
        return {
            "ok": True,
            "name": self.core.identity.account,
            "version": __version__,
            "server": self.own.moving.address,
            "link": "connected" if self.core.link.up else self._link_problem or "connecting",
            "state": machine.state.value,
            "call": call_facts(view, self.calling.media.code, self.core.now) if view else None,
            "recording": self.voice_messages.recording,
            "muted": front.muted,
            "calls_enabled": self.people.controls.calls_enabled,
            "do_not_disturb": self.people.controls.do_not_disturb,
            "quiet_hours": format_quiet(self.people.controls.quiet),
            "unread": self.post.unread,
            "lights": front.shown,
            "media": media_facts(meter) if talking and meter else None,
            "fault": front.fault,
            "told": [{"at_ms": at_ms, "text": text} for at_ms, text in self.core.told],
            "speech": self.spoken.status(),
        }
