"""Rate steps and rate control: down at once, up slowly."""

import pytest

from callbox.audio.steps import DEFAULT_STEP, STEPS, RateControl, step_named
from callbox.wire.media import PLAIN_HEAD_BYTES, Report, pack_report

CLEAN = Report(received=50, lost=0, late=0, delay_ms=5)


def after(control: RateControl, report: Report, start_s: float, seconds: int) -> list[str]:
    return [control.report(report, start_s + second).name for second in range(seconds)]


def test_every_step_has_room_for_a_report() -> None:
    for step in STEPS:
        assert step.plain_bytes >= PLAIN_HEAD_BYTES + len(pack_report(CLEAN))
        assert step.bits_per_s * step.packet_ms % 8000 == 0
        assert step.packet_ms in {10, 20, 40, 60}


def test_steps_need_less_and_less() -> None:
    rates = [step.bits_per_s for step in STEPS]
    assert rates == sorted(rates, reverse=True)
    assert step_named("saver").packet_ms >= 40


def test_unknown_step_names_those_that_exist() -> None:
    with pytest.raises(KeyError, match="clear"):
        step_named("hifi")


@pytest.mark.parametrize(
    ("report", "steps_down"),
    [
        (CLEAN, 0),
        (Report(98, 2, 0, 5), 0),
        (Report(95, 5, 0, 5), 1),
        (Report(95, 0, 5, 5), 0),
        (Report(70, 20, 10, 5), 2),
        (Report(50, 0, 0, 100), 1),
        (Report(50, 0, 0, 300), 2),
        (Report(1, 1, 0, 5), 0),
    ],
)
def test_one_bad_report_is_enough(report: Report, steps_down: int) -> None:
    control = RateControl()
    control.report(CLEAN, 0.0)
    assert control.report(report, 1.0) is STEPS[steps_down]


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
    assert control.unsent(30 * DEFAULT_STEP.plain_bytes, 2.0) is STEPS[3]


def test_rate_comes_back_one_step_at_a_time() -> None:
    control = RateControl(STEPS[3])
    names = after(control, CLEAN, 0.0, 26)
    assert names[7] == STEPS[3].name
    assert names[8] == STEPS[2].name
    assert names[-1] == DEFAULT_STEP.name


def test_a_step_up_that_hurts_is_tried_again_only_later() -> None:
    control = RateControl(STEPS[2])
    after(control, CLEAN, 0.0, 9)
    assert control.step is STEPS[1]
    control.report(Report(40, 10, 0, 5), 10.0)
    lowered = control.step
    after(control, CLEAN, 11.0, 16)
    assert control.step is lowered
    after(control, CLEAN, 27.0, 2)
    assert control.step is not lowered


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
