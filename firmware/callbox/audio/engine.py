"""The audio engine: the step, its device and its queues. No thread in here; one thread calls `cycle` for ever.

    command() --queue--> cycle: commands, read, step, write --> facts()
    inbound  --queue-->                                     --> outbound queue, on_outbound()

A device that is lost takes nothing with it: the media session goes on, silence is sent at the clock's pace, and
once a second the device is looked for again; without a call, every five seconds. `cycle` tells how long its
caller may sleep: not at all while a device paces it, for ever (`math.inf`) while there is nothing to do.

A tone, prompt or recording without a call (a message came, a button was pressed) opens the device by itself and closes
it after.
"""

import math
from collections.abc import Callable
from typing import Literal

from callbox.audio.cleaning import Cleaning
from callbox.audio.codecs import Codec, open_codec
from callbox.audio.devices import Device, DeviceLost, Devices, StillOpening
from callbox.audio.echo.none import NoCanceller
from callbox.audio.facts import (
    AudioStats,
    CheckSound,
    CloseSound,
    Command,
    Fact,
    Listen,
    Listened,
    LiveChanged,
    LookAgain,
    NoteUnsent,
    OpenSound,
    Play,
    PlaySound,
    PlaySpeech,
    Recorded,
    SetCapture,
    SetVolume,
    SoundCommand,
    SoundFound,
    SoundLost,
    SoundOpened,
    SpeechEnded,
    StartMedia,
    StartRecording,
    StopListening,
    StopMedia,
    StopRecording,
    StopSpeech,
    StopTones,
    TraceArrivals,
)
from callbox.audio.listening import Listening
from callbox.audio.step import Step
from callbox.audio.steps import step_named
from callbox.audio.telling import Telling
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_MS, Samples
from callbox.base.queues import BoundedQueue
from callbox.base.time import Instant

CYCLE_S = CYCLE_MS / 1000
REOPEN_S = 1.0
CHECK_AGAIN_S = 5.0  # without a call nobody waits for it, and looking costs
HEARD_OUT_S = 0.2  # what was written last is still in the card's buffer
MOST_CATCH_UP_S = 0.05


class Engine:
    """See the drawing above. `facts` is called on the audio thread and must not block."""

    def __init__(
        self,
        devices: Devices,
        facts: Callable[[Fact], None],
        cleaning: Cleaning | None = None,
        codec: Codec | None = None,
        cpu_clock: Callable[[], float] | None = None,
    ) -> None:
        self.inbound: BoundedQueue[bytes] = BoundedQueue(400)
        self.outbound: BoundedQueue[tuple[Instant, bytes]] = BoundedQueue(50)
        self.on_outbound: Callable[[], None] = _nothing
        self.on_command: Callable[[], None] = _nothing
        self._commands: BoundedQueue[Command] = BoundedQueue(256)
        self._devices = devices
        self._facts = facts
        as_it_is = Cleaning(NoCanceller(), echo=False, noise=False, gain=False)
        self._step = Step(cleaning or as_it_is, codec or open_codec())
        self._cpu_clock = cpu_clock
        self._telling = Telling(self._step, facts)
        self._wanted: OpenSound | None = None
        self._known: OpenSound | None = None  # what to open for a tone without a call
        self._close_at: Instant | None = None  # of a device that is open for a tone alone
        self._device: Device | None = None
        self._sealed = False  # something, in this cycle
        self._lost_told = False
        self._reopen_at: Instant = -math.inf
        self._check: CheckSound | None = None
        self._check_at: Instant = -math.inf
        self._due: Instant | None = None  # of the next cycle without a device
        self._live = False

    def command(self, command: Command) -> None:
        """Hand over a command; it is carried out at the next cycle. One other thread may call this."""
        self._commands.put(command)
        self.on_command()

    def cycle(self, now: Instant) -> float:
        """Run one cycle; return for how many seconds there is nothing to do unless a command comes."""
        for command in self._commands.drain():
            self._perform(command, now)
        if self._wanted is not None and self._device is None and now >= self._reopen_at:
            self._open(now)
        elif self._check is not None and self._wanted is None and now >= self._check_at:
            self._look(self._check, now)
        if self._close_at is not None:
            self._close_when_heard(self._close_at, now)
        if self._step.mixer.ended:
            self._tell_speech()
        if self._device is None:
            return self._cycle_without_device(now)
        self._due = None
        captured = self._read(now)
        self._write(self._run(captured, now), now)
        self._tell_sealed()
        return 0.0

    def close(self) -> None:
        """Let go of device, media session and canceller."""
        self._close_device()
        self._step.close()
        self._tell_live(False)

    def _cycle_without_device(self, now: Instant) -> float:
        if self._step.sending is None:
            for _ in self.inbound.drain():
                pass
            self._due = None
            self._tell_live(False)
            if self._wanted is not None:
                return max(0.0, self._reopen_at - now)
            return math.inf if self._check is None else max(0.0, self._check_at - now)
        if self._due is None or now - self._due > MOST_CATCH_UP_S:
            self._due = now
        if now >= self._due:
            self._run(None, now)
            self._tell_sealed()
            self._due += CYCLE_S
        return max(0.0, self._due - now)

    def _run(self, captured: Samples | None, now: Instant) -> Samples:
        before = self._cpu_clock() if self._cpu_clock is not None else 0.0
        output = self._step.run(captured, self.inbound.drain(), now)
        if self._cpu_clock is not None:
            self._telling.took(self._cpu_clock() - before)
        self._tell_live(self._step.live)
        if self._step.recorder is not None and self._step.recorder.full:
            self._end_recording("full")
        if self._step.listening is not None:
            self._tell_levels(self._step.listening)
        for sealed in output.outbound:
            self.outbound.put((now, sealed))
        self._sealed = bool(output.outbound)
        self._telling.cycle(now, output.playback)
        return output.playback

    def _perform(self, command: Command, now: Instant) -> None:
        match command:
            case OpenSound():
                self._known, self._close_at = command, None
                if command != self._wanted or self._device is None:
                    self._close_device()
                    self._wanted, self._reopen_at, self._lost_told = command, now, False
            case CheckSound() | LookAgain():
                self._begin_check(command, now)
            case CloseSound():
                if self._lost_told and self._wanted is not None:  # tell when it is there again, call or not
                    self._check = CheckSound(self._wanted.input_name, self._wanted.output_name)
                    self._check_at = now + CHECK_AGAIN_S
                self._wanted = self._close_at = None
                self._end_recording("lost")
                self._end_listening()
                self._step.tones.stop()
                self._step.mixer.hush()
                self._close_device()
            case StartMedia():
                self._start(command, now)
            case StopMedia():
                self._end_media()
            case NoteUnsent(waiting_bytes, dropped, carries_bits_per_s):
                self._step.rate.unsent(waiting_bytes, now, dropped, carries_bits_per_s)
            case TraceArrivals(on):
                self._step.trace = [] if on else None
            case _:
                self._sound(command)
                if isinstance(command, Play | PlaySpeech | PlaySound | StartRecording):
                    self._open_for_a_moment(self._known, now)
                elif isinstance(command, Listen):
                    there = OpenSound(command.input_name, command.output_name) if command.input_name else self._known
                    self._open_for_a_moment(there, now)

    def _begin_check(self, command: CheckSound | LookAgain, now: Instant) -> None:
        if isinstance(command, CheckSound):
            self._known = OpenSound(command.input_name, command.output_name)
        if self._known is not None:
            self._check, self._check_at = CheckSound(self._known.input_name, self._known.output_name), now

    def _open_for_a_moment(self, what: OpenSound | None, now: Instant) -> None:
        """Without a call, open the device for what begins now; `_close_when_heard` lets go of it again."""
        if self._wanted is None and what is not None:
            self._wanted, self._reopen_at, self._lost_told = what, now, False
            self._close_at = now

    def _end_listening(self) -> None:
        if self._step.listening is not None:
            listening, self._step.listening = self._step.listening, None
            self._facts(Listened(listening.outcome()))

    def _tell_levels(self, listening: Listening) -> None:
        for level in self._step.levels:
            self._facts(level)
        self._step.levels = []
        if listening.over:
            self._end_listening()

    def _end_recording(self, ended: Literal["stopped", "full", "lost"]) -> None:
        if self._step.recorder is not None:
            self._facts(Recorded(self._step.recorded(), ended))

    def _sound(self, command: SoundCommand) -> None:
        step = self._step
        match command:
            case Play(tone, repeat):
                step.tones.play(tone, repeat)
            case StopTones():
                step.tones.stop()
            case PlaySpeech(samples, ticket):
                step.mixer.speak(samples, ticket)
            case PlaySound(sound, ticket):
                step.play(sound, ticket)
            case StopSpeech():
                step.mixer.hush()
            case SetVolume(volume):
                step.mixer.set_volume(volume)
            case SetCapture(on):
                step.capture_on = on
            case StartRecording(most_s):
                step.record(most_s)
            case StopRecording():
                self._end_recording("stopped")
            case Listen(seconds, test):
                self._end_listening()
                step.listen(Listening(seconds, test))
            case StopListening():
                self._end_listening()

    def _start(self, command: StartMedia, now: Instant) -> None:
        self._end_recording("stopped")
        self._end_listening()
        self._end_media()
        for _ in self.inbound.drain():  # frames of an earlier session
            pass
        held = None if command.step_name is None else step_named(command.step_name)
        self._step.start(command.seal, command.open, held, command.most_kbps)
        self._telling.begin(now)

    def _end_media(self) -> None:
        self._telling.end()
        self._step.stop()

    # The device

    def _close_when_heard(self, close_at: Instant, now: Instant) -> None:
        """Let go of a device that was opened for a tone; at once if there is none to be had."""
        step = self._step
        working = step.recorder is not None or step.listening is not None
        if self._device is not None and (step.tones.playing or step.mixer.speaking or working):
            self._close_at = now + HEARD_OUT_S
        elif self._device is None or now >= close_at:
            self._perform(CloseSound(), now)

    def _open(self, now: Instant) -> None:
        assert self._wanted is not None
        try:
            self._device = self._devices.open(self._wanted.input_name, self._wanted.output_name)
        except StillOpening:
            return  # the next cycle asks again
        except CallboxError as error:
            self._lose(error, now)
            return
        self._lost_told, self._check = False, None
        self._step.cleaning.begin(self._device.latency_ms)
        self._facts(SoundOpened(self._device.latency_ms))

    def _look(self, check: CheckSound, now: Instant) -> None:
        try:
            self._devices.open(check.input_name, check.output_name).close()
        except StillOpening:
            return
        except CallboxError as error:
            self._lose(error, now)
            self._check_at = now + CHECK_AGAIN_S
            return
        self._lost_told, self._check = False, None
        self._facts(SoundFound())

    def _read(self, now: Instant) -> Samples | None:
        assert self._device is not None
        try:
            return self._device.read()
        except DeviceLost as lost:
            self._lose(lost, now)
            return None

    def _write(self, samples: Samples, now: Instant) -> None:
        if self._device is None:
            return
        try:
            self._device.write(samples)
        except DeviceLost as lost:
            self._lose(lost, now)

    def _lose(self, fault: CallboxError | DeviceLost, now: Instant) -> None:
        self._close_device()
        self._end_recording("lost")
        self._reopen_at = now + REOPEN_S
        if not self._lost_told:
            self._lost_told = True
            self._facts(SoundLost(str(fault), getattr(fault, "kind", "")))
        self._end_listening()

    def _close_device(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None

    # What is told

    def _tell_sealed(self) -> None:
        """Wake who sends, last of all: woken earlier it would only wait for this thread, and this one for it."""
        if self._sealed:
            self._sealed = False
            self.on_outbound()

    def _tell_live(self, live: bool) -> None:
        if live != self._live:
            self._live = live
            self._facts(LiveChanged(live))

    def _tell_speech(self) -> None:
        """Say what became of speech. What played while no speaker was open was heard by nobody."""
        ended, self._step.mixer.ended = self._step.mixer.ended, []
        for ticket, whole in ended:
            self._facts(SpeechEnded(ticket, whole and self._device is not None))

    def stats(self) -> AudioStats:
        """Return the counters of the present media session (all zero without one)."""
        return self._telling.stats()


def _nothing() -> None:
    """Do nothing: nobody wants to be woken."""
