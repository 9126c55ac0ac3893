"""No voice: the box tells by lights and tones alone."""

from callbox.audio.speech import SpeechFault, Voice
from callbox.base.frames import Samples


class NoVoice:
    """Says nothing."""

    def say(self, text: str, language: str) -> Samples:
        """Raise SpeechFault: there is no voice."""
        del text, language
        raise SpeechFault("This box has no voice.", 'Give it one in box.toml: [speech] voice = "espeak"', lasting=True)


def voice(**options: object) -> Voice:
    """Return a voice that says nothing, whatever the options."""
    del options
    return NoVoice()
