"""`box.toml`: every setting of a box, with its default, its limits and its words for the sample file."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from callbox.conversations.retention import Retention


class PanelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Buttons and lights."""

    backend: Annotated[
        Literal["gpio", "simulated"],
        Meta(description="gpio: real pins of a Raspberry Pi. simulated: pressed by `callbox press`."),
    ] = "gpio"
    board: Annotated[
        str, Meta(description="The wiring: a board by name (`callbox boards list`) or the path of a board file.")
    ] = "breadboard"


class SoundSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Microphone and speaker."""

    backend: Annotated[
        Literal["portaudio", "wav"],
        Meta(description="portaudio: a sound card. wav: files instead of a card, for trying things out."),
    ] = "portaudio"
    input: Annotated[
        str,
        Meta(description="The microphone: a card by name (`callbox sound list`), `default`, or a WAV file to speak."),
    ] = "default"
    output: Annotated[
        str, Meta(description="The speaker: a card by name (`callbox sound list`), `default`, or a WAV file to write.")
    ] = "default"
    volume: Annotated[
        float, Meta(description="Loudness, 0 to 1, until the volume buttons change it.", ge=0.0, le=1.0)
    ] = 0.8
    echo: Annotated[
        Literal["auto", "speex", "webrtc", "half_duplex", "none"],
        Meta(description="Keeps the far end from hearing itself. auto: the best that is installed. none: a handset."),
    ] = "auto"
    noise: Annotated[bool, Meta(description="Take steady noise out of the microphone, where there is any.")] = True
    gain: Annotated[bool, Meta(description="Make a quiet voice louder, by up to 12 dB.")] = True


class CallSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How calls are made and taken."""

    lanes: Annotated[
        int,
        Meta(
            description="Connections for the voice in a call: one talks, the others save what it holds up.", ge=1, le=6
        ),
    ] = 6
    copies: Annotated[
        float,
        Meta(description="On a bad network: bytes that may be sent again, for each byte of voice.", ge=0.0, le=1.0),
    ] = 1.0
    ready_text: Annotated[
        str, Meta(description="What is sent when a call is declined by holding the calls button.", max_length=500)
    ] = "I can't talk right now."
    ring_s: Annotated[int, Meta(description="Seconds that an unanswered call rings.", ge=5, le=55)] = 45
    max_kbps: Annotated[
        int,
        Meta(description="Most that a call may send, and be sent, in kbit/s with all headers; 0: no limit.", ge=0),
    ] = 0
    data_saver: Annotated[
        bool, Meta(description="For who pays by the byte: calls take a third of it, with more delay and less clarity.")
    ] = False
    step: Annotated[
        str, Meta(description="Voice format: `auto` follows the network; or one step by name, to measure with.")
    ] = "auto"


class SpeechSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the box says aloud."""

    voice: Annotated[
        Literal["espeak", "none"],
        Meta(description="espeak: the program espeak-ng. none: the box tells by lights and tones alone."),
    ] = "espeak"
    language: Annotated[str, Meta(description="Language of the box and of messages that are read aloud: en or de.")] = (
        "en"
    )
    variant: Annotated[
        str,
        Meta(description="Which voice: one of espeak-ng's variants, such as f3 or m2; empty for its usual one."),
        Meta(pattern="^[A-Za-z0-9_-]{0,32}$"),
    ] = ""
    words_per_minute: Annotated[int, Meta(description="How fast it speaks.", ge=80, le=450)] = 160
    announce: Annotated[
        bool,
        Meta(description="Say by itself who calls, why a call ended, what was switched. What is asked for is said."),
    ] = True


class FamilySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For a box in the hands of a child, or of somebody who must not be bothered."""

    only_contacts: Annotated[
        bool, Meta(description="Nobody else may even ask: what strangers send is dropped, and they learn nothing.")
    ] = False
    panel_lock: Annotated[
        bool,
        Meta(description="The buttons make and take calls and play messages, but change no control and open no menu."),
    ] = False


class BoxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one box. Whatever is missing here has its default, which this sample shows."""

    panel: PanelSettings = PanelSettings()
    sound: SoundSettings = SoundSettings()
    calls: CallSettings = CallSettings()
    speech: SpeechSettings = SpeechSettings()
    keep: Retention = Retention()
    family: FamilySettings = FamilySettings()
