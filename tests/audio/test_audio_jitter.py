"""The jitter buffer: tables of arrival and playout."""

import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.audio.codecs import open_codec
from callbox.audio.jitter import JitterBuffer
from callbox.audio.jitter_decide import Choice, Urgency, View, decide, urgency
from callbox.audio.jitter_estimate import Estimate
from callbox.audio.jitter_render import HISTORY_SAMPLES, lengthened, shortened
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, silence
from callbox.testing.playout import hum, loudness, play

MS = RATE_HZ // 1000
CALM = View(
    started=True,
    delay=20 * MS,
    target=20 * MS,
    ample=20 * MS,
    gap=0,
    ahead=40 * MS,
    newer=True,
    copy=False,
    span=20 * MS,
    since_stretch=RATE_HZ,
    off_target=0,
)


@pytest.mark.parametrize(
    ("changes", "choice"),
    [
        ({}, Choice.PLAY),
        ({"gap": None}, Choice.WAIT),
        ({"started": False, "delay": 0}, Choice.WAIT),
        ({"started": False, "delay": 20 * MS}, Choice.PLAY),
        ({"delay": 31 * MS}, Choice.ACCELERATE),
        ({"delay": 28 * MS}, Choice.PLAY),
        ({"delay": 50 * MS, "ample": 60 * MS}, Choice.PLAY),
        ({"delay": 70 * MS, "ample": 60 * MS}, Choice.ACCELERATE),
        ({"delay": 31 * MS, "ahead": 10 * MS}, Choice.PLAY),
        ({"delay": 31 * MS, "since_stretch": 0}, Choice.PLAY),
        ({"delay": 90 * MS, "since_stretch": 0}, Choice.ACCELERATE),
        ({"delay": 10 * MS}, Choice.STRETCH),
        ({"delay": 300 * MS}, Choice.SKIP),
        ({"delay": 300 * MS, "newer": False}, Choice.ACCELERATE),
        ({"gap": 20 * MS}, Choice.CONCEAL),
        ({"gap": 20 * MS, "copy": True}, Choice.RECOVER),
        ({"gap": 40 * MS, "copy": True}, Choice.CONCEAL),
        ({"gap": 20 * MS, "delay": 15 * MS}, Choice.WAIT),
    ],
)
def test_decision_table(changes: dict[str, Any], choice: Choice) -> None:
    assert decide(msgspec.structs.replace(CALM, **changes)) is choice


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"delay": 31 * MS}, Urgency.CALM),
        ({"delay": 31 * MS, "off_target": 4 * RATE_HZ}, Urgency.USUAL),
        ({"delay": 50 * MS}, Urgency.USUAL),
        ({"delay": 90 * MS}, Urgency.URGENT),
        ({"delay": 12 * MS}, Urgency.CALM),
    ],
)
def test_urgency_table(changes: dict[str, Any], how: Urgency) -> None:
    assert urgency(msgspec.structs.replace(CALM, **changes)) is how


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_clean_link_plays_everything_with_little_delay(packet_ms: int) -> None:
    out = play(lambda k: 5, 2000 // packet_ms, packet_ms)
    counters = out.buffer.counters
    assert counters.lost == counters.late == counters.concealed == 0
    assert max(out.delays_ms) <= 25
    assert max(out.delays_ms[-20:]) <= 20
    assert loudness(out.sound[10 * CYCLE_SAMPLES :]) > 0.95 * loudness(hum(1.0))


def test_arrival_at_the_edge_of_a_pull_is_not_heard_as_loss() -> None:
    chance = random.Random(7)
    out = play(lambda k: 2.5 + chance.random(), 600, 10)
    assert out.buffer.counters.concealed <= 2
    assert max(out.delays_ms[100:]) <= 30


def test_jitter_raises_the_target_to_what_it_needs() -> None:
    chance = random.Random(3)
    out = play(lambda k: 40 + chance.random() * 40, 1000)
    assert 30 <= out.targets_ms[-1] <= 50
    assert out.buffer.counters.concealed < 0.03 * 2000


def test_target_falls_when_the_network_calms_down() -> None:
    chance = random.Random(3)
    out = play(lambda k: 5 + (chance.random() * 80 if k < 250 else 0), 1000)
    assert max(out.targets_ms[:500]) >= 60
    assert out.targets_ms[-1] == 10
    assert out.delays_ms[-1] <= 20


@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_two_second_stall_is_over_within_three_seconds(packet_ms: int) -> None:
    first = 4000 // packet_ms
    out = play(lambda k: 5 if k < first else max(5, 2000 - (k - first) * packet_ms), 10_000 // packet_ms, packet_ms)
    back = (4000 + 2000 + 3000) // 10
    assert max(out.delays_ms[back:]) <= out.targets_ms[-1] + 20 <= 40
    # nothing stale is played: from half a second after the stall, sound is there and fresh
    assert max(out.delays_ms[400 + 200 + 50 :]) <= 120


def test_sound_after_a_stall_starts_without_a_cut() -> None:
    out = play(lambda k: 5 if k < 200 else max(5, 2000 - (k - 200) * 20), 500)
    steps = np.abs(np.diff(out.sound.astype(int)))
    usual = np.abs(np.diff(hum(1.0).astype(int))).max()
    sound_again = (4000 + 1900) * MS
    assert steps[sound_again:].max() <= 3 * usual


def test_bursts_of_tcp_are_bridged() -> None:
    out = play(lambda k: 5 + max(0, 120 - (k % 50) * 20), 1500)
    assert out.buffer.counters.late == 0
    assert out.buffer.counters.lost == 0
    assert max(out.delays_ms) <= 160
    assert loudness(out.sound[-200 * CYCLE_SAMPLES :]) > 0.9 * loudness(hum(1.0))


@pytest.mark.parametrize("drift_ppm", [200.0, -200.0])
def test_clock_drift_neither_drains_nor_fills(drift_ppm: float) -> None:
    out = play(lambda k: 5, 9000, 20, drift_ppm)  # three minutes: 36 ms of drift
    assert max(out.delays_ms[200:]) <= 35
    assert out.buffer.counters.concealed <= 6
    assert out.buffer.counters.lost == 0
    assert out.buffer.counters.shortened + out.buffer.counters.lengthened + out.buffer.counters.concealed >= 1


@pytest.mark.soak  # an hour of calls: 10 s each
@pytest.mark.parametrize("drift_ppm", [200.0, -200.0])
def test_an_hour_of_clock_drift_neither_drains_nor_fills(drift_ppm: float) -> None:
    chance = random.Random(2)
    out = play(lambda k: 5 + 10 * chance.random(), 180_000, 20, drift_ppm)  # 720 ms of drift
    delays = out.delays_ms[200:-100]  # a sender whose clock is faster has said everything sooner
    assert max(delays) <= 45
    assert min(delays) >= 5
    counters = out.buffer.counters
    assert (counters.lost, counters.late) == (0, 0)
    assert counters.concealed <= 200, "a cycle every 18 s at most"
    assert counters.shortened + counters.lengthened <= 300, "720 ms in periods of 2.5 to 12.5 ms"


@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_spikes_of_half_a_second_leave_no_delay_behind(packet_ms: int) -> None:
    def late(k: int) -> float:
        since_ms = k * packet_ms % 7000
        return 5 + (max(0, 500 - since_ms) if k * packet_ms >= 4000 else 0)

    out = play(late, 30_000 // packet_ms, packet_ms)
    between = [delay for at, delay in enumerate(out.delays_ms) if at > 500 and 1500 <= at * 10 % 7000 <= 6900]
    assert max(between) <= out.targets_ms[-1] + 25 <= 45
    assert out.buffer.counters.lost == 0


def test_lost_packets_are_counted_and_concealed() -> None:
    out = play(lambda k: None if k in {100, 150, 151} else 5, 300)
    assert out.buffer.counters.lost == 3
    assert out.decoder.verbs.count("conceal") >= 3
    assert out.buffer.counters.recovered == 0


def test_lost_packet_is_recovered_from_the_copy_in_the_next() -> None:
    out = play(lambda k: None if k == 100 else 5, 300, copies=True)
    assert out.buffer.counters.recovered == 1
    assert out.decoder.verbs.count("recover") == 1


def test_reordered_packets_are_played_in_order() -> None:
    out = play(lambda k: 45 if k % 5 == 0 else 5, 500)
    assert out.buffer.counters.lost <= 3
    assert out.targets_ms[-1] >= 40
    assert out.decoder.verbs[-100:].count("conceal") == 0


def test_late_packet_is_counted_late_not_lost() -> None:
    out = play(lambda k: 100 if k == 400 else 5, 500)
    assert (out.buffer.counters.late, out.buffer.counters.lost) == (1, 0)


def test_timestamps_wrap() -> None:
    out = play(lambda k: 5, 300, start=2**32 - 960 * 100)
    assert out.buffer.counters.received == 299
    assert out.buffer.counters.concealed == out.buffer.counters.late == 0


def test_duplicates_are_ignored() -> None:
    codec = open_codec()
    encoder = codec.encoder(24_000, 20)
    buffer = JitterBuffer(codec.decoder())
    packet = encoder.encode(silence(960))
    for _ in range(3):
        buffer.put(packet, 0)
    for _ in range(4):
        buffer.get()
    buffer.put(packet, 0)
    assert (buffer.counters.received, buffer.counters.duplicate, buffer.counters.late) == (1, 3, 0)


def test_a_stream_that_starts_anew_is_taken_up() -> None:
    codec = open_codec()
    encoder = codec.encoder(24_000, 20)
    buffer = JitterBuffer(codec.decoder())
    voice = hum(10.0)
    heard = []
    for part in range(2):
        for k in range(100):
            buffer.put(encoder.encode(voice[k * 960 : (k + 1) * 960]), part * 3_000_000_000 + k * 960)
            heard += [buffer.get(), buffer.get()]
    assert loudness(np.concatenate(heard[-100:])) > 2000
    assert buffer.counters.delay_ms <= 30


def test_silence_before_the_first_packet_and_after_the_last() -> None:
    codec = open_codec()
    buffer = JitterBuffer(codec.decoder())
    assert not buffer.get().any()
    encoder = codec.encoder(24_000, 20)
    voice = hum(1.0)
    for k in range(20):
        buffer.put(encoder.encode(voice[k * 960 : (k + 1) * 960]), k * 960)
        buffer.get(), buffer.get()
    tail = [buffer.get() for _ in range(60)]
    assert loudness(np.concatenate(tail[:3])) > 500
    assert not np.concatenate(tail[30:]).any()


@given(
    delays=st.lists(st.one_of(st.none(), st.floats(0, 3000)), min_size=5, max_size=60),
    packet_ms=st.sampled_from([10, 20, 40, 60]),
)
@settings(max_examples=60)
def test_any_arrival_gives_whole_cycles_and_counts_that_add_up(delays: list[float | None], packet_ms: int) -> None:
    codec = open_codec()
    encoder = codec.encoder(24_000, packet_ms)
    buffer = JitterBuffer(codec.decoder())
    span = packet_ms * MS
    packet = encoder.encode(silence(span))
    coming = sorted((k * packet_ms + delay, k) for k, delay in enumerate(delays) if delay is not None)
    for pull in range(700):
        while coming and coming[0][0] <= pull * 10:
            buffer.put(packet, coming.pop(0)[1] * span)
        assert len(buffer.get()) == CYCLE_SAMPLES
    sent = sum(delay is not None for delay in delays)
    assert buffer.counters.received <= sent
    assert 0 <= buffer.counters.lost <= len(delays)
    assert buffer.counters.late <= buffer.counters.received


def test_garbage_is_not_a_packet() -> None:
    buffer = JitterBuffer(open_codec().decoder())
    buffer.put(b"", 0)
    buffer.put(bytes([3]), 0)
    assert buffer.counters.received == 0


def test_bursts_that_come_again_are_waited_for_instead_of_swinging() -> None:
    out = play(lambda k: 5 + max(0, 120 - k % 300 * 10), 3000, 10)  # 120 ms late, every 3 s
    assert max(out.delays_ms[1000:]) <= 130
    assert min(out.delays_ms[1000:]) >= 100
    assert out.buffer.counters.concealed + out.buffer.counters.shortened <= 30


def test_one_late_packet_in_a_hundred_costs_no_delay() -> None:
    chance = random.Random(4)
    out = play(lambda k: 5 + (chance.uniform(60, 90) if chance.random() < 0.008 else 0), 3000, 10)
    assert sorted(out.delays_ms)[1500] <= 60
    assert out.buffer.counters.concealed <= 60


def test_stall_does_not_raise_the_target() -> None:
    estimate = Estimate()
    for k in range(200):
        estimate.arrived(k * 960, k * 960)
    calm = estimate.target
    for k in range(200, 300):
        estimate.arrived(k * 960, 300 * 960)
    for k in range(300, 400):
        estimate.arrived(k * 960, k * 960)
    assert estimate.target == calm


def test_backlog_at_the_start_does_not_raise_the_target() -> None:
    estimate = Estimate()
    for k in range(8):
        estimate.arrived(k * 960, 8 * 960)  # eight packets were waiting when the first was taken
    for k in range(8, 60):
        estimate.arrived(k * 960, k * 960)
    assert estimate.target <= 20 * MS


def test_route_that_stays_slower_becomes_the_new_base() -> None:
    estimate = Estimate()
    for k in range(100):
        estimate.arrived(k * 960, k * 960)
    for k in range(100, 300):
        estimate.arrived(k * 960, k * 960 + 600 * MS)
    assert estimate.base == 600 * MS
    assert estimate.target <= 20 * MS


@pytest.mark.parametrize("pitch_hz", [90, 150, 310])
def test_shortening_takes_whole_pitch_periods(pitch_hz: int) -> None:
    voice = hum(0.04, pitch_hz)
    shorter = shortened(voice)
    periods = (len(voice) - len(shorter)) / (RATE_HZ / pitch_hz)
    assert round(periods) >= 1
    assert periods == pytest.approx(round(periods), abs=0.06)
    assert np.abs(np.diff(shorter.astype(int))).max() <= 1.2 * np.abs(np.diff(voice.astype(int))).max()


@pytest.mark.parametrize("pitch_hz", [90, 150, 310])
def test_lengthening_adds_whole_pitch_periods(pitch_hz: int) -> None:
    voice = hum(0.2, pitch_hz)
    history, following = voice[:4800], voice[4800 : 4800 + 480]
    longer = lengthened(history, following)
    periods = (len(longer) - len(following)) / (RATE_HZ / pitch_hz)
    assert round(periods) >= 1
    assert periods == pytest.approx(round(periods), abs=0.06)
    joined = np.concatenate((history, longer)).astype(int)
    assert np.abs(np.diff(joined)).max() <= 1.2 * np.abs(np.diff(voice.astype(int))).max()


def test_calm_changes_are_made_only_where_it_is_quiet() -> None:
    voice = hum(0.04)
    hush = (voice // 200).astype(np.int16)
    assert len(shortened(voice, Urgency.CALM)) == len(voice)
    assert len(shortened(hush, Urgency.CALM)) < len(hush)
    assert len(lengthened(voice, voice[:480], Urgency.CALM)) == 480
    assert len(lengthened(hush, hush[:480], Urgency.CALM)) > 480


def test_noise_is_not_stretched_unless_urgent() -> None:
    noise = np.random.default_rng(1).integers(-8000, 8000, 3 * HISTORY_SAMPLES).astype(np.int16)
    assert len(shortened(noise)) == len(noise)
    assert len(shortened(noise, Urgency.URGENT)) < len(noise)
    assert len(lengthened(noise, noise[:480])) == 480
    assert len(lengthened(noise, noise[:480], Urgency.URGENT)) > 480
