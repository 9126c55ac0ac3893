"""Voice messages on the command line: a WAV or Ogg Opus file is sent, and one that came becomes a file."""

import base64
import os
from pathlib import Path

from callbox.app.commands.asking import ask_or_open
from callbox.app.commands.words import Options, print_facts
from callbox.base.errors import CallboxError, WrongUse
from callbox.wire.names import valid_name

MOST_FILE_BYTES = 128 * 1024 * 1024  # five minutes at 96 kHz with two channels
FORMATS = "Give a WAV file (16 bit) or an Ogg Opus file: ffmpeg -i FILE -ac 1 -c:a libopus out.ogg"


def send_voice(options: Options) -> int:
    """Send a file as a voice message."""
    contact = valid_name(options.contact)
    sound = base64.b64encode(read_voice(Path(options.voice))).decode()
    reply = ask_or_open(options, "voice", then="sent", contact=contact, sound=sound)
    print_facts(options, reply, f"{reply['state']}: voice message {reply['id'][:8]}")
    return 0


def save_voice(options: Options) -> int:
    """Write the sound of a voice message into a new file."""
    prefix, file = options.save
    reply = ask_or_open(options, "sound", id=prefix)
    content = base64.b64decode(reply.pop("sound"))
    write_new(Path(file), content)
    print_facts(options, {**reply, "file": str(file), "bytes": len(content)}, f"{file}: {len(content)} bytes, Ogg Opus")
    return 0


def read_voice(path: Path) -> bytes:
    """Return a file as Ogg Opus; a WAV file is encoded. Raises CallboxError for what cannot be a voice message."""
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise WrongUse(f"{path} is too large for a voice message.", "It may last up to 5 minutes.")
        content = path.read_bytes()
    except OSError as error:
        raise CallboxError(f"{path} cannot be read: {error.strerror}.") from None
    if content.startswith(b"OggS"):
        return content
    if not content.startswith(b"RIFF"):
        raise WrongUse(f"{path} is neither a WAV nor an Ogg file.", FORMATS)
    from callbox.audio import ogg
    from callbox.audio.codecs import open_codec
    from callbox.audio.devices.wav import read_wav
    from callbox.audio.recorder import MOST_S, encode
    from callbox.base.frames import RATE_HZ

    samples = read_wav(path)
    if len(samples) > MOST_S * RATE_HZ:
        seconds = len(samples) // RATE_HZ
        raise WrongUse(f"{path} is too long: {seconds} s.", f"A voice message lasts up to {MOST_S // 60} minutes.")
    if not len(samples):
        raise WrongUse(f"There is no sound in {path}.")
    return ogg.write(encode(open_codec(), samples))


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all. Raises CallboxError."""
    try:
        opened = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise WrongUse(f"{path} is there already.", "Name a new file.") from None
    except OSError as error:
        raise CallboxError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise CallboxError(f"{path} could not be written: {error.strerror}.", "Is the disk full?") from None
