"""The speaking desk: pieces go out one ahead of what is said, an utterance ends once, a new one takes its place."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from callbox.app.core import Core
from callbox.app.effects import Log, Speak
from callbox.app.events import SpeechFailed, Spoken
from callbox.app.phrases import load_phrases
from callbox.app.reading import PIECE, cut, split
from callbox.app.settings import BoxSettings
from callbox.app.speaking import Piece, Speaking
from callbox.audio.facts import PlaySpeech, SpeechEnded, StopSpeech

SOUND = np.ones(480, dtype=np.int16)
NO_SOUND = np.zeros(0, dtype=np.int16)


class Desk:
    """A speaking desk, and what it wants of the world."""

    def __init__(self) -> None:
        self.effects: list[Any] = []
        core = SimpleNamespace(
            settings=BoxSettings(),
            now=0.0,
            emit=lambda *effects: self.effects.extend(effects),
            warn=lambda text: self.effects.append(Log("warning", text)),
        )
        self.speaking = Speaking(cast(Core, core), load_phrases("en"))
        self.ends: list[bool] = []

    def speak(self, *texts: str) -> None:
        self.speaking.speak([Piece(text, "en") for text in texts], self.ends.append)

    def did(self) -> list[Any]:
        done, self.effects = self.effects, []
        return done

    def asked(self) -> Speak:
        (effect,) = [effect for effect in self.did() if isinstance(effect, Speak)]
        return effect


def test_the_next_piece_is_made_while_one_is_said_and_no_more_than_that() -> None:
    desk = Desk()
    desk.speak("one", "two", "three", "four")
    first = desk.asked()
    assert first.text == "one"
    desk.speaking.spoken(Spoken(first.ticket, SOUND))
    second = desk.asked()
    assert second.text == "two"
    desk.speaking.spoken(Spoken(second.ticket, SOUND))
    assert [effect.ticket for effect in desk.did() if isinstance(effect, PlaySpeech)] == [second.ticket]
    desk.speaking.ended(SpeechEnded(first.ticket, True))
    third = desk.asked()
    desk.speaking.spoken(Spoken(third.ticket, NO_SOUND))
    fourth = desk.asked()
    desk.speaking.spoken(Spoken(fourth.ticket, SOUND))
    for ticket in (second.ticket, fourth.ticket):
        assert desk.ends == []
        assert desk.speaking.busy
        desk.speaking.ended(SpeechEnded(ticket, True))
    assert desk.ends == [True]
    assert not desk.speaking.busy


def test_with_nothing_to_say_it_is_over_at_once() -> None:
    desk = Desk()
    desk.speak()
    assert desk.ends == [True]
    desk.speak("👍")
    desk.speaking.spoken(Spoken(desk.asked().ticket, NO_SOUND))
    assert desk.ends == [True, True]


@pytest.mark.parametrize("made", [False, True])
def test_a_new_utterance_takes_the_place_of_the_old_one(made: bool) -> None:
    desk = Desk()
    desk.speak("old", "older")
    old = desk.asked()
    if made:
        desk.speaking.spoken(Spoken(old.ticket, SOUND))
        desk.did()
    desk.speak("new")
    assert desk.ends == [False]
    done = desk.did()
    assert (StopSpeech() in done) == made
    new = next(effect for effect in done if isinstance(effect, Speak))
    desk.speaking.spoken(Spoken(old.ticket, SOUND))
    desk.speaking.ended(SpeechEnded(old.ticket, False))
    assert desk.did() == [], "what comes late of the old one is dropped"
    desk.speaking.spoken(Spoken(new.ticket, SOUND))
    desk.speaking.ended(SpeechEnded(new.ticket, True))
    assert desk.ends == [False, True]


def test_what_was_cut_off_by_the_engine_is_over_and_not_whole() -> None:
    desk = Desk()
    desk.speak("one", "two")
    first = desk.asked()
    desk.speaking.spoken(Spoken(first.ticket, SOUND))
    desk.speaking.ended(SpeechEnded(first.ticket, False))
    assert desk.ends == [False]
    assert not desk.speaking.busy


def test_a_fault_is_told_once_if_it_lasts_and_each_time_if_it_does_not() -> None:
    desk = Desk()
    for _ in range(2):
        desk.speak("one")
        ticket = desk.asked().ticket
        desk.speaking.failed(SpeechFailed(ticket, "It is hoarse."))
        assert desk.did() == [Log("warning", "speech: It is hoarse.")]
    assert desk.speaking.says
    desk.speak("one")
    desk.speaking.failed(SpeechFailed(desk.asked().ticket, "There is none.", lasting=True))
    assert desk.did() == [Log("warning", "speech: There is none.")]
    assert (desk.speaking.says, desk.speaking.fault) == (False, "There is none.")
    desk.speak("one")
    assert desk.did() == []
    assert desk.ends == [False] * 4


def test_sound_of_other_desks_is_hushed_and_told_by_its_ticket() -> None:
    desk = Desk()
    ticket, told = desk.speaking.ticket(), list[bool]()
    desk.speaking.on_ended[ticket] = told.append
    assert desk.speaking.busy
    desk.speaking.hush()
    assert desk.did() == [StopSpeech()]
    desk.speaking.ended(SpeechEnded(ticket, False))
    assert told == [False]
    assert not desk.speaking.busy


@pytest.mark.parametrize(
    "text",
    ["", "short", "word " * 300, "x" * 1000, "One. Two! Three? " * 50, "好。" * 400, "\n" * 600],
)
def test_long_texts_are_cut_and_nothing_is_lost(text: str) -> None:
    pieces = list(split(text))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= PIECE for piece in pieces)


def test_texts_are_cut_where_a_reader_would_pause() -> None:
    text = "This is a sentence, with a pause. " * 20
    assert all(piece.rstrip().endswith(".") for piece in split(text))
    assert cut("word " * 100, 0, 98) == 95
