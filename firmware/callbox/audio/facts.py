"""What the audio engine is told to do (commands, imperative) and what it tells (facts, past tense).

Commands cross from the network loop to the audio thread in a bounded queue; facts go the other way by a
callback. Both are immutable.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from callbox.audio.ogg import Sound
from callbox.audio.sound_test import SoundTest
from callbox.audio.steps import step_named
from callbox.audio.tones import Tone
from callbox.base.frames import Samples

Seal: TypeAlias = Callable[[bytes], bytes]
Open: TypeAlias = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class CheckSound:
    """Find out whether microphone and speaker can be had, by opening them for a moment; look again until they can."""

    input_name: str
    output_name: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Something was plugged in or pulled: without a call, do CheckSound again for the devices used last."""


@dataclass(frozen=True, slots=True)
class OpenSound:
    """Open microphone and speaker by name. Nothing that is captured is passed on by this alone."""

    input_name: str
    output_name: str


@dataclass(frozen=True, slots=True)
class CloseSound:
    """Let go of microphone and speaker. A media session goes on, silent."""


@dataclass(frozen=True, slots=True)
class StartMedia:
    """Begin to send and to play, with the keys of one call; replaces a session that is running.

    `seal` makes a sealed frame of a plain one; `open` gives the plain frame, or None for one that is forged or
    has been here before. Both are called on the audio thread. `step_name` holds one rate step;
    without it the step follows the network. Neither direction costs more than `most_kbps`, headers included, as far
    as there are steps for so little; 0: no limit.
    """

    seal: Seal
    open: Open
    step_name: str | None = None
    most_kbps: int = 0

    def __post_init__(self) -> None:
        if self.step_name is not None:
            step_named(self.step_name)  # raises KeyError here, not later on the audio thread


@dataclass(frozen=True, slots=True)
class StopMedia:
    """End sending and playing."""


@dataclass(frozen=True, slots=True)
class SetCapture:
    """Open or shut the microphone's gate. Shut at the start; while shut, silence is sent."""

    on: bool


@dataclass(frozen=True, slots=True)
class Play:
    tone: Tone
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class StopTones:
    pass


@dataclass(frozen=True, slots=True)
class PlaySpeech:
    """Say spoken PCM (mono, 48 kHz), after what is still being said. Answered by SpeechEnded with the same ticket."""

    samples: Samples
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class PlaySound:
    """Play a voice message, after what is still being said. Answered by SpeechEnded with the same ticket."""

    sound: Sound
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Record a voice message once everything that sounds has been heard out. Answered by Recorded when it is over."""

    most_s: float


@dataclass(frozen=True, slots=True)
class StopRecording:
    """End the voice message that is being recorded, if there is one."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Watch the microphone for some seconds (told by Level), or `test` it with the speaker; then Listened.

    Without a call, these devices are opened for it; empty: the usual ones.
    """

    seconds: float
    test: bool = False
    input_name: str = ""
    output_name: str = ""


@dataclass(frozen=True, slots=True)
class StopListening:
    """End it, if it goes on."""


@dataclass(frozen=True, slots=True)
class StopSpeech:
    pass


@dataclass(frozen=True, slots=True)
class SetVolume:
    """Master volume, 0 to 1."""

    volume: float


@dataclass(frozen=True, slots=True)
class NoteUnsent:
    """Our own link holds so many media bytes that it could not send yet; `dropped` frames became stale there.

    `carries_bits_per_s`: what it carries, where that is known and less than what is sent; else 0.
    """

    waiting_bytes: int
    dropped: int = 0
    carries_bits_per_s: int = 0


SoundCommand: TypeAlias = (
    Play
    | StopTones
    | PlaySpeech
    | PlaySound
    | StopSpeech
    | SetVolume
    | SetCapture
    | StartRecording
    | StopRecording
    | Listen
    | StopListening
)
"""What works with and without a call."""


@dataclass(frozen=True, slots=True)
class TraceArrivals:
    """Tell of every voice packet when it came and how large it was, by Arrived, or stop telling."""

    on: bool


Command: TypeAlias = (
    CheckSound | LookAgain | OpenSound | CloseSound | StartMedia | StopMedia | NoteUnsent | TraceArrivals | SoundCommand
)


@dataclass(frozen=True, slots=True)
class LiveChanged:
    """Captured samples are, or are no longer, passed to the encoder, a recorder or a meter: made from what happened,
    not from orders."""

    live: bool


@dataclass(frozen=True, slots=True)
class SoundFound:
    """A check opened microphone and speaker; they are closed again."""


@dataclass(frozen=True, slots=True)
class SoundOpened:
    latency_ms: float


@dataclass(frozen=True, slots=True)
class SoundLost:
    """Microphone or speaker does not open or is gone; tried again every second. Told once per loss.

    `kind`: missing, busy, gone, or empty for anything else.
    """

    sentence: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class AudioStats:
    """Counters of one media session, and how it runs now."""

    step_name: str = ""
    bits_per_s: int = 0
    packet_ms: int = 0
    delay_ms: int = 0
    target_ms: int = 0
    received: int = 0
    lost: int = 0
    late: int = 0
    recovered: int = 0
    concealed: int = 0
    duplicates_or_forged: int = 0
    sent: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    peer_lost: int = 0  # what the far end reports of our frames, in its last second
    peer_late: int = 0
    echo_late_ms: int | None = None  # by how much the speaker's echo is late at the microphone; None: none was found
    step_us: int = 0  # processor time of one cycle, smoothed; 0 where no clock was given


@dataclass(frozen=True, slots=True)
class Meter:
    """About four times a second while media runs. Levels are dB of full scale (-96 to 0) of what was really sent
    and played: a muted microphone shows as silence."""

    level_in: float
    level_out: float
    stats: AudioStats


@dataclass(frozen=True, slots=True)
class MediaEnded:
    """A media session is over; these are its last counters."""

    stats: AudioStats


@dataclass(frozen=True, slots=True)
class Arrival:
    """A voice packet came: when (audio thread's clock), timestamp of its first sample, its size and length."""

    at_ms: float
    timestamp: int
    bytes: int
    packet_ms: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Packets that came in the last quarter of a second, while TraceArrivals is on."""

    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True, slots=True)
class FirstAudio:
    """The first voice frame of this media session was played."""


@dataclass(frozen=True, slots=True)
class MediaSilent:
    """No authentic frame came for a while."""


@dataclass(frozen=True, slots=True)
class MediaBack:
    """Authentic frames come again."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech is over. `whole`: it was played to its end; else it was hushed, or there was no speaker to say it."""

    ticket: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording is over. `packets`: Opus, 20 ms each; none if nothing was heard.

    `ended`: by StopRecording, because it was full, or because the microphone was lost.
    """

    packets: tuple[bytes, ...]
    ended: Literal["stopped", "full", "lost"]


@dataclass(frozen=True, slots=True)
class Level:
    """What the microphone heard in the last tenth of a second, in dB of full scale: mean square, and loudest sample."""

    mean_db: float
    peak_db: float


@dataclass(frozen=True, slots=True)
class Listened:
    """Listening is over. `test`: what a test measured; None: it was none, or did not come to its end."""

    test: SoundTest | None = None


Fact: TypeAlias = (
    LiveChanged
    | SoundFound
    | SoundOpened
    | SoundLost
    | Meter
    | MediaEnded
    | Arrived
    | FirstAudio
    | MediaSilent
    | MediaBack
    | SpeechEnded
    | Recorded
    | Level
    | Listened
)
