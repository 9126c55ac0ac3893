"""Buckets, windows and the media queue, by tables of time."""

import pytest

from callbox.server.limits import MAX_KEYS, Both, Bucket, PerKey, Window
from callbox.server.relay import MAX_MESSAGES, MediaQueue


def test_a_bucket_refills_steadily_and_never_beyond_its_size() -> None:
    bucket = Bucket(2, 10.0)
    went = []
    for now in (0, 0, 0, 9.9, 10.1, 15, 20.2, 500, 500, 500):
        free = bucket.wait_s(now) == 0.0
        went.append(free)
        if free:
            bucket.take()
    assert went == [True, True, False, False, True, False, True, True, True, False]


def test_a_bucket_says_how_long_to_wait() -> None:
    bucket = Bucket(1, 10.0)
    assert bucket.wait_s(0) == 0.0
    bucket.take()
    assert bucket.wait_s(4) == pytest.approx(6.0)


def test_a_window_slides() -> None:
    window = Window(2, 60.0)
    for now in (0.0, 30.0):
        assert window.wait_s(now) == 0.0
        window.take(now)
    assert window.wait_s(59.0) == pytest.approx(1.0)
    assert window.wait_s(60.0) == 0.0
    window.take(60.0)
    assert window.wait_s(61.0) == pytest.approx(29.0)


def test_both_count_together_and_what_is_refused_costs_nothing() -> None:
    limits: PerKey[str] = PerKey(lambda: Both(Bucket(1, 1.0), Window(2, 100.0)))
    assert [limits.allow("pair", now) == 0.0 for now in (0, 0, 1, 2, 99, 101)] == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]
    assert limits.allow("other pair", 2) == 0.0


def test_limits_are_kept_for_a_bounded_number_of_keys() -> None:
    limits: PerKey[int] = PerKey(lambda: Window(1, 1e9))
    for key in range(MAX_KEYS + 10):
        limits.allow(key, 0.0)
    assert len(limits) == MAX_KEYS
    assert limits.allow(MAX_KEYS, 0.0) > 0.0


def test_media_older_than_120_ms_is_dropped() -> None:
    queue = MediaQueue()
    for number in range(10):
        queue.put(bytes([number]), number * 0.02)
    assert queue.take(0.25) == bytes([7])
    assert queue.dropped == 7
    assert [queue.take(0.25), queue.take(0.25), queue.take(0.25)] == [b"\x08", b"\x09", None]
    assert queue.waiting_bytes == 0


def test_a_queue_nobody_takes_from_stays_small() -> None:
    queue = MediaQueue()
    for number in range(10_000):
        queue.put(bytes(4096), number * 0.0001)
    assert len(queue) <= MAX_MESSAGES
    assert queue.waiting_bytes <= 64 * 1024


def test_a_stuck_peer_is_stuck_since_the_first_time() -> None:
    queue = MediaQueue()
    assert queue.stuck_for(9.0) == 0.0
    queue.blocked(10.0)
    queue.blocked(12.0)
    assert queue.stuck_for(15.0) == 5.0
    queue.flowing()
    assert queue.stuck_for(16.0) == 0.0
