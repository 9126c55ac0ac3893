"""The bench: what it reads from the kernel, how it puts starts together, and where it writes."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, silence
from callbox.testing.bench import echoes, processes, report
from callbox.testing.bench.call import Heard, Idle, Spent, Start, tone
from callbox.testing.bench.figures import Figure, Goal, Measured, figures
from callbox.testing.bench.floors import CardFloor, OpusFloor, opus_alone, opus_paced
from callbox.testing.measure import MouthToEar, quality, tone_starts
from callbox.testing.voice import find_voice

SS = """\
0 0 127.0.0.1:50000 127.0.0.1:8443
\t cubic wscale:7,7 rto:201 mss:65483 ts sack bytes_sent:1000 bytes_acked:1001 bytes_received:300 segs_out:10 segs_in:9
0 0 127.0.0.1:50002 127.0.0.1:8443
\t cubic wscale:7,7 rto:201 bytes_sent:50 bytes_received:70 segs_out:1 segs_in:2 data_segs_out:1
"""


def heard(*delays_ms: float, missing: int = 0, stoi: float = 0.99, pesq: float | None = 4.45) -> Heard:
    return Heard(delays_ms, missing, stoi, pesq)


SPENT = Spent((0.05, 0.07), 0.006, (40.0, 42.0), (70.0, 72.0), 5900.0, 6100.0)
START = Start(
    step="near",
    callable_s=(0.5, 0.7),
    idle=(),
    ring_ms=100.0,
    first_audio_ms=(90.0, 110.0),
    heard=(heard(50, 50, 60), heard(70, 70, 120)),
    spent=SPENT,
    steps_at_end=("near", "near"),
)


def start(step: str = "near", **changed: Any) -> Start:
    return replace(START, step=step, **changed)


def table(*starts: Start) -> dict[tuple[str, str], Figure]:
    card = CardFloor(MouthToEar(25.0, 30.0, 0, 6), 0.03)
    opus = {name: OpusFloor(0.02, 4.4, 0.04) for name in ("near", "steady", "saver")}
    return {(line.what, line.step): line for line in figures(Measured([card], opus, starts))}


def test_cpu_time_is_read_past_any_process_name() -> None:
    tail = " ".join(["S"] + ["0"] * 10 + ["150", "50"] + ["9"] * 20)
    assert processes.cpu_s_in(f"42 (a) b) {tail}") == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))


def test_our_own_work_and_memory_show() -> None:
    before, ran_before_s = processes.cpu_s(os.getpid()), processes.ran_s(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    assert 0.02 <= processes.cpu_s(os.getpid()) - before <= 1.0
    assert 0.049 <= processes.ran_s(os.getpid()) - ran_before_s <= 1.0
    pss_mb, rss_mb = processes.memory_mb(os.getpid())
    assert 5 < pss_mb <= rss_mb
    assert processes.wake_ups(os.getpid()) > 0


@pytest.mark.real
def test_an_echo_through_the_servers_sockets_has_a_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echoes, "TURNS", 4)
    assert 1 < echoes.us_per_frame(tmp_path) < 5000


def test_every_segment_on_the_wire_counts_with_its_headers() -> None:
    carried = processes.carried_in(SS)
    assert carried.up == 1000 + 10 * 52 + 50 + 1 * 40
    assert carried.down == 300 + 9 * 52 + 70 + 2 * 40
    assert carried - processes.Carried(1, 2) == processes.Carried(carried.up - 1, carried.down - 2)


@pytest.mark.parametrize("begins_s", [0.0, 0.3, 1.234])
def test_the_beginning_of_a_tone_is_found_beside_a_ring(begins_s: float) -> None:
    sound = np.concatenate((silence(round(begins_s * RATE_HZ)), tone(1700.0)))
    ring = 9000 * np.sin(2 * np.pi * 660 * np.arange(len(sound)) / RATE_HZ)
    found = tone_starts((sound + ring).astype(np.int16), 1700.0)
    assert found == pytest.approx(begins_s, abs=0.011)
    assert tone_starts(ring.astype(np.int16), 1700.0) is None
    assert tone_starts(silence(10), 1700.0) is None


def test_goals_judge_what_the_table_shows() -> None:
    at_most = Figure("x", "", 75.4, "ms", "", Goal("<=", 75))
    assert at_most.reached is True
    assert Figure("x", "", 75.6, "ms", "", Goal("<=", 75)).reached is False
    assert Figure("x", "", 4.396, "", "", Goal(">=", 4.4), 2).reached is True
    assert Figure("x", "", None, "", "", Goal(">=", 4.4), 2).reached is None
    assert Figure("x", "", 1.0, "", "").reached is None


def test_starts_are_put_together() -> None:
    lines = table(start(), start(heard=(heard(40), heard(45))), start("saver"))
    delay = lines["mouth to ear, median", "near"]
    assert delay.value == pytest.approx((45 + 50) / 2)  # of the voices' medians 50, 70, 40, 45
    assert delay.reached is True
    assert lines["mouth to ear, p95", "near"].reached is False
    assert lines["mouth to ear above that floor, median", "near"].value == pytest.approx(47.5 - 25)
    assert lines["mouth to ear, median", "saver"].goal is None
    assert lines["on the wire, box to server", "saver"].reached is True
    assert lines["on the wire, server to box", "saver"].reached is False
    assert lines["press of answer to first audio at both ears", ""].value == 110
    assert lines["CPU per call-second and box", "near"].value == pytest.approx(0.06)
    assert lines["process start to callable", ""].value == pytest.approx(0.6)


def test_what_could_not_be_measured_is_said_and_no_success() -> None:
    nothing = replace(SPENT, bytes_up=None, bytes_down=None)
    lost = heard(missing=12, stoi=0.0, pesq=float("nan"))
    lines = table(start(heard=(lost, lost), first_audio_ms=(None, 90.0), spent=nothing))
    silent = [line for line in lines.values() if line.value is None]
    assert {"mouth to ear, median", "PESQ-WB", "on the wire, box to server"} <= {line.what for line in silent}
    assert all(line.reached is None for line in silent)
    assert lines["pieces of speech that did not arrive", "near"].value == 24
    assert lines["STOI", "near"].reached is False
    assert "| not measured |" in report.markdown({}, silent)


def test_idle_shows_only_if_it_was_watched() -> None:
    assert ("idle: CPU", "") not in table(start())
    lines = table(start(idle=(Idle(0.4, 6.0, 30.0, 60.0), Idle(0.2, 5.0, 30.0, 60.0))))
    assert lines["idle: CPU", ""].reached is True
    assert lines["idle: wake-ups per second", ""].reached is False


def test_the_table_is_rewritten_and_the_words_around_it_stay(tmp_path: Path) -> None:
    file = tmp_path / "BENCHMARKS.md"
    lines = list(table(start()).values())
    report.write(file, report.markdown({"date": "today"}, lines))
    text = file.read_text().replace("# Benchmarks", "# Words") + "after\n"
    file.write_text(text)
    report.write(file, report.markdown({"date": "tomorrow"}, lines))
    assert file.read_text() == text.replace("today", "tomorrow")
    row = "| process start to callable | - | 0.60 s | ≤ 2.00 s | yes | 2 starts |"
    assert row in text
    assert "| **no** |" in text


def test_a_file_without_a_place_for_the_table_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "NOTES.md"
    file.write_text("mine\n")
    with pytest.raises(CallboxError, match="no place"):
        report.write(file, "table")
    assert file.read_text() == "mine\n"


def test_facts_are_json_and_name_the_machine() -> None:
    about = report.machine()
    facts = json.loads(json.dumps(report.as_facts(about, list(table(start()).values()))))
    assert facts["about"]["processor"].startswith(str(os.cpu_count()))
    delay = next(line for line in facts["figures"] if line["what"] == "mouth to ear, median")
    assert (delay["goal"], delay["bound"], delay["reached"], delay["step"]) == (75, "<=", True, "near")


def test_opus_alone_costs_something_and_sounds_well() -> None:
    floor = opus_alone("steady", find_voice(4).samples)
    assert 0 < floor.cpu < 1
    assert floor.pesq is None or floor.pesq > 2


def test_opus_at_a_call_s_pace_costs_something() -> None:
    assert 0 < opus_paced("near", find_voice(4).samples[: RATE_HZ // 5]) < 1


def test_quality_knows_better_from_worse() -> None:
    pytest.importorskip("pesq")
    random = np.random.default_rng(3)
    carrier = np.convolve(random.normal(0, 9000, 4 * RATE_HZ), np.hanning(60) / 30, "same")
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * np.arange(len(carrier)) / RATE_HZ)
    voice = (carrier * syllables).astype(np.int16)
    late = np.concatenate((silence(2400), voice))
    noisy = (late + random.normal(0, 700, len(late))).clip(-32768, 32767).astype(np.int16)
    fine, poor = quality(voice, late), quality(voice, noisy)
    assert fine is not None
    assert poor is not None
    assert fine > 4.2 > poor
