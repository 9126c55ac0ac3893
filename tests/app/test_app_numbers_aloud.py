"""A new box says the numbers to compare, again and again; what it lacks for that is told in words."""

import time
from collections.abc import Callable

import pytest

from callbox.app import numbers_aloud
from callbox.app.numbers_aloud import NumbersAloud
from callbox.app.settings import BoxSettings, SpeechSettings
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.speech import SpeechFault
from callbox.audio.speech.simulated import SimulatedVoice
from callbox.base.frames import CYCLE_SAMPLES, Samples, silence
from callbox.testing.ears import TimedCard

NUMBERS, OTHERS = "1234 5678 9012", "4321 8765 2109"
SAID = ["The other box must say the same numbers.", "1 2 3 4, 5 6 7 8, 9 0 1 2."]
PATIENCE_S = 20.0


class Hoarse:
    def say(self, text: str, language: str) -> Samples:
        del text, language
        raise SpeechFault("espeak-ng is not installed, so the box cannot speak.", "sudo apt install espeak-ng")


class Case:
    def __init__(self, speech: SpeechSettings, voice: object) -> None:
        self.card = TimedCard("card", lambda: silence(CYCLE_SAMPLES), time.monotonic)
        self.complaints: list[str] = []
        settings = BoxSettings(speech=speech)
        devices = SimulatedDevices([self.card])
        self.aloud = NumbersAloud(settings, self.complaints.append, voice, devices)  # type: ignore[arg-type]

    @property
    def words(self) -> list[str]:
        return self.card.ear.words

    def until(self, happened: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < give_up_at, (self.words, self.complaints)
            time.sleep(0.005)


def test_the_numbers_are_said_again_and_again_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers_aloud, "SAY_AGAIN_S", 0.01)
    case = Case(SpeechSettings(), SimulatedVoice())
    case.aloud.say(NUMBERS)
    case.until(lambda: len(case.words) >= 4)
    case.aloud.stop()
    assert case.words[:4] == SAID + SAID
    assert case.card.opened == 0
    said = len(case.words)
    time.sleep(0.05)
    assert len(case.words) == said
    assert case.complaints == []


def test_newer_numbers_take_the_place_of_the_old_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers_aloud, "SAY_AGAIN_S", 0.01)
    case = Case(SpeechSettings(language="de"), SimulatedVoice())
    case.aloud.say(NUMBERS)
    case.until(lambda: SAID[1] in case.words)
    case.aloud.say(OTHERS)
    case.until(lambda: "4 3 2 1, 8 7 6 5, 2 1 0 9." in case.words)
    case.aloud.stop()
    after = case.words[case.words.index("4 3 2 1, 8 7 6 5, 2 1 0 9.") :]
    assert SAID[1] not in after
    assert "Die andere Box muss dieselben Zahlen sagen." in case.words


@pytest.mark.parametrize(
    ("missing", "words"),
    [("voice", "espeak-ng is not installed"), ("speaker", "There is no sound"), ("language", "no sentences")],
)
def test_what_keeps_them_from_being_said_is_told_once_with_its_cure(missing: str, words: str) -> None:
    speech = SpeechSettings(language="xx") if missing == "language" else SpeechSettings()
    case = Case(speech, Hoarse() if missing == "voice" else SimulatedVoice())
    if missing == "speaker":
        case.card.unplug()
    case.aloud.say(NUMBERS)
    case.until(lambda: bool(case.complaints))
    case.aloud.stop()
    (complaint,) = case.complaints
    assert complaint.startswith("The numbers are not spoken: ")
    assert words in complaint
    assert "\n" in complaint, "a cure follows"


def test_a_box_that_is_to_be_silent_is() -> None:
    case = Case(SpeechSettings(voice="none"), SimulatedVoice())
    case.aloud.say(NUMBERS)
    case.aloud.stop()
    assert case.words == case.complaints == []
