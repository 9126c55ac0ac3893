"""What somebody on the wire can measure of a call: sizes and pace, which say nothing of the voice."""

from collections import Counter

import numpy as np
import pytest

from callbox.server.events import Received
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.media import MEDIA_TYPE, unpack_media
from scenarios.acts import talk

CAPTURE_S = 20.0
SETTLED_S = 8.0


class Wiretap:
    """Notes when media messages reach the server, and how long they are, by who sent them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.messages: list[tuple[float, int, int]] = []  # at, connection, bytes
        self.frame_sizes: set[int] = set()
        world.server.listen_in = self._note

    def _note(self, event: object) -> None:
        if isinstance(event, Received) and event.data[:1] == bytes([MEDIA_TYPE]):
            self.messages.append((self._world.now, event.connection, len(event.data)))
            self.frame_sizes |= {len(frame) for frame in unpack_media(event.data)[1]}


def speech(box: SimulatedBox) -> None:
    box.speaking = True


def silence(box: SimulatedBox) -> None:
    box.speaking = False


def muted(box: SimulatedBox) -> None:
    box.press("mute")


def speech_and_pauses(box: SimulatedBox) -> None:
    """Speak in syllables: the burst and the pause are what a variable rate would give away."""

    def syllables() -> None:
        box.speaking = int(box.world.now * 4) % 3 != 0

    box.world.at_every_step(syllables)


def capture(act: str) -> tuple[Counter[int], list[float]]:
    """Return the sizes of a box's media messages, and the pauses between them, while its person does one thing."""
    world = World(seed=5)
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.speaking = False
    tap = Wiretap(world)
    talk_quietly(world, kitchen, workshop)
    ACTS[act](kitchen)
    world.run(SETTLED_S)
    tap.messages.clear()
    tap.frame_sizes.clear()
    world.run(CAPTURE_S)
    assert kitchen.state == "talking"
    assert kitchen.voice_leaves is (act not in ("silence", "muted")) or act == "speech_and_pauses"
    sender = kitchen_connection(tap, kitchen)
    own = [(at, size) for at, connection, size in tap.messages if connection == sender]
    times = [at for at, _ in own]
    assert len(tap.frame_sizes) == 1, "voice, silence and reports are all as long"
    return Counter(size for _, size in own), [float(pause) for pause in np.diff(times)]


def talk_quietly(world: World, kitchen: SimulatedBox, workshop: SimulatedBox) -> None:
    workshop.speaking = True
    talk(world, kitchen, workshop)
    workshop.speaking = False


def kitchen_connection(tap: Wiretap, kitchen: SimulatedBox) -> int:
    """Return the connection of the caller's lane: it joined first, and lanes are numbered as they come."""
    return min(connection for _, connection, _ in tap.messages)


ACTS = {"speech": speech, "silence": silence, "muted": muted, "speech_and_pauses": speech_and_pauses}


@pytest.fixture(scope="module")
def of_speech() -> tuple[Counter[int], list[float]]:
    return capture("speech")


@pytest.mark.parametrize("act", ["silence", "muted", "speech_and_pauses"])
def test_frames_tell_nothing_of_the_voice(act: str, of_speech: tuple[Counter[int], list[float]]) -> None:
    sizes, pauses = capture(act)
    spoken_sizes, spoken_pauses = of_speech
    assert sum(sizes.values()) > 1000
    assert set(sizes) == set(spoken_sizes)
    for size, count in sizes.items():  # a report goes along once a second, whatever is said
        assert count == pytest.approx(spoken_sizes[size], abs=3)
    for share in (1, 25, 50, 75, 99):
        assert np.percentile(pauses, share) == pytest.approx(np.percentile(spoken_pauses, share), abs=0.0005)
