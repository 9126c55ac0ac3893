"""Real-time priority: taken where it is allowed, done without where it is not."""

import os

import pytest

from callbox.app import priority


def test_a_thread_that_may_hurry_does_and_its_children_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda who, how, what: asked.append((who, how, what.sched_priority)))
    assert priority.hurry(priority.AUDIO)
    assert asked == [(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, priority.AUDIO)]


def test_without_the_right_everything_goes_on_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(who: int, how: int, what: os.sched_param) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    assert not priority.hurry(priority.LOOP)


def test_the_voice_goes_before_the_network_that_carries_it() -> None:
    assert priority.AUDIO > priority.LOOP > 0
