"""Settings: every problem at once with its line, the words of each error, and a sample that loads."""

import tomllib
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.errors import WrongUse
from callbox.base.settings import BadSettings, did_you_mean, load_settings, locate, sample
from callbox.base.settings_types import allowed


class Knob(msgspec.Struct, frozen=True):
    """One knob of the test box."""

    pin: Annotated[int, msgspec.Meta(ge=0, le=27, description="Its pin.", examples=[17])]
    pull: Literal["up", "down"] = "up"


class Sound(msgspec.Struct, frozen=True):
    """Which card to use, and how loud."""

    volume: Annotated[float, msgspec.Meta(ge=0, le=1, description="Loudness, 0 to 1.")] = 0.5
    device: Annotated[str | None, msgspec.Meta(description="The card.", examples=["usb, left"])] = None
    low: int = 0
    high: int = 10

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


class Box(msgspec.Struct, frozen=True):
    name: str = "box, one"
    tags: tuple[str, ...] = ("a, b", "c")
    sound: Sound = msgspec.field(default_factory=Sound)
    knobs: dict[str, Knob] = msgspec.field(default_factory=dict, name="knob")


BAD = """\
nmae = "kitchen"
[sound]
volume = 3
device = 4
[knob.one]
pin = true
[knob.two]
pull = "sideways"
[sonud]
x = 1
"""


def test_every_problem_is_told_at_once_with_its_line() -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(BAD, "box.toml", Box)
    assert str(caught.value).splitlines() == [
        'box.toml:1 nmae = "kitchen": There is no such setting. Did you mean `name`?',
        "box.toml:3 [sound] volume = 3: This must be a number from 0 to 1.",
        "box.toml:4 [sound] device = 4: This must be text.",
        "box.toml:6 [knob.one] pin = true: This must be a whole number from 0 to 27.",
        "box.toml:7 [knob.two]: `pin` is missing. Give a whole number from 0 to 27.",
        'box.toml:8 [knob.two] pull = "sideways": This must be one of "down", "up".',
        "box.toml:9 [sonud]: There is no such section. Did you mean `sound`?",
    ]
    assert isinstance(caught.value, WrongUse)
    assert caught.value.exit_code == 2


def test_good_settings_load() -> None:
    box = load_settings("[sound]\nvolume = 1\n[knob.one]\npin = 17\n", "box.toml", Box)
    assert box == Box(sound=Sound(volume=1.0), knobs={"one": Knob(17)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = \n", "box.toml:2: This line cannot be read as TOML: Invalid value."),
        ("name = 1\nname = 2\n", "box.toml:2: This line cannot be read as TOML: Cannot overwrite a value."),
        ("sound = 5\n", "box.toml:1 sound = 5: This is a section: write [sound] and its settings below."),
        ("knob = 5\n", "box.toml:1 knob = 5: This is a section: write [knob.NAME] and its settings below."),
        ("\n[sound]\nlow = 11\n", "box.toml:2 [sound]: low is above high."),
    ],
)
def test_shapes_that_are_no_settings(text: str, message: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(text, "box.toml", Box)
    assert str(caught.value) == message


def test_a_text_that_stops_in_the_middle_names_its_last_line() -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings('name = "a"\n[sound', "box.toml", Box)
    assert caught.value.problems[0].line == 2


LAYOUT = '''\
top = 1
note = """
[button.talk]
pin = 3
"""
[ button . "talk" ]   # the big one
pin = 17
[button.mute]
pin = 4
[light]
live = { pin = 5 }
call.pin = 6
'''


@pytest.mark.parametrize(
    ("section", "key", "line"),
    [
        ("", "top", 1),
        ("button.talk", None, 6),
        ("button.talk", "pin", 7),
        ("button.talk", "pull", 6),
        ("button.mute", "pin", 9),
        ("light.live", "pin", 11),
        ("light.call", "pin", 12),
        ("light", None, 10),
        ("button", None, 6),
        ("nowhere", "at_all", 1),
    ],
)
def test_locate(section: str, key: str | None, line: int) -> None:
    assert locate(LAYOUT, section, key) == line


@given(st.text(alphabet="ab.=\"'[]#\n ", max_size=80))
def test_locate_never_fails_and_stays_inside_the_text(text: str) -> None:
    assert 1 <= locate(text, "a.b", "a") <= max(1, len(text.splitlines()))


@given(st.text(alphabet="abpin.=1\"'[]{}#\n ", max_size=80))
def test_any_text_loads_or_is_refused_in_words(text: str) -> None:
    refused: list[str] = []
    try:
        load_settings(text, "box.toml", Box)
    except BadSettings as error:
        refused = [problem.sentence for problem in error.problems] or [""]
    assert all(refused)


def test_did_you_mean() -> None:
    assert did_you_mean("tlak", ["talk", "mute"]) == "Did you mean `talk`?"
    assert did_you_mean("x", ["talk", "mute"]) == "Allowed here: mute, talk."


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (Annotated[int, msgspec.Meta(gt=0)], "a whole number above 0"),
        (Annotated[int, msgspec.Meta(ge=1)], "a whole number from 1 up"),
        (Annotated[float, msgspec.Meta(gt=0, lt=1)], "a number above 0 to below 1"),
        (Annotated[int, msgspec.Meta(le=9)], "a whole number up to 9"),
        (Annotated[int, msgspec.Meta(ge=2, le=27)] | Literal["ACT"], 'a whole number from 2 to 27 or "ACT"'),
        (list[str], "a list, each text"),
    ],
)
def test_what_is_allowed_in_words(kind: object, words: str) -> None:
    assert allowed(kind) == words


def test_the_sample_loads_as_the_defaults_and_names_every_setting() -> None:
    text = sample(Box)
    assert load_settings(text, "sample", Box) == Box()
    for word in ('# device = "usb, left"', "# Loudness, 0 to 1.", "# [knob.NAME]", "# pin = 17", "volume = 0.5"):
        assert word in text.splitlines()
    uncommented = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line or "[" in line)
    assert set(tomllib.loads(uncommented)["knob"]["NAME"]) == {"pin", "pull"}
