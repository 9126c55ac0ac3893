"""Sealed frames to lanes: emptiest lane first, nothing stale, bounds of the wire kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.link.media import CLOGGED_BYTES, MediaLanes
from callbox.wire.media import MAX_FRAMES, MAX_MEDIA_BYTES, unpack_media


def frame(number: int, size: int = 120) -> bytes:
    return number.to_bytes(4, "big").ljust(size, b"\1")


def test_a_frame_goes_at_once_on_the_emptiest_lane() -> None:
    media = MediaLanes(route=7)
    [(lane, message)] = media.send([(0.0, frame(1))], {1: 300, 2: 0, 3: 0}, 0.01)
    assert lane == 2
    assert unpack_media(message) == (7, [frame(1)])
    assert media.sent == 1


def test_clogged_lanes_get_nothing_and_frames_wait() -> None:
    media = MediaLanes(route=7)
    assert media.send([(0.0, frame(1))], {1: CLOGGED_BYTES + 1}, 0.0) == []
    [(lane, message)] = media.send([(0.02, frame(2))], {1: 0}, 0.02)
    assert (lane, unpack_media(message)[1]) == (1, [frame(1), frame(2)])


@pytest.mark.parametrize(("age_s", "sent"), [(0.119, 1), (0.121, 0)])
def test_a_stale_frame_is_dropped_before_a_lane_has_it(age_s: float, sent: int) -> None:
    media = MediaLanes(route=7)
    media.send([(0.0, frame(1))], {}, 0.0)
    assert len(media.send([], {1: 0}, age_s)) == sent
    assert (media.sent, media.dropped_stale) == (sent, 1 - sent)


def test_without_lanes_what_waits_stays_bounded() -> None:
    """Minutes without a lane leave at most 120 ms of frames behind."""
    media = MediaLanes(route=7)
    for number in range(6000):
        media.send([(number / 100, frame(number))], {}, number / 100)
    messages = media.send([], {1: 0, 2: 0, 3: 0}, 59.99)
    frames = [one for _, message in messages for one in unpack_media(message)[1]]
    assert frames == [frame(number) for number in range(6000 - len(frames), 6000)]
    assert len(frames) <= 13
    assert media.dropped_stale + media.sent == 6000


def test_a_backlog_spreads_over_lanes_without_clogging_one() -> None:
    media = MediaLanes(route=7)
    messages = media.send([(0.0, frame(number, 400)) for number in range(12)], {1: 0, 2: 0, 3: 0}, 0.0)
    assert {lane for lane, _ in messages} == {1, 2, 3}
    per_lane = {lane: sum(len(message) for number, message in messages if number == lane) for lane in (1, 2, 3)}
    assert max(per_lane.values()) <= 2 * CLOGGED_BYTES


@given(
    sizes=st.lists(st.integers(1, 1500), max_size=60),
    lanes=st.dictionaries(st.integers(1, 6), st.integers(0, 3000), max_size=6),
)
def test_every_message_keeps_the_bounds_of_the_wire_and_the_order(sizes: list[int], lanes: dict[int, int]) -> None:
    media = MediaLanes(route=1)
    frames = [bytes([number]) * size for number, size in enumerate(sizes)]
    messages = media.send([(0.0, one) for one in frames], lanes, 0.0)
    unpacked = [unpack_media(message)[1] for _, message in messages]
    assert all(len(message) <= MAX_MEDIA_BYTES for _, message in messages)
    assert all(1 <= len(part) <= MAX_FRAMES for part in unpacked)
    assert all(lanes[lane] <= CLOGGED_BYTES for lane, _ in messages)
    sent = [one for part in unpacked for one in part]
    assert sent == frames[: len(sent)]
    assert media.sent == len(sent)
