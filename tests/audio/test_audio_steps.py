"""Rate steps: what each must have."""

import pytest

from callbox.audio.steps import STEPS, step_named
from callbox.wire.media import PLAIN_HEAD_BYTES, Report, pack_report


def test_every_step_has_room_for_a_report() -> None:
    for step in STEPS:
        assert step.plain_bytes >= PLAIN_HEAD_BYTES + len(pack_report(Report(50, 0, 0, 5)))
        assert step.bits_per_s * step.packet_ms % 8000 == 0
        assert step.packet_ms in {10, 20, 40, 60, 120}


def test_steps_need_less_and_less() -> None:
    for rates in ([step.bits_per_s for step in STEPS], [step.wire_bits_per_s for step in STEPS]):
        assert rates == sorted(rates, reverse=True)
    assert step_named("saver").packet_ms >= 40


def test_the_least_step_fits_a_link_of_25_kbit_per_s() -> None:
    assert STEPS[-1].wire_bits_per_s < 0.7 * 25_000, "acknowledgements of the other direction weigh, too"


def test_unknown_step_names_those_that_exist() -> None:
    with pytest.raises(KeyError, match="clear"):
        step_named("hifi")
