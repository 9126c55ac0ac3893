"""Back-off and heartbeat, by tables of time."""

import pytest

from callbox.base.chance import SeededChance
from callbox.link.timing import Backoff, Heartbeat, Timing

TIMING = Timing()


def test_backoff_doubles_within_its_jitter_and_stays_at_the_longest() -> None:
    backoff = Backoff(TIMING, SeededChance(1))
    steps = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0]
    for step in steps:
        assert step / 2 <= backoff.next_delay(in_call=False) <= step


def test_backoff_never_ends_and_never_overflows() -> None:
    backoff = Backoff(TIMING, SeededChance(1))
    for _ in range(5000):
        delay_s = backoff.next_delay(in_call=False)
    assert 15.0 <= delay_s <= 30.0


def test_two_boxes_do_not_come_back_together() -> None:
    """Jitter: a server that restarts is not met by all of its boxes at once."""
    one, other = Backoff(TIMING, SeededChance("one")), Backoff(TIMING, SeededChance("other"))
    assert [one.next_delay(False) for _ in range(5)] != [other.next_delay(False) for _ in range(5)]


def test_backoff_in_a_call_stays_short() -> None:
    backoff = Backoff(TIMING, SeededChance(1))
    assert all(backoff.next_delay(in_call=True) <= TIMING.call_longest_retry_s for _ in range(50))


def test_connect_timeout_in_a_call_begins_short_and_grows_to_the_common_one() -> None:
    backoff = Backoff(TIMING, SeededChance(1))
    seen = []
    for _ in range(17):
        seen.append(backoff.connect_timeout_s(in_call=True))
        backoff.next_delay(in_call=True)
    assert seen == pytest.approx([3.0] * 4 + [4.5] * 4 + [5.0] * 9)
    assert backoff.connect_timeout_s(in_call=False) == TIMING.connect_s


def pings_until_dead(heartbeat: Heartbeat, limit: float) -> tuple[list[float], float | None]:
    """Jump from deadline to deadline without hearing anything."""
    pings: list[float] = []
    while (now := heartbeat.deadline) <= limit:
        if heartbeat.dead(now):
            return pings, now
        heartbeat.listen(now)
        if heartbeat.ping_due(now):
            pings.append(now)
    return pings, None


@pytest.mark.parametrize(("in_call", "pings", "dead"), [(False, [20.0, 40.0], 45.0), (True, [0.5, 1.0], 10.0)])
def test_silence_is_noticed_in_time(in_call: bool, pings: list[float], dead: float) -> None:
    assert pings_until_dead(Heartbeat(TIMING, in_call, 0.0), 100.0) == (pings, dead)


def test_anything_heard_keeps_a_lane_alive() -> None:
    heartbeat = Heartbeat(TIMING, True, 0.0)
    for tenth in range(1, 200):
        now = tenth / 10
        heartbeat.ping_due(now)
        assert not heartbeat.dead(now)
        if tenth % 14 == 0:
            heartbeat.heard(now)


def test_a_call_counts_its_stricter_limit_from_its_start() -> None:
    """Idle silence before the call is no sign of death in it."""
    heartbeat = Heartbeat(TIMING, False, 0.0)
    heartbeat.set_in_call(True, 19.0)
    assert heartbeat.ping_due(19.0)
    assert not heartbeat.listen(20.4)
    assert heartbeat.listen(20.5)
    heartbeat.heard(20.6)
    assert not heartbeat.listen(21.0)
    assert not heartbeat.dead(30.0)


def test_own_sleep_proves_nothing_about_the_other_end() -> None:
    """After the box was suspended, it first asks, then waits as long as ever for the answer."""
    heartbeat = Heartbeat(TIMING, True, 0.0)
    woke = 500.0
    assert not heartbeat.dead(woke)
    assert heartbeat.ping_due(woke)
    assert not heartbeat.listen(woke + 0.9)
    assert heartbeat.listen(woke + 1.0)
    assert not heartbeat.dead(woke + 9.4)
    assert heartbeat.dead(woke + 9.5)


def test_doubt_asks_at_once_and_gives_no_more_time_than_a_call() -> None:
    heartbeat = Heartbeat(TIMING, False, 0.0)
    heartbeat.doubt(3.0)
    assert heartbeat.ping_due(3.0)
    assert heartbeat.deadline == 4.5
    assert heartbeat.dead(4.5)
    heartbeat.heard(4.4)
    assert not heartbeat.dead(40.0)
