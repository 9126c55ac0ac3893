"""Commit, then act: nothing leaves the box before it is on the card, in order, also when the card fails."""

from callbox.conversations.commits import RETRY_S, Commits
from callbox.conversations.stores import Put, StoreFault

A, B, C = (Put("t", key, b"") for key in "abc")
FULL = StoreFault("full", "no room")


def test_effects_wait_for_their_writes() -> None:
    commits: Commits[str] = Commits()
    assert commits.batch(0.0) is None
    commits.add([A], ["send a"])
    commits.add([B], ["send b", "acknowledge b"])
    assert commits.batch(0.0) == [A, B]
    assert commits.written() == ["send a", "send b", "acknowledge b"]
    assert commits.batch(0.0) is None


def test_what_comes_during_a_commit_goes_with_the_next() -> None:
    commits: Commits[str] = Commits()
    commits.add([A], ["a"])
    assert commits.batch(0.0) == [A]
    commits.add([B], ["b"])
    assert commits.batch(0.0) is None
    assert commits.written() == ["a"]
    assert commits.batch(0.0) == [B]
    assert commits.written() == ["b"]


def test_effects_without_writes_keep_their_place() -> None:
    commits: Commits[str] = Commits()
    commits.add([A], ["a"])
    commits.batch(0.0)
    commits.add([], ["after a"])
    assert commits.written() == ["a"]
    assert commits.batch(0.0) == []
    assert commits.written() == ["after a"]


def test_a_failing_card_makes_everything_wait_and_heals() -> None:
    commits: Commits[str] = Commits()
    commits.add([A], ["a"])
    commits.batch(10.0)
    commits.add([B], ["b"])
    commits.failed(FULL, 10.0)
    assert (commits.fault, commits.deadline) == (FULL, 10.0 + RETRY_S)
    commits.add([C], ["c"])
    assert commits.batch(10.0 + RETRY_S - 0.1) is None
    assert commits.batch(10.0 + RETRY_S) == [A, B, C]
    assert commits.deadline is None
    assert commits.written() == ["a", "b", "c"]
    assert (commits.fault, commits.deadline) == (None, None)
