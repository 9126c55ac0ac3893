"""A real recorded human voice for demonstrations and measurements, from a Debian package. None is in this project.

Looked for in this order: pocketsphinx-testdata (public-domain audiobook), asterisk-core-sounds-en-g722
(CC-BY-SA-3.0, decoded by ffmpeg or sox), and, as a last resort, speech made by espeak-ng.
"""

import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callbox.audio.devices.resample import resampled
from callbox.audio.devices.wav import read_wav
from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples

_LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
_ASTERISK = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
_PROMPTS = ("demo-congrats.g722", "demo-echotest.g722", "priv-callee-options.g722")
_MADE = "The kitchen is calling the workshop. Supper is ready, so please wash your hands and come over."


@dataclass(frozen=True, slots=True)
class Voice:
    """Mono 48 kHz speech, where it is from, and whether a person spoke it."""

    samples: Samples
    source: str
    human: bool


def find_voice(seconds: float | None = None) -> Voice:
    """Return recorded speech, cut to `seconds` if given. Raises CallboxError naming the packages to install."""
    voice = _from_pocketsphinx() or _from_asterisk() or _from_espeak()
    if voice is None:
        raise CallboxError(
            "no recorded voice is installed",
            "install one: sudo apt install pocketsphinx-testdata (or asterisk-core-sounds-en-g722, or espeak-ng)",
        )
    if seconds is None:
        return voice
    wanted = int(seconds * RATE_HZ)
    repeats = -(-wanted // len(voice.samples))
    return Voice(np.tile(voice.samples, repeats)[:wanted], voice.source, voice.human)


def _from_pocketsphinx() -> Voice | None:
    files = sorted(_LIBRIVOX.glob("*.wav"))
    if not files:
        return None
    return Voice(np.concatenate([read_wav(file) for file in files]), "pocketsphinx-testdata", True)


def _from_asterisk() -> Voice | None:
    files = [_ASTERISK / name for name in _PROMPTS if (_ASTERISK / name).is_file()]
    parts = [part for file in files if (part := _decode_g722(file)) is not None]
    return Voice(np.concatenate(parts), "asterisk-core-sounds-en-g722", True) if parts else None


def _decode_g722(file: Path) -> Samples | None:
    if shutil.which("ffmpeg") is None:
        return None
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(file), "-f", "s16le", "-ar", "16000", "-ac", "1", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        return None
    return resampled(np.frombuffer(done.stdout, dtype="<i2").astype(np.int16), 16_000, RATE_HZ)


def _from_espeak() -> Voice | None:
    if shutil.which("espeak-ng") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "voice.wav"
        done = subprocess.run(["espeak-ng", "-w", str(file), _MADE], capture_output=True, check=False)
        if done.returncode != 0:
            return None
        # espeak-ng writes 22,050 Hz, which is no whole number of samples per 10 ms: let it be read as 22,000.
        samples = _read_loosely(file)
    return Voice(samples, "espeak-ng", False)


def _read_loosely(file: Path) -> Samples:
    with wave.open(str(file)) as wav:
        pcm = np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2").astype(np.int16)
    return resampled(pcm, 22_000, RATE_HZ)
