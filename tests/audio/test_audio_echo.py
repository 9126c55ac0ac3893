"""Echo cancellers and what surrounds them, in a simulated room: every member, then when which of them is used."""

import ctypes
import pkgutil
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from callbox.audio import echo
from callbox.audio.cleaning import Cleaning
from callbox.audio.echo import Canceller, open_canceller, speex
from callbox.audio.echo_finding import EchoFinder
from callbox.audio.gain import MOST_DB, Gain
from callbox.audio.tones import Tone, tone_samples
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.testing.playout import loudness
from callbox.testing.room import Room, Surroundings, pink_noise

MEMBERS = sorted(module.name for module in pkgutil.iter_modules(echo.__path__))


def babble(seconds: float, seed: int, level_db: float = -24.0) -> Samples:
    """Something like speech: noise in syllables, four a second, none of them like another, and pauses."""
    chance = np.random.default_rng(seed)
    count = int(seconds * RATE_HZ)
    noise = pink_noise(count, level_db, seed)
    size = RATE_HZ // 4
    strengths = chance.uniform(0.1, 1.8, -(-count // size)) * (chance.random(-(-count // size)) > 0.25)
    envelope = np.repeat(strengths, size)[:count] * np.abs(np.sin(np.pi * np.arange(count) / size))
    return np.clip(noise * envelope, -32768, 32767).astype(np.int16)


FAR, NEAR = babble(8, 1), babble(8, 2)


def cycles(samples: Samples) -> Iterator[Samples]:
    for at in range(0, len(samples) - CYCLE_SAMPLES + 1, CYCLE_SAMPLES):
        yield samples[at : at + CYCLE_SAMPLES]


def cleaned(cleaning: Cleaning, room: Room, far: Samples, near: Samples | None = None) -> tuple[Samples, Samples]:
    """Play `far` in a room where a person says `near`; return what the microphone heard, and what came out."""
    if near is not None:
        room.say(near)
    heard, out, played = [], [], silence()
    for cycle in cycles(far):
        heard.append(room.hear())
        out.append(cleaning.process(heard[-1], played))
        played = cycle
        room.play(played)
    return np.concatenate(heard), np.concatenate(out)


def weaker_db(before: Samples, after: Samples) -> float:
    return 20 * float(np.log10(loudness(before) / max(loudness(after), 0.01)))


def only_echo(name: str) -> Cleaning:
    return Cleaning(open_canceller(name), noise=False, gain=False)


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest) -> Iterator[Canceller]:
    opened = open_canceller(request.param)
    yield opened
    opened.close()


def test_a_member_leaves_a_person_alone_where_nothing_is_played(member: Canceller) -> None:
    member.begin()
    said = NEAR[: 2 * RATE_HZ]
    out = [member.process(cycle, None, False) for cycle in cycles(said)]
    assert np.array_equal(np.concatenate(out), said)


def test_a_member_gives_whole_cycles_whatever_it_is_asked(member: Canceller) -> None:
    for number, cycle in enumerate(cycles(NEAR[: RATE_HZ // 2])):
        if number % 10 == 0:
            member.begin()
        out = member.process(cycle, FAR[:480] if number % 3 else None, bool(number % 2))
        assert (out.shape, out.dtype) == ((CYCLE_SAMPLES,), np.dtype(np.int16))


def test_a_member_takes_steady_noise_down_by_as_much_as_it_says(member: Canceller) -> None:
    noise = np.clip(pink_noise(4 * RATE_HZ, -40, 5), -32768, 32767).astype(np.int16)
    out = np.concatenate([member.process(cycle, None, True) for cycle in cycles(noise)])
    assert weaker_db(noise[-RATE_HZ:], out[-RATE_HZ:]) == pytest.approx(member.noise_db, abs=6)


def test_a_member_closes_twice(member: Canceller) -> None:
    member.close()


@pytest.mark.parametrize(("name", "least_db"), [("speex", 24), ("webrtc", 20), ("half_duplex", 28)])
def test_echo_is_taken_away_within_two_seconds(name: str, least_db: float) -> None:
    heard, out = cleaned(only_echo(name), Room(Surroundings(delay_ms=60)), FAR[: 4 * RATE_HZ])
    assert weaker_db(heard[2 * RATE_HZ :], out[2 * RATE_HZ :]) > least_db


def test_none_takes_nothing_away() -> None:
    heard, out = cleaned(Cleaning(open_canceller("none"), False, False, False), Room(), FAR[:RATE_HZ])
    assert np.array_equal(heard, out)


def test_speex_lets_a_person_through_who_speaks_at_the_same_time() -> None:
    near = np.concatenate((silence(3 * RATE_HZ), NEAR[: 3 * RATE_HZ]))
    _, out = cleaned(only_echo("speex"), Room(), FAR[: 6 * RATE_HZ], near)
    said, left = near[-2 * RATE_HZ : -480].astype(float), out[-2 * RATE_HZ + 480 :].astype(float)
    alike = float(said @ left) / np.sqrt(float(said @ said) * float(left @ left))
    assert alike > 0.7
    assert abs(weaker_db(near[-2 * RATE_HZ :], out[-2 * RATE_HZ :])) < 6


@pytest.mark.parametrize("name", ["speex", "webrtc", "half_duplex"])
def test_while_the_far_end_is_silent_a_person_is_only_late_and_never_broken_up(name: str) -> None:
    cleaning = only_echo(name)
    late = open_canceller(name).late_samples
    cleaned(cleaning, room := Room(Surroundings(noise_db=-80)), FAR[: 2 * RATE_HZ])
    heard, out = cleaned(cleaning, room, silence(3 * RATE_HZ), NEAR[: 3 * RATE_HZ])
    assert np.array_equal(out[RATE_HZ:], heard[RATE_HZ - late : len(heard) - late])
    theirs = np.concatenate((silence(RATE_HZ), FAR[:RATE_HZ]))
    heard, out = cleaned(cleaning, room, theirs, NEAR[4 * RATE_HZ : 6 * RATE_HZ])
    said, left = heard[RATE_HZ // 2 : RATE_HZ].astype(float), out[RATE_HZ // 2 + late : RATE_HZ + late].astype(float)
    assert np.abs(said - left)[: -CYCLE_SAMPLES * 2].max() == 0


@pytest.mark.parametrize("delay_ms", [20, 90, 200, 300])
def test_the_delay_is_found_while_both_speak(delay_ms: int) -> None:
    finder, room, played = EchoFinder(), Room(Surroundings(delay_ms=delay_ms)), silence()
    room.say(NEAR)
    for cycle in cycles(FAR[: 2 * RATE_HZ]):
        finder.take(room.hear(), played)
        played = cycle
        room.play(played)
    assert finder.lag_ms == pytest.approx(delay_ms - 10, abs=1)  # what is played is handed over a cycle later
    assert not finder.absent


def test_a_wrongly_told_delay_is_put_right() -> None:
    cleaning = only_echo("speex")
    cleaning.begin(20.0)
    heard, out = cleaned(cleaning, Room(Surroundings(delay_ms=250)), FAR[: 5 * RATE_HZ])
    assert weaker_db(heard[3 * RATE_HZ :], out[3 * RATE_HZ :]) > 25


def test_a_delay_once_found_is_known_at_the_next_call() -> None:
    cleaning, room = only_echo("speex"), Surroundings(delay_ms=250)
    weaker: list[float] = []
    for told_ms in (20.0, 22.0, 90.0):
        cleaning.begin(told_ms)
        heard, out = cleaned(cleaning, Room(room), FAR[: 2 * RATE_HZ])
        weaker.append(weaker_db(heard[RATE_HZ // 2 : RATE_HZ], out[RATE_HZ // 2 : RATE_HZ]))
    assert weaker[0] < 5
    assert weaker[1] > 12
    assert weaker[2] < 5


def test_with_a_headset_nothing_is_done_and_with_a_speaker_again_it_is() -> None:
    cleaning = Cleaning(open_canceller("speex"), gain=False)
    headset = Room(Surroundings(echo_db=-120))
    heard, out = cleaned(cleaning, headset, FAR[: 4 * RATE_HZ], NEAR[: 4 * RATE_HZ])
    assert np.array_equal(heard[3 * RATE_HZ :], out[3 * RATE_HZ :])
    heard, out = cleaned(cleaning, Room(), FAR[4 * RATE_HZ : 8 * RATE_HZ])
    assert weaker_db(heard[3 * RATE_HZ :], out[3 * RATE_HZ :]) > 20


def test_a_call_begins_as_the_one_before_ended() -> None:
    cleaning = only_echo("speex")
    begun = [cleaning.cancelling]
    for room in (Room(Surroundings(echo_db=-120)), Room()):
        cleaned(cleaning, room, FAR[: 3 * RATE_HZ])
        cleaning.begin(40.0)
        begun.append(cleaning.cancelling)
    assert begun == [False, False, True]


@pytest.mark.parametrize("echo_db", [-120, -6])
def test_tones_tell_nothing_of_an_echo(echo_db: int) -> None:
    finder, room, played = EchoFinder(), Room(Surroundings(echo_db=echo_db)), silence()
    for cycle in cycles(tone_samples(Tone.RING)):
        finder.take(room.hear(), played)
        played = cycle
        room.play(played)
    assert (finder.lag_ms, finder.absent) == (None, False)


def test_before_anything_is_known_a_person_is_left_alone_and_the_canceller_learns() -> None:
    cleaning = only_echo("speex")
    heard, out = cleaned(cleaning, Room(), FAR[: 2 * RATE_HZ])
    assert np.array_equal(heard[: RATE_HZ // 2 - CYCLE_SAMPLES], out[: RATE_HZ // 2 - CYCLE_SAMPLES])
    assert weaker_db(heard[RATE_HZ * 6 // 10 :], out[RATE_HZ * 6 // 10 :]) > 15


def test_the_line_is_not_dead_while_echo_is_taken_away() -> None:
    room, cleaning = Room(Surroundings(noise_db=-62)), Cleaning(open_canceller("half_duplex"), gain=False)
    cleaned(cleaning, room, silence(3 * RATE_HZ))
    heard, out = cleaned(cleaning, room, FAR[: 3 * RATE_HZ])
    assert weaker_db(heard[RATE_HZ:], out[RATE_HZ:]) > 20
    assert loudness(out[-RATE_HZ:]) == pytest.approx(32768 * 10 ** (-62 / 20), rel=0.4)


def test_noise_is_taken_out_where_there_is_noise() -> None:
    for noise_db, least_db, most_db in ((-45, 8, 25), (-65, -0.1, 0.1)):
        room, cleaning = Room(Surroundings(noise_db=noise_db)), Cleaning(open_canceller("speex"), echo=False)
        heard, out = cleaned(cleaning, room, silence(4 * RATE_HZ))
        assert least_db <= weaker_db(heard[3 * RATE_HZ :], out[3 * RATE_HZ :]) <= most_db


def gained(samples: Samples, floor: float = 10.0) -> tuple[Gain, Samples]:
    gain = Gain()
    power = [float(np.mean(cycle.astype(float) ** 2)) for cycle in cycles(samples)]
    pairs = zip(cycles(samples), power, strict=True)
    return gain, np.concatenate([gain.process(cycle, one, floor, learn=True) for cycle, one in pairs])


def test_a_quiet_person_is_made_louder_and_a_loud_one_left_alone() -> None:
    quiet = babble(8, 3, -45)
    gain, out = gained(quiet)
    assert 6 < gain.db <= MOST_DB
    assert weaker_db(quiet[-RATE_HZ:], out[-RATE_HZ:]) == pytest.approx(-gain.db, abs=2)
    loud = babble(2, 3, -12)
    assert np.array_equal(gained(loud)[1], loud)


def test_noise_and_echo_are_not_made_louder() -> None:
    noise = np.clip(pink_noise(3 * RATE_HZ, -50, 5), -32768, 32767).astype(np.int16)
    assert gained(noise, floor=float(np.mean(noise.astype(float) ** 2)))[0].db == 0
    cleaning = Cleaning(open_canceller("none"))
    heard, out = cleaned(cleaning, Room(Surroundings(echo_db=-25)), FAR[: 4 * RATE_HZ])
    assert weaker_db(heard, out) == pytest.approx(0, abs=0.1)


def test_a_shout_after_a_whisper_does_not_clip() -> None:
    shout = np.clip(babble(1, 4, -20).astype(int) * 4, -30_000, 30_000).astype(np.int16)
    _, out = gained(np.concatenate((babble(6, 3, -45), shout)))
    assert int(np.abs(out.astype(int)).max()) <= 31_000


def test_the_best_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(open_canceller("auto"), speex.SpeexCanceller)

    def missing(name: str) -> ctypes.CDLL:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(CallboxError, match="libspeexdsp1"):
        open_canceller("speex")
    assert type(open_canceller("auto")).__name__ == "WebrtcCanceller"
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(CallboxError, match="pip install pywebrtc-audio"):
        open_canceller("webrtc")
    assert type(open_canceller("auto")).__name__ == "HalfDuplex"
