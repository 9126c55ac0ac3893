"""The audio step: their voice in, yours out, once per cycle. It never locks, logs, awaits, opens or imports.

    captured -> cleaning (echo by what was last played, noise, gain) -> gate -> gather a packet -> Opus -> plain frame
             -> seal -> outbound                                       -> or the recorder of a voice message
    inbound  -> open -> plain frame -> VOICE: jitter buffer -> mixer -> playback
                                    -> REPORT: rate control -> the encoder's next step

A media session (keys, codec, jitter buffer, counters) comes with `start` and goes with `stop`; tones and prompts
play with or without one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from callbox.audio.cleaning import Cleaning
from callbox.audio.codecs import Codec
from callbox.audio.facts import Arrival, Level, Open, Seal
from callbox.audio.listening import Listening
from callbox.audio.media import Receiving, Sending
from callbox.audio.mixer import Mixer
from callbox.audio.ogg import Sound
from callbox.audio.rate import RateControl
from callbox.audio.recorder import Recorder, unfold
from callbox.audio.sound_test import chirps
from callbox.audio.steps import RateStep, within
from callbox.audio.tones import Tones
from callbox.base.frames import Samples, silence
from callbox.base.time import Instant

TEST_TICKET = -1  # of the test's chirps among all that is said


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one cycle made."""

    playback: Samples
    outbound: list[bytes] = field(default_factory=list)


def gate(captured: Samples | None, open_: bool) -> Samples | None:
    """Return what may leave the microphone: the samples, or None. The one place that lets them through."""
    return captured if open_ else None


class Step:
    """All stages of one box's sound. One thread calls it."""

    def __init__(self, cleaning: Cleaning, codec: Codec) -> None:
        self.tones = Tones()
        self.mixer = Mixer()
        self.capture_on = False
        self.live = False  # captured samples went to the encoder, the recorder or a meter in the last cycle
        self.recorder: Recorder | None = None
        self.sending: Sending | None = None
        self.receiving: Receiving | None = None
        self.rate = RateControl()
        self.trace: list[Arrival] | None = None  # what came, while somebody wants to know
        self.sent_samples = silence()  # what was encoded in the last cycle
        self.cleaning = cleaning
        self.listening: Listening | None = None
        self.levels: list[Level] = []  # of the last cycle
        self._codec = codec
        self._played = silence()

    def start(self, seal: Seal, open_: Open, held: RateStep | None = None, most_kbps: int = 0) -> None:
        """Begin a media session. Its rate step follows the network, unless one is to be `held`.

        It begins where the session before ended: the network is mostly the same. `most_kbps`: see `StartMedia`.
        """
        self.stop()
        steps = within(most_kbps) if held is None else (held,)
        self.rate = RateControl(self.rate.step if self.rate.step in steps else steps[0], steps)
        self.sending = Sending(self._codec, seal, self.rate.step)
        self.receiving = Receiving(self._codec, open_, most_kbps)

    def record(self, most_s: float) -> None:
        """Begin a voice message; it listens when all tones and prompts have been heard out."""
        self.recorder = Recorder(self._codec, most_s)

    def recorded(self) -> tuple[bytes, ...]:
        """End the voice message and return its packets, none when it never listened. Without a call the gate shuts."""
        recorder, self.recorder = self.recorder, None
        if recorder is None:
            return ()
        if self.sending is None:
            self.capture_on = False
        return recorder.finish()

    def listen(self, listening: Listening) -> None:
        """Begin to watch the microphone; a test's chirps follow whatever is being said."""
        self.listening = listening
        if listening.test:
            self.mixer.speak(chirps(), TEST_TICKET)

    def play(self, sound: Sound, ticket: int) -> None:
        """Play a voice message after what is still being said."""
        self.mixer.play(unfold(self._codec, sound), ticket)

    def stop(self) -> None:
        """End the media session, if there is one."""
        if self.sending is not None:
            self.sending.close()
        if self.receiving is not None:
            self.receiving.close()
        self.sending = self.receiving = None

    def close(self) -> None:
        """End the media session and let go of the echo canceller."""
        self.stop()
        self.recorded()
        self.cleaning.close()

    def run(self, captured: Samples | None, inbound: Iterable[bytes], now: Instant) -> StepOutput:
        """Take one captured cycle (None: no microphone) and what came; return one cycle to play and what to send."""
        outbound = self._send(captured, now)
        voice = self._receive(inbound, now)
        self._played = self.mixer.mix(voice, self.tones.cycle())
        return StepOutput(self._played, outbound)

    def _send(self, captured: Samples | None, now: Instant) -> list[bytes]:
        metered = self._meter(captured)
        if captured is not None:
            captured = self.cleaning.process(captured, self._played)
        passed = gate(captured, self.capture_on)
        if passed is None and self.live and self.sending is not None:
            self.sending.forget_gathered()
        recording = self._record(captured, passed)
        self.live = metered or (passed is not None and (self.sending is not None or recording))
        self.sent_samples = silence() if passed is None else passed
        if self.sending is None or self.receiving is None:
            return []
        self.sending.use(self.rate.step)
        self.sending.set_fec(self.rate.fec)
        return self.sending.cycle(self.sent_samples, self.receiving.due_report(now, self.sending.step.packet_ms))

    def _meter(self, captured: Samples | None) -> bool:
        """Show the microphone, as it is, to who looks after it; say whether anybody does."""
        if self.listening is None or captured is None:
            return False
        level = self.listening.take(captured, self._played)
        self.levels = [] if level is None else [level]
        return True

    def _record(self, captured: Samples | None, passed: Samples | None) -> bool:
        """Give the recorder what passed the gate; say whether it takes samples at all."""
        recorder = self.recorder
        if recorder is None or captured is None:
            return False
        if not recorder.listening:
            recorder.wait(self.tones.playing or self.mixer.speaking)
            return False
        if passed is not None:
            recorder.take(passed)
        return True

    def _receive(self, inbound: Iterable[bytes], now: Instant) -> Samples | None:
        if self.receiving is None:
            for _ in inbound:  # frames of no session, or of one that is over
                pass
            return None
        for sealed in inbound:
            report = self.receiving.take(sealed, now, self.trace)
            if report is not None:
                self.rate.report(report, now)
        return self.receiving.cycle()


def level_db(samples: Samples) -> float:
    """Return the root mean square of `samples` in dB of full scale, -96 to 0."""
    power = float(np.mean(np.square(samples, dtype=np.float32)))
    return max(-96.0, round(10 * float(np.log10(power / 32768**2 + 1e-12)), 1))
