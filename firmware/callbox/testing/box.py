"""A whole box in a simulated world: the real `app.box.Box`, engine, panel code and link; only card, pins and network
are simulated, and the clock is turned by hand.

    kitchen.press("dial1")      presses go through simulated pins, debouncing and gestures
    kitchen.light("call")       what the panel shows at this moment
    kitchen.hears(workshop)     what comes out of the speaker
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from callbox.app import effects as do
from callbox.app import events as happened
from callbox.app.boards import find_board
from callbox.app.box import Box, ServerPlace
from callbox.app.joining import ENROLLING, LINKING, DeviceLinking, new_account
from callbox.app.saved import IDENTITY, load
from callbox.app.settings import BoxSettings, CallSettings, PanelSettings
from callbox.app.voice import Voice
from callbox.audio import facts as audio
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.speech import SpeechFault
from callbox.audio.speech import Voice as SpeechVoice
from callbox.audio.speech.simulated import SimulatedVoice
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples
from callbox.base.time import Instant, earliest
from callbox.calls.state import CallView
from callbox.conversations.stores import StoreFault
from callbox.conversations.stores.memory import MemoryStore
from callbox.link.events import CloseLane, LaneDown, LaneUp, OpenLane, PingLane, SendOnLane, TransportEvent
from callbox.link.joining import Joined, Joining, Trust
from callbox.link.linking import Linking
from callbox.link.transports import perform
from callbox.panel.pins.simulated import SimulatedPins
from callbox.testing.ears import TappedCodec, TimedCard, tone_amplitude
from callbox.testing.network_transport import SimulatedTransport
from callbox.wire.cards import Invite, parse_invite

if TYPE_CHECKING:
    from callbox.testing.world import World

PRESS_S = 0.1
DISK_S = 0.005  # one durable write to a good card
VOICE_S = 0.05  # one sentence made into sound
HEARING_S = 0.2
AUDIBLE = 200.0  # amplitude of a far end's voice tone that counts as heard
VOICE_AMPLITUDE = 8000
LONGEST_PACKET_S = 0.1


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of a box's timeline."""

    at: Instant
    box: str
    what: str


class SimulatedBox:
    """One box. `tone_hz`: what its microphone hears all the time, so that others can be asked whether they hear it."""

    def __init__(self, world: "World", name: str, board: str, tone_hz: float) -> None:
        self.world = world
        self.name = name
        self.tone_hz = tone_hz
        self.board = find_board(board)
        self.settings = BoxSettings(panel=PanelSettings("simulated", board), calls=CallSettings())
        self.store = MemoryStore()
        self.card = TimedCard(name, self._voice_of_person, lambda: world.now)
        self.tap = TappedCodec(lambda: world.now)
        self.speaking = True
        self.disk_s = DISK_S
        # Hears of every step before it is taken: an event handled, an effect performed, writes stored. It may end us.
        self.before: Callable[[Any], None] = lambda step: None
        self.voice: SpeechVoice = SimulatedVoice()
        self.pins = SimulatedPins(self.board)
        self.logged: list[str] = []
        self.tones: list[str] = []  # every tone that it was to play, oldest first
        self.link_numbers: list[str] = []
        self.finish_link: Callable[[], None] = lambda: None
        self.wifi_percent: int | None = None  # wired
        self.replies: dict[int, list[Mapping[str, Any]]] = {}
        self._spoken = 0
        self._asks = 0
        self._box: Box | None = None
        self._events: list[Any] = []
        self._handling = False
        self._engine_due: Instant | None = None
        self._box_due: Instant | None = None
        self._state_noted = ""

    # --- life ---------------------------------------------------------------------------------------------------

    @property
    def box(self) -> Box:
        """The pure box. Raises AssertionError while it is switched off."""
        assert self._box is not None, f"{self.name} is switched off"
        return self._box

    @property
    def on(self) -> bool:
        """Whether it is switched on."""
        return self._box is not None

    def join(self, invite: Invite) -> None:
        """Make an identity and enrol it, as `callbox join` does."""
        world = self.world
        before = self.store.load(IDENTITY).get(ENROLLING)
        enrolling = new_account(invite, before, world.chance, world.wall_ms)
        self.store.commit(enrolling.keep())
        joining = enrolling.joining(world.chance)
        transport = self._join_by(joining)
        world.until(lambda: joining.outcome is not None, 20.0, f"{self.name} joins")
        transport.shutdown()
        if not isinstance(joining.outcome, Joined):
            raise joining.outcome or CallboxError("joining did not end")
        self.store.commit(enrolling.writes(joining.outcome))

    def link(self, other: "SimulatedBox", agree: bool = True) -> None:
        """Become a further device of another box's account, as `callbox link` there and `callbox join` here do it."""
        line = str(other.ask("link")["invite"])
        linking = self.ask_to_link(line)
        facts = other.ask("link wait")
        self.world.until(lambda: self.link_numbers == [facts["numbers"]], 1.0, "both show the same numbers")
        if not agree:
            other.ask("link refuse")
        else:
            other.ask("link confirm", numbers=facts["numbers"])
        self.world.until(lambda: linking.outcome is not None, 10.0, f"{self.name} is linked")
        self.finish_link()

    def ask_to_link(self, line: str) -> Linking:
        """Come with a link invite; `finish_link` when the outcome is there."""
        world, invite = self.world, parse_invite(line)
        device = DeviceLinking(invite, self.store.load(IDENTITY).get(LINKING), world.chance, world.wall_ms)
        self.store.commit([device.keep()])
        self.link_numbers = []
        linking = Linking(invite, device.asking, self.link_numbers.append, world.chance)
        transport = self._join_by(linking)

        def finish() -> None:
            transport.shutdown()
            if not isinstance(linking.outcome, Joined):
                raise linking.outcome or CallboxError("linking did not end")
            self.store.commit(device.writes(linking.outcome))

        self.finish_link = finish
        return linking

    def _join_by(self, joining: Joining) -> SimulatedTransport:
        def performed(effects: list[Any]) -> None:
            for effect in effects:
                if not isinstance(effect, Trust):
                    perform(transport, effect)

            if joining.deadline is not None:
                network.at(joining.deadline, lambda: performed(joining.tick(network.now)))

        network = self.world.network
        transport = SimulatedTransport(network, self.name, lambda event: performed(joining.handle(event, network.now)))
        performed(joining.start(network.now))
        return transport

    def start(self) -> None:
        """Switch the box on."""
        saved = load(self.store)
        place = ServerPlace(saved.membership.address, saved.membership.server_id)
        self.pins = SimulatedPins(self.board)
        self._transport = SimulatedTransport(self.world.network, self.name, self._lane_event)
        self._engine = Engine(SimulatedDevices([self.card]), self._event, codec=self.tap)
        self._engine.on_command = self._wake_engine
        self._voice = Voice(self._engine, self._transport, lambda: self.world.now, self.world.network.wake)
        self._engine.on_outbound = self._voice.pump
        self._transport.readdress(saved.membership.address)
        self._box = Box(self.settings, self.board, saved, place, self.world.chance)
        self.pins.start(lambda button, pressed: self._event(happened.ButtonMoved(button, pressed, self.world.now)))
        self._event(happened.ClockSet(self.world.wall_ms, trusted=True, utc_offset_s=0))
        self._event(happened.Started())

    def kill(self) -> None:
        """End the process at once: memory is gone, the kernel closes its connections, the store stays."""
        self._box = self._engine_due = self._box_due = None
        self._engine.close()
        self._transport.shutdown()
        self.pins.close()
        self._events.clear()
        self._note_state()

    def stop(self) -> None:
        """Stop the box as systemd does, and wait until it is off."""
        self._event(happened.Stopping())
        self.world.until(lambda: not self.on, 5.0, f"{self.name} stops")

    # --- what a person does -------------------------------------------------------------------------------------

    def press(self, button: str, hold_s: float = PRESS_S) -> None:
        """Press a button and let go of it again after `hold_s`; returns when it is up and the press has settled."""
        self.hold(button)
        self.world.run(hold_s)
        self.release(button)
        self.world.run(0.03)

    def hold(self, button: str) -> None:
        """Press a button and keep it down."""
        self.world.note(self.name, f"presses {button}")
        self.pins.press(button)

    def release(self, button: str) -> None:
        """Let go of a button."""
        self.pins.release(button)

    def ask(self, what: str, within_s: float = 15.0, **words: Any) -> dict[str, Any]:
        """Ask as the command line does; return the last reply."""
        number = self.ask_later(what, **words)
        self.world.until(
            lambda: bool(self.replies[number]) and "progress" not in self.replies[number][-1],
            within_s,
            f"{self.name} answers {what}",
        )
        return dict(self.replies[number][-1])

    def ask_later(self, what: str, **words: Any) -> int:
        """Ask without waiting; replies come under the number that is returned."""
        self._asks += 1
        self.replies[self._asks] = []
        self._event(happened.Asked(self._asks, what, words))
        return self._asks

    def leave(self, number: int) -> None:
        """Stop reading the replies to this ask, as Ctrl-C does."""
        self._event(happened.AskerLeft(number))

    # --- what a person sees and hears -----------------------------------------------------------------------------

    def light(self, name: str) -> bool:
        """Say whether a light is on at this moment."""
        return self.pins.lights[name] >= 0.5

    def rhythm(self, light: str, over_s: float) -> list[tuple[bool, float]]:
        """Watch a light: how long it was on or off, each in turn, in seconds."""
        seen: list[tuple[bool, float]] = []
        end = self.world.now + over_s
        while self.world.now < end:
            lit, before = self.light(light), self.world.now
            self.world.run(0.01)
            if seen and seen[-1][0] == lit:
                seen[-1] = (lit, seen[-1][1] + self.world.now - before)
            else:
                seen.append((lit, self.world.now - before))
        return seen

    def hears(self, other: "SimulatedBox") -> bool:
        """Say whether the other box's voice came out of this speaker in the last 0.2 s."""
        return tone_amplitude(self.recently_heard(), other.tone_hz) > AUDIBLE

    @property
    def words(self) -> list[str]:
        """Everything that its speaker has said so far, sentence by sentence; what was cut off ends in "…"."""
        return list(self.card.ear.words)

    def says(self, words: str, within_s: float = 5.0) -> None:
        """Wait until the speaker has said `words` to their end, and forget all that it said up to there."""
        ear = self.card.ear
        self.world.until(lambda: words in ear.words, within_s, f"{self.name} says {words!r}, not {ear.words}")
        del ear.words[: ear.words.index(words) + 1]

    def hears_sound(self) -> bool:
        """Say whether anything at all came out of this speaker in the last 0.2 s."""
        heard = self.recently_heard()
        return bool(len(heard)) and int(np.abs(heard.astype(np.int32)).max()) > AUDIBLE

    def recently_heard(self) -> Samples:
        """Return what came out of the speaker in the last 0.2 s."""
        return self.card.heard_since(self.world.now - HEARING_S)

    def hears_tone(self, tone_hz: float) -> bool:
        """Say whether a sound of this pitch came out of the speaker in the last 0.2 s."""
        return tone_amplitude(self.recently_heard(), tone_hz) > AUDIBLE

    @property
    def voice_leaves(self) -> bool:
        """Whether a sound of the microphone went to the encoder in the last 0.1 s: the truth behind the live light."""
        return self.world.now - self.tap.sound_encoded_at < LONGEST_PACKET_S

    def thread(self, contact: str) -> list[dict[str, Any]]:
        """Return the conversation with a contact, oldest first, without marking it as read."""
        return list(self.ask("messages", contact=contact, last=1000, read=False)["items"])

    def call_lines(self, contact: str) -> list[tuple[str, bool]]:
        """Return the reason of every call with a contact, and whether it was answered."""
        return [(item["reason"], item["answered"]) for item in self.thread(contact) if item["kind"] == "call"]

    @property
    def call(self) -> CallView:
        """The present call. Raises AssertionError when there is none."""
        view = self.box.calling.machine.current
        assert view is not None, f"{self.name} has no call"
        return view

    @property
    def state(self) -> str:
        """The call machine's state, or `off`."""
        return self.box.calling.machine.state.value if self.on else "off"

    # --- the world's side -----------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When something of this box is due."""
        return earliest(self._box_due, self._engine_due)

    def tick(self) -> None:
        """Do what is due now."""
        now = self.world.now
        if self._engine_due is not None and now >= self._engine_due:
            pause_s = self._engine.cycle(now)
            idle = pause_s == float("inf")
            self._engine_due = None if idle else now + (pause_s if pause_s > 0 else self.card.cycle_s)
        if self._box_due is not None and self._box_due <= now:
            self._event(happened.Ticked())

    def _event(self, event: Any) -> None:
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        try:
            while self._events and (box := self._box) is not None:
                event = self._events.pop(0)
                self.before(event)
                for effect in box.handle(event, self.world.now) if self._box is box else ():
                    self.before(effect)
                    if self._box is not box:
                        break
                    self._perform(effect)
                if self._box is not None and self._box.finished:
                    self.kill()
            self._box_due = self._box.deadline if self._box is not None else None
            self._note_state()
        finally:
            self._handling = False

    def _note_state(self) -> None:
        if self.state != self._state_noted:
            self._state_noted = self.state
            self.world.note(self.name, f"is {self.state}")

    def _lane_event(self, event: TransportEvent) -> None:
        if not self._voice.took(event):
            self._event(event)

    def _perform(self, effect: Any) -> None:
        if not self._performed_by_link(effect):
            self._perform_here(effect)

    def _performed_by_link(self, effect: Any) -> bool:
        match effect:
            case do.Readdress(address=address):
                self._transport.readdress(address)
            case OpenLane() | SendOnLane() | PingLane() | CloseLane():
                perform(self._transport, effect)
            case LaneUp(lane=lane):
                self._voice.lane_up(lane)
            case LaneDown(lane=lane):
                self._voice.lane_down(lane)
            case do.AttachRoute(route=route, copies=copies):
                self._voice.attach(route, copies)
            case do.DetachRoute():
                self._voice.detach()
            case _:
                return False
        return True

    def _perform_here(self, effect: Any) -> None:
        match effect:
            case do.Commit():
                self._commit(effect)
            case do.ReadSound():
                self._read_sound(effect)
            case do.LookAtSignal():
                self._event(happened.SignalSeen(self.wifi_percent))
            case do.SettleStore():
                self.store.settle()
            case do.ShowLights(levels=levels):
                self.pins.show(levels)
                self.world.note_lights(self.name, " ".join(name for name in levels if self.light(name)))
            case do.Answer():
                self.replies.setdefault(effect.ask, []).append(effect.reply)
            case do.Speak():
                self._speak(effect)
            case do.MoveButton():
                (self.pins.press if effect.pressed else self.pins.release)(effect.button)
            case do.Log(text=text):
                self.logged.append(text)
                self.world.note(self.name, text)
            case audio.Play(tone=tone):
                self.tones.append(tone.value)
                self.world.note(self.name, f"plays {tone}")
                self._engine.command(effect)
            case _:
                self._engine.command(effect)

    def _commit(self, effect: do.Commit) -> None:
        """Let the disk work; what it has not written yet dies with the box."""
        box, network = self._box, self.world.network
        network.at(network.now + self.disk_s, lambda: self._written(effect) if self._box is box else None)

    def _read_sound(self, effect: do.ReadSound) -> None:
        box, network = self._box, self.world.network
        answer = happened.SoundRead(effect.ticket, self.store.sound(effect.item_id))
        network.at(network.now + self.disk_s, lambda: self._event(answer) if self._box is box else None)

    def _speak(self, effect: do.Speak) -> None:
        """Let the voice work; a box that was switched off meanwhile never hears of it."""
        box, network = self._box, self.world.network
        self.world.note(self.name, f"speaks {effect.text!r}")
        network.at(network.now + VOICE_S, lambda: self._made(effect) if self._box is box else None)

    def _made(self, effect: do.Speak) -> None:
        try:
            self._event(happened.Spoken(effect.ticket, self.voice.say(effect.text, effect.language)))
        except SpeechFault as fault:
            self._event(happened.SpeechFailed(effect.ticket, str(fault), fault.lasting))

    def _written(self, effect: do.Commit) -> None:
        self.before(effect.writes)
        if self._box is None:
            return
        try:
            self.store.commit(effect.writes)
        except StoreFault as error:
            self._event(happened.CommitFailed(effect.ticket, str(error), error.kind))
        else:
            self._event(happened.Committed(effect.ticket))

    def _wake_engine(self) -> None:
        if self._engine_due is None or self._engine_due > self.world.now:
            self._engine_due = self.world.now

    def _voice_of_person(self) -> Samples:
        """Return the microphone's next cycle: this person's own tone, or silence."""
        positions = np.arange(self._spoken, self._spoken + CYCLE_SAMPLES)
        self._spoken += CYCLE_SAMPLES
        level = VOICE_AMPLITUDE if self.speaking else 0
        return (level * np.sin(2 * np.pi * self.tone_hz * positions / RATE_HZ)).astype(np.int16)
