"""Rate control: down at once to what fits, up by trying, and soon at rest. On simulated links, and report by report."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from callbox.audio.rate import LONGEST_CALM_S, RateControl
from callbox.audio.steps import DEFAULT_STEP, STEPS, step_named, within
from callbox.testing.slow_link import Rate, SlowLink, talk
from callbox.wire.media import Report

CLEAN = Report(received=50, lost=0, late=0, delay_ms=5)


def after(control: RateControl, report: Report, start_s: float, seconds: int) -> list[str]:
    return [control.report(report, start_s + second).name for second in range(seconds)]


@pytest.mark.parametrize(
    ("report", "steps_down"),
    [
        (CLEAN, 0),
        (Report(98, 2, 0, 5), 0),
        (Report(95, 5, 0, 5), 1),
        (Report(95, 0, 5, 5), 0),
        (Report(70, 20, 10, 5), 2),
        (Report(50, 0, 0, 100), 1),
        (Report(1, 1, 0, 5), 0),
    ],
)
def test_one_bad_report_is_enough(report: Report, steps_down: int) -> None:
    control = RateControl()
    control.report(CLEAN, 0.0)
    assert control.report(report, 1.0) is STEPS[steps_down]


def test_what_arrives_while_a_queue_stands_says_which_step_fits() -> None:
    control = RateControl()
    control.report(Report(25, 0, 0, 5, 2200), 0.0)
    assert control.report(Report(6, 0, 0, 100, 2728), 0.25) is STEPS[1]
    assert control.report(Report(6, 0, 0, 200, 3256), 0.5) is STEPS[1]
    assert control.report(Report(6, 0, 0, 300, 3784), 0.75) is step_named("thinner"), "33 kbit/s came"


def test_a_queue_that_stays_whatever_is_sent_is_another_route() -> None:
    control = RateControl(STEPS[-1])
    control.report(CLEAN, 0.0)
    slower = Report(17, 0, 0, 300)
    for second in range(1, 90):
        control.report(slower, float(second))
    assert control.step is DEFAULT_STEP


def test_late_frames_alone_lower_the_rate_only_when_the_jitter_buffer_cannot_cure_them() -> None:
    control = RateControl()
    late = Report(80, 0, 20, 5)
    control.report(CLEAN, 0.0)
    for second in range(1, 20, 2):  # a machine that stops for a moment, again and again
        assert control.report(late, float(second)) is DEFAULT_STEP
        assert control.report(CLEAN, second + 1.0) is DEFAULT_STEP
    assert [control.report(late, 30.0 + second) for second in range(3)] == [DEFAULT_STEP, DEFAULT_STEP, STEPS[1]]


def test_unsent_bytes_lower_the_rate_without_waiting_for_a_report() -> None:
    control = RateControl()
    assert control.unsent(3 * DEFAULT_STEP.plain_bytes, 0.0) is DEFAULT_STEP
    assert control.unsent(8 * DEFAULT_STEP.plain_bytes, 0.1) is STEPS[1]
    assert control.unsent(8 * DEFAULT_STEP.plain_bytes, 0.2) is STEPS[1]
    assert control.unsent(30 * DEFAULT_STEP.plain_bytes, 10.0) is STEPS[3]


@pytest.mark.parametrize(("kbps", "step"), [(400, "near"), (60, "saver"), (32, "thinner"), (25, "last"), (3, "last")])
def test_a_link_that_tells_what_it_carries_is_believed_at_once(kbps: int, step: str) -> None:
    control = RateControl()
    assert control.unsent(0, 0.0, carries_bits_per_s=1000 * kbps).name == step
    assert control.unsent(0, 0.1, carries_bits_per_s=1000 * kbps).name == step


def test_one_stale_frame_is_no_trouble_but_many_are() -> None:
    control = RateControl()
    assert control.unsent(0, 0.0, dropped=1) is DEFAULT_STEP
    assert control.unsent(6 * DEFAULT_STEP.plain_bytes, 1.0, dropped=8) is STEPS[2]


def test_rate_comes_back_one_step_at_a_time() -> None:
    control = RateControl(STEPS[3])
    names = after(control, CLEAN, 0.0, 7)
    assert [names[second] for second in (1, 2, 4, 6)] == [STEPS[n].name for n in (3, 2, 1, 0)], "no trouble so far"
    control.report(Report(70, 20, 10, 5), 50.0)
    names = after(control, CLEAN, 51.0, 13)
    assert [names[second] for second in (5, 6, 12)] == [STEPS[n].name for n in (2, 1, 0)]


def test_a_step_that_hurts_is_tried_again_only_after_twice_the_time() -> None:
    control = RateControl(STEPS[1])
    tried: list[int] = []
    second = 0
    while len(tried) < 8:
        if control.report(CLEAN, float(second)) is STEPS[0]:
            tried.append(second)
            control.report(Report(40, 10, 0, 5), second + 2.0)
            second += 2
        second += 1
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == sorted(waits)
    assert waits[0] <= 20
    assert waits[-1] >= LONGEST_CALM_S


def test_it_stays_within_the_steps() -> None:
    control = RateControl()
    after(control, Report(10, 40, 0, 5), 0.0, 30)
    assert control.step is STEPS[-1]
    control = RateControl()
    after(control, CLEAN, 0.0, 100)
    assert control.step is STEPS[0]


def test_copies_are_sent_only_for_lasting_loss_without_a_queue() -> None:
    control = RateControl()
    lossy = Report(90, 10, 0, 5)
    copies = [(control.report(lossy, second), control.fec)[1] for second in range(3)]
    assert copies == [False, False, True]
    copies = [(control.report(CLEAN, 3.0 + second), control.fec)[1] for second in range(10)]
    assert copies == [True] * 9 + [False]


def test_loss_from_a_full_queue_brings_no_copies() -> None:
    control = RateControl()
    control.report(CLEAN, 0.0)
    after(control, Report(90, 10, 0, 300), 1.0, 5)
    assert not control.fec


def test_neither_direction_costs_more_than_one_end_wants() -> None:
    control = RateControl()
    assert control.report(Report(50, 0, 0, 5, most_kbps=48), 0.0) is step_named("saver")
    assert set(after(control, Report(50, 0, 0, 5, most_kbps=48), 1.0, 30)) == {"saver"}
    assert after(control, CLEAN, 40.0, 30)[-1] == "near"
    assert [step.name for step in within(48)] == ["saver", "thin", "thinner", "bare", "last"]
    assert [step.name for step in within(1)] == ["last"]


@pytest.mark.parametrize("window_bytes", [1000, 5000])
@pytest.mark.parametrize("kbps", [25, 45, 87, 400])
def test_on_a_link_that_stays_as_it_is_the_step_soon_stays_too(kbps: int, window_bytes: int) -> None:
    done = talk(SlowLink(lambda _: kbps, window_bytes=window_bytes), 150, sees_unsent=window_bytes == 1000)
    assert done.changes(90, 150) <= 6
    assert done.longest_gap_ms() <= 200
    usual = step_named(Counter(done.steps[3000:]).most_common(1)[0][0])
    assert usual.wire_bits_per_s <= 1050 * kbps
    used = sum(step_named(name).wire_bits_per_s for name in done.steps[3000:]) / len(done.steps[3000:])
    assert used >= 0.6 * min(1000 * kbps, STEPS[0].wire_bits_per_s), "what the link carries is used"


@pytest.mark.parametrize("sees_unsent", [True, False])
@pytest.mark.parametrize(("kbps", "then"), [(200, 100), (80, 40), (50, 25), (100, 25)])
def test_a_link_that_loses_half_its_rate_leaves_no_gap(kbps: int, then: int, sees_unsent: bool) -> None:
    link = SlowLink(lambda t: kbps if t < 20 else then)
    done = talk(link, 45, sees_unsent, step_named("steady"))
    assert done.longest_gap_ms(20) <= 200
    assert step_named(done.steps[2300]).wire_bits_per_s <= 1000 * then
    assert min(done.delays_ms[2500:]) <= 200, "the queue is gone; at 25 kbit/s it empties slowly"


def test_25_kbit_per_s_carry_a_voice_from_the_start() -> None:
    done = talk(SlowLink(lambda _: 25), 60)
    assert done.steps[150] in {"bare", "last"}
    assert done.longest_gap_ms() <= 200
    assert min(done.delays_ms[:2500]) <= 60, "what the first half second put into the queue is gone"


def test_a_better_link_is_found_within_a_minute() -> None:
    done = talk(SlowLink(lambda t: 25 if t < 20 else 1000), 80)
    assert done.steps[-1] == "near"


@pytest.mark.parametrize("black_s", [0.5, 2.0, 5.0, 20.0])
def test_after_a_blackout_the_best_step_is_back_soon(black_s: float) -> None:
    done = talk(SlowLink(lambda t: 0 if 10 < t < 10 + black_s else 1000), 10 + black_s + 20)
    assert done.steps[-1] == "near"
    assert max(done.delays_ms[round(100 * (10 + black_s + 3)) :]) <= 40


def fading(seed: int) -> Rate:
    """A cell's rate: a walk of its logarithm, ten times a second, between 30 kbit/s and 2 Mbit/s."""
    chance, kbps, trace = random.Random(seed), 300.0, []
    for _ in range(1000):
        kbps = min(2000.0, max(30.0, kbps * 2.0 ** chance.gauss(0, 0.2)))
        trace.append(kbps)
    return lambda t: trace[int(10 * t)]


@pytest.mark.parametrize("seed", range(2))
def test_a_fading_cell_is_followed(seed: int) -> None:
    chance = random.Random(seed)
    done = talk(SlowLink(fading(seed), lambda _: 0.03 + 0.02 * chance.random()), 90)
    assert done.longest_gap_ms() <= 200
    assert sum(delay > 400 for delay in done.delays_ms) <= 0.05 * len(done.delays_ms)
    assert done.dropped <= 0.02 * done.received


def test_jitter_and_spikes_of_a_fast_link_do_not_lower_the_rate() -> None:
    chance = random.Random(5)
    done = talk(SlowLink(lambda _: 1000, lambda _: 0.02 + 0.04 * chance.random()), 60)
    assert set(done.steps) == {"near"}
    done = talk(SlowLink(lambda _: 1000, lambda t: 0.53 - t % 7 if t % 7 < 0.5 else 0.03), 60)
    assert set(done.steps) == {"near"}
