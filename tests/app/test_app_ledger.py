"""The ledger: in order, after the disk, and urgent things in spite of it."""

import pytest

from callbox.app import ledger as ledgers
from callbox.app.effects import Commit
from callbox.app.ledger import Ledger
from callbox.conversations.stores import Put


class Disk:
    """A ledger with the commits it asked for, and a clock for the test to turn."""

    def __init__(self) -> None:
        self.now = 0.0
        self.commits: list[Commit] = []
        self.done: list[str] = []
        self.ledger = Ledger(self.commits.append, lambda: self.now)

    def commit(self, name: str, *, writes: bool = True, urgent: bool = False) -> None:
        self.ledger.commit([put(name)] if writes else [], lambda: self.done.append(name), urgent)


def put(key: str) -> Put:
    return Put("table", key, b"value")


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_what_follows_waits_for_the_disk(disk: Disk) -> None:
    disk.commit("a")
    assert disk.done == []
    disk.ledger.committed(1)
    assert disk.done == ["a"]
    assert disk.ledger.idle


def test_what_comes_meanwhile_is_one_batch(disk: Disk) -> None:
    for name in "abc":
        disk.commit(name)
    assert [list(commit.writes) for commit in disk.commits] == [[put("a")]]
    disk.ledger.committed(1)
    assert disk.commits[1].writes == [put("b"), put("c")]
    assert disk.done == ["a"]
    disk.ledger.committed(2)
    assert disk.done == ["a", "b", "c"]


def test_without_writes_and_waiting_it_happens_at_once(disk: Disk) -> None:
    disk.commit("a", writes=False)
    assert (disk.done, disk.commits) == (["a"], [])


def test_without_writes_it_still_waits_for_what_came_before(disk: Disk) -> None:
    disk.commit("a")
    disk.commit("b", writes=False)
    assert disk.done == []
    disk.ledger.committed(1)
    disk.ledger.committed(2)
    assert disk.done == ["a", "b"]


def test_a_full_disk_holds_back_mail_and_lets_calls_through(disk: Disk) -> None:
    disk.commit("mail")
    disk.commit("call", urgent=True)
    disk.ledger.failed(1, "No space is left.")
    assert disk.done == ["call"]
    assert disk.ledger.fault == "No space is left."
    disk.commit("another call", urgent=True)
    assert disk.done == ["call", "another call"]


def test_it_tries_again_and_does_nothing_twice(disk: Disk) -> None:
    disk.commit("mail")
    disk.commit("call", urgent=True)
    disk.ledger.failed(1, "No space is left.")
    assert disk.ledger.deadline is not None
    disk.now = disk.ledger.deadline - 0.1
    disk.ledger.tick()
    assert len(disk.commits) == 1
    disk.now = disk.ledger.deadline
    disk.ledger.tick()
    assert disk.commits[1].writes == [put("mail"), put("call")]
    disk.ledger.committed(2)
    assert disk.done == ["call", "mail"]
    assert disk.ledger.fault is None


def test_an_answer_to_an_earlier_ticket_counts_for_nothing(disk: Disk) -> None:
    disk.commit("a")
    disk.ledger.committed(7)
    disk.ledger.failed(7, "No space is left.")
    assert (disk.done, disk.ledger.fault) == ([], None)


def test_it_is_full_only_when_much_waits_for_a_broken_disk(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MAX_WAITING", 3)
    for name in "abc":
        disk.commit(name)
    assert not disk.ledger.full
    disk.ledger.failed(1, "No space is left.")
    assert disk.ledger.full
