"""Real sound cards without hardware: a private PulseAudio daemon that PortAudio sees as ALSA devices.

    play(name) -> pacat -> sink NAME_mouth -> its monitor = source NAME_microphone -> PortAudio -> the box
    the box -> PortAudio -> sink NAME_speaker -> its monitor -> parec -> record(name)

Every process gets its own runtime folder; nothing of the user's sound system is touched. It works as root and
not, and needs no system bus. `norewinds=1` matters: without it a writer that blocks is given two seconds of
delay. A child process started with `environment` finds exactly the named cards, and "default" for the first.
"""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from callbox.app import priority
from callbox.audio.devices.wav import read_wav
from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples, silence

_READY_WITHIN_S = 10.0
_REAL_TIME_PRIORITY = 10
_ORPHAN_S = 600  # a daemon whose starter was killed ends by itself, once nobody has used it for so long
_FORMAT = ("--raw", "--format=s16le", f"--rate={RATE_HZ}", "--channels=1")


class Recorder:
    """Records one source from now on. `started_at` is the monotonic time of the first sample."""

    def __init__(self, source: str, environment: Mapping[str, str]) -> None:
        self.started_at = float("inf")
        self._parts: list[bytes] = []
        self._bytes = 0
        self._process = subprocess.Popen(
            ["parec", *_FORMAT, "--latency-msec=5", f"--device={source}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
        )
        hurry(self._process.pid)
        self._heard = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"record-{source}", daemon=True)
        self._thread.start()
        if not self._heard.wait(_READY_WITHIN_S):
            self.stop()
            raise CallboxError(f"nothing can be recorded from {source}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        while part := os.read(self._process.stdout.fileno(), 1 << 16):
            now = time.monotonic()
            self._parts.append(part)
            self._bytes += len(part)
            # A chunk can only come late: the earliest start that any chunk proves is the true one.
            self.started_at = min(self.started_at, now - self._bytes / 2 / RATE_HZ)
            self._heard.set()

    def stop(self) -> Samples:
        """Stop and return what was recorded, mono 48 kHz. Safe to call twice."""
        _end(self._process)
        self._thread.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        whole = b"".join(self._parts)
        return np.frombuffer(whole[: len(whole) // 2 * 2], dtype="<i2").astype(np.int16)


class VirtualCard:
    """One card per name, each with a microphone and a speaker. Use as a context manager."""

    def __init__(self, names: Sequence[str] = ("kitchen", "workshop")) -> None:
        self.names = tuple(names)
        self.folder = Path()
        self.environment: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._recorders: list[Recorder] = []

    def __enter__(self) -> "VirtualCard":
        missing = [program for program in ("pulseaudio", "pacat", "parec", "pactl") if shutil.which(program) is None]
        if missing or not _alsa_plugin_there():
            raise CallboxError(
                "a virtual sound card needs PulseAudio and its ALSA plugin",
                "install them: sudo apt install pulseaudio pulseaudio-utils libasound2-plugins",
            )
        self.folder = Path(tempfile.mkdtemp(prefix="callbox-card-"))
        try:
            self._write_settings()
            self._start_daemon()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process that was started here, and remove the folder. Safe to call twice."""
        for recorder in self._recorders:
            recorder.stop()
        for process in reversed(self._processes):
            _end(process)
        self._processes.clear()
        self._recorders.clear()
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def daemon(self) -> int:
        """The sound daemon's process id."""
        return self._processes[0].pid

    def play(self, name: str, sound: Samples | Path | str) -> "subprocess.Popen[bytes]":
        """Play samples, or a WAV file, into the microphone of `name`; return the player, which ends by itself."""
        samples = sound if isinstance(sound, np.ndarray) else read_wav(Path(sound))
        file = self.folder / f"say-{len(self._processes)}.raw"
        # Half a second of silence at the end: a player that is drained too early loses the last word.
        file.write_bytes(samples.astype("<i2").tobytes() + silence(RATE_HZ // 2).tobytes())
        player = subprocess.Popen(
            ["pacat", "--playback", *_FORMAT, "--latency-msec=40", f"--device={name}_mouth", str(file)],
            env=self.environment,
            stderr=subprocess.DEVNULL,
        )
        hurry(player.pid)
        self._processes.append(player)
        return player

    def record(self, name: str) -> Recorder:
        """Record what the speaker of `name` plays."""
        return self._record(f"{name}_speaker.monitor")

    def record_microphone(self, name: str) -> Recorder:
        """Record what the microphone of `name` hears: the other end of a mouth-to-ear measurement."""
        return self._record(f"{name}_mouth.monitor")

    def _record(self, source: str) -> Recorder:
        recorder = Recorder(source, self.environment)
        self._recorders.append(recorder)
        return recorder

    def _write_settings(self) -> None:
        socket = self.folder / "native"
        script = [f".fail\nload-module module-native-protocol-unix auth-anonymous=1 socket={socket}"]
        alsa = []
        for name in self.names:
            for sink in (f"{name}_speaker", f"{name}_mouth"):
                script.append(
                    f"load-module module-null-sink sink_name={sink} norewinds=1 rate={RATE_HZ} channels=1 format=s16le"
                )
            script.append(
                f"load-module module-remap-source source_name={name}_microphone master={name}_mouth.monitor"
                " channels=1 channel_map=mono master_channel_map=mono remix=no"
            )
            alsa.append(_alsa_card(name, name, socket))
        # PortAudio aborts the process if no device is called "default".
        alsa.append(_alsa_card("default", self.names[0], socket))
        (self.folder / "daemon.pa").write_text("\n".join(script) + "\n")
        (self.folder / "alsa.conf").write_text("\n".join(alsa))
        self.environment = {
            **os.environ,
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_RUNTIME_PATH": str(self.folder / "run"),
            "PULSE_STATE_PATH": str(self.folder / "state"),
            "PULSE_SERVER": f"unix:{socket}",
            "ALSA_CONFIG_PATH": str(self.folder / "alsa.conf"),
            "JACK_NO_START_SERVER": "1",
        }

    def _start_daemon(self) -> None:
        with (self.folder / "daemon.log").open("wb") as log:
            daemon = subprocess.Popen(
                [
                    "pulseaudio",
                    "-n",
                    "-F",
                    str(self.folder / "daemon.pa"),
                    "--daemonize=no",
                    f"--exit-idle-time={_ORPHAN_S}",
                    "--use-pid-file=no",
                    "--disable-shm=yes",
                    "--realtime=yes",
                    "--high-priority=yes",
                ],
                env={key: value for key, value in self.environment.items() if key != "PULSE_SERVER"},
                stdout=log,
                stderr=log,
            )
        self._processes.append(daemon)
        hurry(daemon.pid)
        until = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < until and daemon.poll() is None:
            told = subprocess.run(
                ["pactl", "list", "short", "sources"], env=self.environment, capture_output=True, check=False
            )
            if f"{self.names[-1]}_microphone".encode() in told.stdout:
                return
            time.sleep(0.05)
        log_text = (self.folder / "daemon.log").read_text(errors="replace")[-600:]
        raise CallboxError(f"the private PulseAudio daemon did not start:\n{log_text}")


def _alsa_card(name: str, card: str, socket: Path) -> str:
    half = f'{{ type pulse server "unix:{socket}" device "{card}_%s" }}'
    return (
        f"pcm.{name} {{\n    type asym\n    playback.pcm {half % 'speaker'}\n"
        f"    capture.pcm {half % 'microphone'}\n    hint.description {name}\n}}\n"
    )


def _alsa_plugin_there() -> bool:
    return any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))


def hurry(pid: int) -> None:
    """Put a process before ordinary load, where that is allowed: otherwise gaps of 100 ms show in recordings."""
    priority.hurry(_REAL_TIME_PRIORITY, pid)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End one process, by its id, and collect it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(3)
