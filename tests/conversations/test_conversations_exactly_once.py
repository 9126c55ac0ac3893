"""Exactly once to the person: two boxes and a server whose every step may be cut short, and nothing is lost or doubled.

The boxes run the real outbox, threads, seen-list and commit order over stores that survive a crash. Played here: the
server (it accepts after its own commit and keeps a letter until it is acknowledged) and the ratchet (a counter each
way; a counter that was used does not open again, and only 40 skipped ones are kept, as in Olm).
"""

import functools
import random
from collections.abc import Callable
from typing import TypeAlias

import msgspec
import pytest

from callbox.conversations.commits import Commits
from callbox.conversations.items import TextItem
from callbox.conversations.outbox import Letter, Outbox
from callbox.conversations.seen import Seen
from callbox.conversations.stores import Put, StoreFault, Write
from callbox.conversations.stores.memory import MemoryStore
from callbox.conversations.threads import Threads

SKIPPED_KEPT = 40
SEEDS = 16
STEPS = ("write", "seal", "submit", "submit", "lost", "receive", "commit", "commit", "full", "crash")
Then: TypeAlias = Callable[[], None]


class Ratchet(msgspec.Struct):
    """What the two ends of a session keep: the next counter to send, the next expected, and what was skipped."""

    sends: int = 0
    expects: int = 0
    skipped: list[int] = []

    def open(self, counter: int) -> None:
        if counter < self.expects:
            self.skipped.remove(counter)  # ValueError: was opened before, or its key was let go
            return
        self.skipped = [*self.skipped, *range(self.expects, counter)][-SKIPPED_KEPT:]
        self.expects = counter + 1

    def writes(self) -> list[Write]:
        return [Put("ratchet", "peer", msgspec.msgpack.encode(self))]


class Server:
    """Mailboxes: unique on (to, message id, class), kept until acknowledged."""

    def __init__(self) -> None:
        self.mail: dict[str, dict[tuple[str, bytes], Letter]] = {"a": {}, "b": {}}
        self.taken: set[tuple[str, str, bytes]] = set()

    def submit(self, letter: Letter) -> None:
        unique = (letter.to_device, letter.cls, letter.message_id)
        if unique not in self.taken:
            self.taken.add(unique)
            self.mail[letter.to_device][letter.cls, letter.message_id] = letter

    def acknowledge(self, device: str, key: tuple[str, bytes]) -> None:
        self.mail[device].pop(key, None)


class Box:
    def __init__(self, name: str, peer: str, server: Server, chance: random.Random) -> None:
        self.name, self.peer, self.server, self.chance = name, peer, server, chance
        self.store = MemoryStore()
        self.written = 0
        self.restart()

    def restart(self) -> None:
        """Whatever was not committed is gone."""
        self.outbox = Outbox(self.store.load("outbox"))
        self.threads = Threads(self.store.items(limit=100_000))
        self.seen = Seen(self.store.load("seen"))
        kept = self.store.load("ratchet").get("peer")
        self.ratchet = msgspec.msgpack.decode(kept, type=Ratchet) if kept else Ratchet()
        self.commits: Commits[Then] = Commits()

    def write(self) -> None:
        self.written += 1
        message_id = self.chance.randbytes(16)
        _, item_writes = self.threads.text_written(message_id, self.peer, f"{self.written}", 0)
        body = f"{self.written}".encode()
        _, letter_writes = self.outbox.queue(message_id, self.peer, "mail", body, 0, [self.peer])
        self.commits.add([*item_writes, *letter_writes])

    def seal(self) -> None:
        for letter in self.outbox.sealable():
            ciphertext = self.ratchet.sends.to_bytes(4, "big")
            self.ratchet.sends += 1
            self.commits.add([*self.outbox.sealed(letter, 1, ciphertext), *self.ratchet.writes()])

    def submit(self, answered: bool) -> None:
        """Hand over what is durable; the answer may be lost with the link."""
        durable = {letter.key: letter for letter in Outbox(self.store.load("outbox"))._letters.values()}
        for letter in self.outbox.submittable(0.0):
            if durable.get(letter.key) != letter:
                continue  # sealed in memory only: the shell submits after the commit
            self.outbox.submitted(letter)
            self.server.submit(letter)
            if not answered:
                self.outbox.link_lost()
                continue
            self.commits.add(self.outbox.accepted(letter))
            if letter.cls == "mail":
                self.commits.add(self.threads.mark([letter.message_id], "sent"))

    def receive(self) -> None:
        """Take what the mailbox has; acknowledged only once it is committed."""
        for key, letter in list(self.server.mail[self.name].items()):
            acknowledge = functools.partial(self.server.acknowledge, self.name, key)
            known = (self.peer + letter.cls, letter.message_id)
            if known in self.seen:
                self.commits.add([], [acknowledge])
                continue
            self.ratchet.open(int.from_bytes(letter.ciphertext, "big"))
            writes = [*self.seen.note(*known, 0), *self.ratchet.writes()]
            if letter.cls == "mail":
                writes += self.threads.text_received(letter.message_id, self.peer, letter.body.decode(), 0)[1]
                receipt = self.chance.randbytes(16)
                writes += self.outbox.queue(receipt, self.peer, "receipt", letter.message_id, 0, [self.peer])[1]
            else:
                writes += self.outbox.delivered(self.peer, [letter.body])
                writes += self.threads.mark([letter.body], "delivered", contact=self.peer)
            self.commits.add(writes, [acknowledge])

    def commit(self, now: float, works: bool) -> None:
        batch = self.commits.batch(now)
        if batch is None:
            return
        self.store.fail_with = None if works else StoreFault("full", "no room")
        try:
            self.store.commit(batch)
        except StoreFault as fault:
            self.commits.failed(fault, now)
        else:
            for then in self.commits.written():
                then()

    def texts(self, outgoing: bool) -> list[TextItem]:
        items = reversed(self.store.items(limit=100_000))
        return [item for item in items if isinstance(item, TextItem) and item.outgoing == outgoing]

    def in_flight(self) -> int:
        letters = Outbox(self.store.load("outbox"))._letters.values()
        return sum(letter.cls == "mail" and letter.state != "queued" for letter in letters)


@functools.cache  # played boxes are only looked at
def play(seed: int, steps: int) -> tuple[Box, Box]:
    chance, server = random.Random(seed), Server()
    boxes = Box("a", "b", server, chance), Box("b", "a", server, chance)
    burst = chance.choice([1, 1, 5, 60])
    for step in range(steps):
        box = chance.choice(boxes)
        match chance.choice(
            ("write", "seal", "submit", "submit", "lost", "receive", "commit", "commit", "full", "crash")
        ):
            case "write":
                for _ in range(burst):
                    box.write()
            case "seal":
                box.seal()
            case "submit" | "lost" as how:
                box.submit(answered=how == "submit")
            case "receive":
                box.receive()
            case "commit" | "full" as how:
                box.commit(step * 2.0, works=how == "commit")
            case "crash":
                box.restart()
        assert box.in_flight() <= 32
    for turn in range(20 * steps):
        for box in boxes:
            box.receive()
            box.seal()
            box.commit(steps * 2.0 + 10.0 * (turn + 1), works=True)
            box.submit(answered=True)
            box.commit(steps * 2.0 + 10.0 * (turn + 1), works=True)
            assert box.in_flight() <= 32
        if not any(len(box.outbox) or server.mail[box.name] for box in boxes):
            break
    return boxes


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_committed_text_arrives_once_and_in_order(seed: int) -> None:
    a, b = play(seed, steps=150)
    for sender, receiver in ((a, b), (b, a)):
        written, arrived = sender.texts(outgoing=True), receiver.texts(outgoing=False)
        assert [item.text for item in arrived] == [item.text for item in written]
        assert [item.id for item in arrived] == [item.id for item in written]
        assert {item.state for item in written} <= {"delivered"}
        assert len(sender.outbox) == 0


def test_the_play_is_worth_playing() -> None:
    """Windows fill up, and much goes over the wire: or the test above would prove little."""
    plays = [play(seed, steps=150) for seed in range(SEEDS)]
    assert max(len(box.texts(outgoing=True)) for pair in plays for box in pair) > 100
    assert sum(len(box.texts(outgoing=True)) for pair in plays for box in pair) > 500
