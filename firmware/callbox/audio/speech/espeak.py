"""The voice of espeak-ng: one short-lived process per sentence, killed if it hangs.

    text -> stdin -> espeak-ng --stdout -> WAV, mono 22,050 Hz -> 48 kHz

The text goes in by standard input and is never read as markup or as an option. A process, not the library: whatever a
strange text does to it ends with the process, and the box goes on.
"""

import os
import re
import subprocess

import numpy as np

from callbox.audio.devices.resample import resampled
from callbox.audio.speech import SpeechFault, Voice, harmless
from callbox.base.frames import RATE_HZ, Samples, silence

PROGRAM = "espeak-ng"
PATIENCE_S = 10.0
LONGEST_S = 120  # of speech; what a piece of text may become at most
HEADER_BYTES = 44
DEFAULT_WORDS_PER_MINUTE = 160
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}")
_VARIANT = re.compile(r"[A-Za-z0-9_-]{0,32}")
CURE = "Install it: sudo apt install espeak-ng"


class Espeak:
    """See the drawing above. `variant`: one of espeak-ng's own, such as f3; "" is its usual voice."""

    def __init__(self, variant: str, words_per_minute: int, program: str, patience_s: float) -> None:
        if not _VARIANT.fullmatch(variant):
            raise SpeechFault(f"{variant!r} is not the name of a voice variant.", "Some are: f2, f3, m3, whisper.")
        self._variant = variant
        self._words_per_minute = words_per_minute
        self._program = program
        self._patience_s = patience_s

    def say(self, text: str, language: str) -> Samples:
        """Return the spoken text. Raises SpeechFault: not installed, unknown language, hung, failed."""
        if not _LANGUAGE.fullmatch(language):
            raise SpeechFault(f"{language!r} is not the name of a language.")
        plain = harmless(text)
        if not any(character.isalnum() for character in plain):
            return silence(0)
        name = f"{language}+{self._variant}" if self._variant else language
        rate = str(self._words_per_minute)
        command = [self._program, "--stdin", "--stdout", "-b", "1", "-z", "-v", name, "-s", rate]
        return _samples(self._run(command, plain.encode("utf-8", "replace")))

    def _run(self, command: list[str], text: bytes) -> bytes:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                command, input=text, capture_output=True, timeout=self._patience_s, check=False, env=environment
            )
        except FileNotFoundError:
            raise SpeechFault(
                f"{self._program} is not installed, so the box cannot speak.", CURE, lasting=True
            ) from None
        except subprocess.TimeoutExpired:
            raise SpeechFault(f"{self._program} took longer than {self._patience_s:.0f} s and was ended.") from None
        except OSError as error:
            raise SpeechFault(f"{self._program} does not start: {error.strerror}.", CURE, lasting=True) from None
        if done.returncode or len(done.stdout) < HEADER_BYTES:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise SpeechFault(f"{self._program} failed: {said[-1][:200] if said else f'exit code {done.returncode}'}")
        return done.stdout


def _samples(wav: bytes) -> Samples:
    """Read espeak-ng's WAV: 44 bytes of header, of which the length is wrong, for it was written to a pipe."""
    rate_hz = int.from_bytes(wav[24:28], "little")
    if wav[:4] != b"RIFF" or rate_hz not in (16_000, 22_050, 24_000, 44_100, RATE_HZ):
        raise SpeechFault("espeak-ng gave something that is not speech.")
    pcm = wav[HEADER_BYTES:][: 2 * rate_hz * LONGEST_S]
    return resampled(np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.int16), rate_hz, RATE_HZ)


def voice(
    variant: str = "",
    words_per_minute: int = DEFAULT_WORDS_PER_MINUTE,
    program: str = PROGRAM,
    patience_s: float = PATIENCE_S,
) -> Voice:
    """Return espeak-ng's voice. Nothing is started yet. Raises SpeechFault for an impossible variant."""
    return Espeak(variant, words_per_minute, program, patience_s)
