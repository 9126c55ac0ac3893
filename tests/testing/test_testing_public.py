"""What `callbox.testing` offers to others: a name that stands here stays, for their tests call it."""

import dataclasses
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callbox.testing import measure, plugin, voice
from callbox.testing.box import SimulatedBox
from callbox.testing.network import Conditions, Network
from callbox.testing.server import SimulatedServer
from callbox.testing.virtual_card import VirtualCard
from callbox.testing.world import World

OFFERED: dict[type, set[str]] = {
    World: {"at_every_step", "box", "call", "friends", "now", "run", "second", "story", "until", "wall_ms"},
    SimulatedBox: {
        "ask", "ask_later", "ask_to_link", "call", "call_lines", "hears", "hears_sound",
        "hears_tone", "hold", "join", "kill", "leave", "light", "link", "on", "press", "recently_heard",
        "release", "rhythm", "says", "start", "state", "stop", "thread", "voice_leaves", "words",
    },
    SimulatedServer: {"invite", "kill", "move", "start"},
    Network: {"blackhole", "cut", "restore", "set_conditions"},
    VirtualCard: {"close", "play", "record", "record_microphone"},
}  # fmt: skip


@pytest.mark.parametrize("offered", OFFERED, ids=lambda offered: offered.__name__)
def test_what_others_call_is_there_and_explains_itself(offered: type) -> None:
    public = {name for name in dir(offered) if not name.startswith("_")}
    assert public >= OFFERED[offered]
    assert inspect.getdoc(offered)


def test_what_boxes_and_worlds_offer_is_all_listed() -> None:
    inner = {"box", "deadline", "tick"} | {"note", "note_lights"}
    for offered in (World, SimulatedBox):
        public = {name for name in vars(offered) if not name.startswith("_")}
        assert public - OFFERED[offered] <= inner


def test_attributes_that_tests_set_and_read(world: World) -> None:
    kitchen = world.box("kitchen")
    for name in ("name", "speaking", "settings", "store", "card", "pins", "logged", "tones", "replies", "tone_hz"):
        assert hasattr(kitchen, name), name
    for name in ("seed", "network", "server", "boxes", "timeline", "chance"):
        assert hasattr(world, name), name


def test_a_network_is_spoilt_by_these() -> None:
    assert [field.name for field in dataclasses.fields(Conditions)] == ["delay_ms", "jitter_ms", "loss", "rate_kbps"]


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (measure.mouth_to_ear, ["sent", "heard", "offset_s"]),
        (measure.intelligibility, ["sent", "heard", "offset_s"]),
        (voice.find_voice, ["seconds"]),
    ],
)
def test_functions_that_measure(function: Callable[..., object], parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_the_plugin_brings_the_world_and_costs_nothing_until_it_is_used() -> None:
    assert hasattr(plugin, "world")
    code = "import sys, callbox.testing.plugin; print(any(name in sys.modules for name in ('numpy', 'callbox.app')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "False"


def test_the_example_of_the_readme_runs(world: World) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    example = text.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(example, "tests/README.md", "exec"), names)
    names["test_a_call"](world)
