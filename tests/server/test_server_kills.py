"""kill -9 at seeded moments: what was accepted is there after the restart, and nothing is there twice.

CALLBOX_KILLS raises the number of kills, for a soak.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from callbox.wire.codec import PART_BYTES
from callbox.wire.signals import (
    Accepted,
    Acknowledge,
    BeginBlob,
    BlobPart,
    BlobPlace,
    Deliver,
    GetPart,
    PutPart,
    SetRow,
    Submit,
)
from server.people import Box, digest
from server.running import BoxOnTheLine, RunningServer

pytestmark = pytest.mark.real
KITCHEN, WORKSHOP = Box("kitchen"), Box("workshop")
KILLS = int(os.environ.get("CALLBOX_KILLS", "4"))
IN_FLIGHT = 32


class Sender:
    """Workshop: sends numbered letters, at most IN_FLIGHT unanswered, the same bytes again until accepted."""

    def __init__(self) -> None:
        self.accepted: set[int] = set()
        self.sent = 0

    def send_until(self, line: BoxOnTheLine, answers: int) -> None:
        """Send on and take `answers` of them; as many as IN_FLIGHT stay on their way."""
        waiting = [number for number in range(self.sent) if number not in self.accepted]
        for number in waiting:
            line.say(Submit(number, WORKSHOP.to(KITCHEN, number)))
        in_flight = len(waiting)
        for _ in range(answers):
            while in_flight < IN_FLIGHT:
                line.say(Submit(self.sent, WORKSHOP.to(KITCHEN, self.sent)))
                self.sent += 1
                in_flight += 1
            self.accepted.add(line.hear(Accepted).request)
            in_flight -= 1

    def finish(self, line: BoxOnTheLine) -> None:
        for number in set(range(self.sent)) - self.accepted:
            line.say(Submit(number, WORKSHOP.to(KITCHEN, number)))
        while len(self.accepted) < self.sent:
            self.accepted.add(line.hear(Accepted).request)


_NUMBERS = {WORKSHOP.to(KITCHEN, number).message_id: number for number in range(1000)}


def take(line: BoxOnTheLine, enough: Callable[[list[int]], bool]) -> list[int]:
    """Take and acknowledge mail until there is enough of it; return the letters' numbers."""
    got: list[int] = []
    while not enough(got):
        letter = line.hear(Deliver).envelope
        got.append(_NUMBERS[letter.message_id])
        line.say(Acknowledge(((letter.from_device, letter.message_id),)))
    return got


def server_for_two(home: Path) -> RunningServer:
    """Start a server where workshop may write to kitchen."""
    server = RunningServer(home)
    server.enrol(KITCHEN)
    server.enrol(WORKSHOP)
    with BoxOnTheLine(server, KITCHEN) as kitchen:
        kitchen.login(1)
        kitchen.ask(lambda request: SetRow(request, "workshop", "message"))
    return server


def test_no_accepted_letter_is_lost_or_doubled_by_kills(tmp_path: Path) -> None:
    chance = random.Random(20)
    server = server_for_two(tmp_path)
    sender = Sender()
    for kill in range(KILLS):
        with BoxOnTheLine(server, WORKSHOP) as line:
            line.login(kill + 1)
            sender.send_until(line, chance.randrange(1, 60))
            server.kill()
        server = RunningServer(tmp_path)
    with BoxOnTheLine(server, WORKSHOP) as line:
        line.login(KILLS + 1)
        sender.finish(line)
    with BoxOnTheLine(server, KITCHEN) as kitchen:
        kitchen.login(2)
        got = take(kitchen, lambda got: len(got) == sender.sent)
    assert sorted(got) == list(range(sender.sent))
    assert sender.accepted == set(got)
    assert server.stop() == 0


def test_a_receiver_that_is_acknowledging_when_the_server_dies_loses_nothing(tmp_path: Path) -> None:
    """It may be handed letters again whose acknowledgement died with the server: never fewer, and in order."""
    chance = random.Random(21)
    server = server_for_two(tmp_path)
    sender = Sender()
    with BoxOnTheLine(server, WORKSHOP) as line:
        line.login(1)
        sender.send_until(line, 150)
        sender.finish(line)
    seen: list[int] = []
    for kill in range(KILLS):
        with BoxOnTheLine(server, KITCHEN) as kitchen:
            kitchen.login(kill + 2)
            count = min(chance.randrange(1, 30), sender.sent - len(seen) - 1)
            again = take(kitchen, lambda got, count=count: len(got) == count)  # type: ignore[misc]  # a default binds
            server.kill()
        seen += [number for number in again if number not in seen]
        server = RunningServer(tmp_path)
    with BoxOnTheLine(server, KITCHEN) as kitchen:
        kitchen.login(KILLS + 2)
        last = sender.sent - 1  # it was never taken before, and comes after all others
        seen += [number for number in take(kitchen, lambda got: last in got) if number not in seen]
    assert seen == list(range(sender.sent))
    server.stop()


def test_no_accepted_part_of_a_voice_message_is_lost_by_kills(tmp_path: Path) -> None:
    server, blob, chance = server_for_two(tmp_path), digest("blob", size=16), random.Random(22)
    parts = [digest("part", number, size=PART_BYTES) for number in range(16)]
    accepted = 0
    for kill in range(KILLS + 1):
        with BoxOnTheLine(server, WORKSHOP) as line:
            line.login(kill + 1)
            place = line.ask(lambda request: BeginBlob(request, blob, "kitchen", len(parts)))
            assert isinstance(place, BlobPlace)
            assert accepted <= place.next_part <= accepted + 1, "one may be safe whose answer died"
            accepted = place.next_part
            last = kill == KILLS
            for number in range(accepted, len(parts) if last else min(len(parts), accepted + chance.randrange(1, 4))):
                answer = line.ask(lambda request, number=number: PutPart(request, blob, number, parts[number]))  # type: ignore[misc]  # a default binds
                assert isinstance(answer, Accepted)
                accepted += 1
            if not last and accepted < len(parts):
                line.say(PutPart(0, blob, accepted, parts[accepted]))  # on its way when the server dies
            server.kill()
        server = RunningServer(tmp_path)
    with BoxOnTheLine(server, KITCHEN) as kitchen:
        kitchen.login(2)
        answers = [kitchen.ask(lambda request, number=n: GetPart(request, blob, number)) for n in range(len(parts))]  # type: ignore[misc]  # a default binds
    assert [answer.data for answer in answers if isinstance(answer, BlobPart)] == parts
    assert server.stop() == 0


def test_a_dead_server_is_noticed_by_its_clients(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    server.enrol(KITCHEN)
    with BoxOnTheLine(server, KITCHEN) as kitchen:
        kitchen.login(1)
        server.kill()
        with pytest.raises(ConnectionClosed):
            kitchen.next()
