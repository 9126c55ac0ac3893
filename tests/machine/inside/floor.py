"""What the same cards and the same codec come to without a call between them.

floor.py card SECONDS      the kitchen's microphone is copied to the workshop's speaker by the sound library alone
floor.py opus              instructions for a second of sound, encoded and decoded once, at the default step

Run by the package's own Python: it measures its sound device and its codec.
"""

import subprocess
import sys
import time
from pathlib import Path

PYTHON = "/opt/callbox/bin/python"
COPY = """
from callbox.app import priority
from callbox.audio.devices import open_backend
priority.hurry(priority.AUDIO)
device = open_backend("portaudio").open("kitchen", "workshop")
while True:
    device.write(device.read())
"""
OPUS = """
import json, time
import numpy as np
from callbox.audio.codecs import open_codec
from callbox.audio.steps import DEFAULT_STEP as step
voice = np.fromfile("/run/voice/kitchen.raw", dtype="<i2")[: 10 * 48_000]
codec, size = open_codec(), step.packet_samples
encoder, decoder = codec.encoder(step.bits_per_s, step.packet_ms), codec.decoder()
packets = [voice[at : at + size] for at in range(0, len(voice) - size + 1, size)]
for warm in packets[:50]:
    decoder.decode(encoder.encode(warm), size)
began = time.process_time()
for packet in packets:
    decoder.decode(encoder.encode(packet), size)
used_s = time.process_time() - began
print(json.dumps({"step": step.name, "cpu": used_s / (len(packets) * step.packet_ms / 1000)}))
"""


def card(seconds: float) -> None:
    from machine.inside.hands import tell, until
    from machine.inside.sound import Stream

    copying = subprocess.Popen([PYTHON, "-c", COPY])
    try:
        running = Path("/proc/asound/workshop/pcm0p/sub0/status")
        until(lambda: "RUNNING" in running.read_text(), 20, "the copy runs", 0.05)
        time.sleep(1.0)
        ear, mouth = Stream("workshop", "c", seconds + 1.0), Stream("kitchen", "p", seconds)
        until(lambda: ear.began() and mouth.began(), 5, "both streams run", 0.02)
        began = {"ear": {"workshop": ear.began()}, "mouth": {"kitchen": mouth.began()}}
        for stream in (ear, mouth):
            stream.process.wait(seconds + 20)
    finally:
        copying.kill()
        copying.wait()
    tell(began=began)


if __name__ == "__main__":
    if sys.argv[1] == "card":
        card(float(sys.argv[2]))
    else:
        print(subprocess.run([PYTHON, "-c", OPUS], check=True, capture_output=True, text=True).stdout.strip())
