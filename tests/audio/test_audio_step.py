"""The audio step: what leaves the microphone, what reaches the speaker, and what size it has."""

from itertools import pairwise

import numpy as np
import pytest

from callbox.audio.cleaning import Cleaning
from callbox.audio.codecs import open_codec
from callbox.audio.echo.none import NoCanceller
from callbox.audio.step import Step, level_db
from callbox.audio.steps import STEPS, RateStep
from callbox.audio.tones import Tone
from callbox.base.frames import CYCLE_SAMPLES, Samples, silence
from callbox.testing.playout import hum, loudness
from callbox.testing.room import Room, Surroundings
from callbox.wire.media import FrameKind, PlainFrame, Report, pack_plain, pack_report, unpack_plain, unpack_report

VOICE = hum(4.0)


def cycle(number: int) -> Samples:
    at = number * CYCLE_SAMPLES % (len(VOICE) - CYCLE_SAMPLES)
    return VOICE[at : at + CYCLE_SAMPLES]


def as_is(frame: bytes) -> bytes:
    return frame


def as_it_is() -> Cleaning:
    return Cleaning(NoCanceller(), echo=False, noise=False, gain=False)


def started(step_at: RateStep | None = STEPS[1], cleaning: Cleaning | None = None) -> Step:
    step = Step(cleaning or as_it_is(), open_codec())
    step.start(as_is, as_is, step_at)
    return step


def sent_loudness(frames: list[bytes]) -> float:
    """Decode sent frames as the far end would; return how loud the voice in them is."""
    decoder = open_codec().decoder()
    heard = [silence()]
    for frame in frames:
        plain = unpack_plain(frame)
        if plain.kind is FrameKind.VOICE:
            heard.append(decoder.decode(plain.payload, decoder.span(plain.payload)))
    return loudness(np.concatenate(heard))


def test_two_steps_hear_each_other() -> None:
    a, b = started(), started()
    a.capture_on = b.capture_on = True
    to_a: list[bytes] = []
    heard = []
    for number in range(200):
        out = a.run(cycle(number), to_a, number / 100)
        back = b.run(silence(), out.outbound, number / 100)
        to_a = back.outbound
        heard.append(back.playback)
    assert loudness(np.concatenate(heard[20:])) == pytest.approx(loudness(VOICE), rel=0.15)


@pytest.mark.parametrize("rate_step", STEPS, ids=lambda step: step.name)
def test_every_frame_of_a_step_has_one_size_voice_silence_mute_and_reports(rate_step: RateStep) -> None:
    step = started(rate_step)
    sizes, kinds = set(), []
    for number in range(300):
        step.capture_on = number < 150
        for frame in step.run(cycle(number) if number % 100 < 50 else silence(), [], number / 100).outbound:
            sizes.add(len(frame))
            kinds.append(unpack_plain(frame).kind)
    assert sizes == {rate_step.plain_bytes}
    assert kinds.count(FrameKind.REPORT) == (2 if rate_step.packet_ms <= 40 else 1)
    assert kinds.count(FrameKind.VOICE) == 3000 // rate_step.packet_ms


def test_timestamps_go_on_without_a_hole_through_mute_and_a_change_of_step() -> None:
    step = started(STEPS[1])
    stamps = []
    for number in range(300):
        step.capture_on = number % 70 < 35
        if number == 150:
            step.rate = type(step.rate)(STEPS[3])
        for frame in step.run(cycle(number), [], number / 100).outbound:
            if unpack_plain(frame).kind is FrameKind.VOICE:
                stamps.append(unpack_plain(frame).timestamp)
    assert {later - earlier for earlier, later in pairwise(stamps)} == {960, 1920}


def test_mute_sends_nothing_of_the_microphone() -> None:
    step = started()
    frames = [frame for number in range(100) for frame in step.run(cycle(number), [], number / 100).outbound]
    assert len(frames) >= 50
    assert sent_loudness(frames) < 1
    assert not step.live


def test_mute_acts_on_what_is_gathered_too() -> None:
    step = started(STEPS[5])  # 60 ms packets
    step.capture_on = True
    for number in range(5):
        assert not step.run(cycle(number), [], number / 100).outbound
    step.capture_on = False
    (frame,) = step.run(cycle(5), [], 0.05).outbound
    assert sent_loudness([frame]) < 1


def test_live_says_whether_captured_samples_reached_the_encoder() -> None:
    step = Step(as_it_is(), open_codec())

    def live(captured: Samples | None = VOICE[:CYCLE_SAMPLES]) -> bool:
        step.run(captured, [], 0.0)
        return step.live

    step.capture_on = True
    assert live() is False  # nobody to send to
    step.start(as_is, as_is)
    assert live() is True
    assert live(None) is False  # no microphone
    step.capture_on = False
    assert live() is False
    step.capture_on = True
    assert live() is True
    step.stop()
    assert live() is False


def test_forged_malformed_and_repeated_frames_are_refused_and_harmless() -> None:
    step = Step(as_it_is(), open_codec())
    step.start(as_is, lambda sealed: None if sealed.startswith(b"forged") else sealed)
    bad = [b"forged", b"", b"\x01", bytes([9]) * 40, pack_plain(PlainFrame(FrameKind.REPORT, 0, b"cut"), 60)]
    bad.append(pack_plain(PlainFrame(FrameKind.VOICE, 7, b""), 60))
    for number in range(20):
        step.run(cycle(number), bad, number / 100)
    assert step.receiving is not None
    assert step.receiving.refused == 5 * 20
    assert step.receiving.jitter.counters.received == 0


def test_far_ends_report_lowers_our_step_at_the_next_packet() -> None:
    step = started(None)
    report = pack_plain(PlainFrame(FrameKind.REPORT, 0, pack_report(Report(50, 30, 0, 5))), 60)
    step.run(cycle(0), [report], 0.0)
    frames = [frame for number in range(1, 12) for frame in step.run(cycle(number), [], number / 100).outbound]
    assert step.sending is not None
    assert step.sending.step is STEPS[2]
    assert {len(frame) for frame in frames} == {STEPS[2].plain_bytes}


def test_a_held_step_stays_whatever_the_far_end_reports() -> None:
    step = started(STEPS[0])
    report = pack_plain(PlainFrame(FrameKind.REPORT, 0, pack_report(Report(50, 30, 0, 5))), 60)
    for number in range(12):
        step.run(cycle(number), [report], float(number))
    assert step.sending is not None
    assert step.sending.step is STEPS[0]


def test_our_report_says_what_was_lost() -> None:
    a, b = started(STEPS[1]), started(STEPS[1])
    reports: list[Report] = []
    for number in range(260):
        frames = [frame for frame in a.run(cycle(number), [], number / 100).outbound if number % 20 != 7]
        for frame in b.run(silence(), frames, number / 100).outbound:
            plain = unpack_plain(frame)
            if plain.kind is FrameKind.REPORT:
                reports.append(unpack_report(plain.payload))
    assert len(reports) == 2
    assert all(report.received > 30 for report in reports)
    assert sum(report.lost for report in reports) >= 5


def test_canceller_gets_what_was_last_played() -> None:
    class Listening(Cleaning):
        def __init__(self) -> None:
            super().__init__(NoCanceller())
            self.seen: list[tuple[Samples, Samples]] = []

        def process(self, captured: Samples, played: Samples) -> Samples:
            self.seen.append((captured, played))
            return silence()

    canceller = Listening()
    step = started(cleaning=canceller)
    step.capture_on = True
    step.tones.play(Tone.DIAL, repeat=True)
    outputs = [step.run(cycle(number), [], number / 100) for number in range(10)]
    for number in range(1, 10):
        assert canceller.seen[number][0].tobytes() == cycle(number).tobytes()
        assert canceller.seen[number][1].tobytes() == outputs[number - 1].playback.tobytes()
    assert sent_loudness([frame for output in outputs for frame in output.outbound]) < 1


def test_tones_sound_without_a_session() -> None:
    step = Step(as_it_is(), open_codec())
    step.tones.play(Tone.RING, repeat=True)
    output = step.run(cycle(0), [b"left over"], 0.0)
    assert output.playback.any()
    assert output.outbound == []


def test_level() -> None:
    assert level_db(silence()) == -96.0
    assert level_db(np.full(480, 32767, dtype=np.int16)) == pytest.approx(0.0, abs=0.1)


def test_a_call_tells_how_late_its_echo_is() -> None:
    cleaning, room = Cleaning(NoCanceller(), noise=False, gain=False), Room(Surroundings(delay_ms=70))
    step = started(cleaning=cleaning)
    step.capture_on = True
    told = [cleaning.late_ms]
    for number in range(120):
        noise = np.random.default_rng(number).integers(-4000, 4000, CYCLE_SAMPLES).astype(np.int16)
        step.mixer.speak(noise)
        room.play(step.run(room.hear(), [], number / 100).playback)
    assert [*told, cleaning.late_ms] == [None, pytest.approx(70, abs=2)]
