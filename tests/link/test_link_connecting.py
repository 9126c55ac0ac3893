"""A box is connected as soon as its network is: no attempt is waited for that has no answer."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from callbox.link.transports import connecting
from callbox.link.transports.connecting import connected
from callbox.link.transports.dialling import Address

HERE = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 1))
THERE = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.2", 1))
SERVER = Address("box.example", 8443)


class Network:
    """Addresses that answer, refuse or say nothing; `answers[n]` is for the n-th attempt: after how many s, or None."""

    def __init__(self, places: list[tuple[object, ...]], answers: list[float | OSError | None]) -> None:
        self.places, self.answers = places, answers
        self.tried: list[tuple[object, ...]] = []
        self.opened: list[socket.socket] = []
        self.given_up = 0

    async def getaddrinfo(self, *_: object, **__: object) -> list[tuple[object, ...]]:
        return self.places

    async def attempt(self, place: tuple[object, ...]) -> socket.socket:
        answer = self.answers[len(self.tried)] if len(self.tried) < len(self.answers) else None
        self.tried.append(place)
        try:
            if isinstance(answer, OSError):
                raise answer
            await asyncio.sleep(60 if answer is None else answer)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        self.opened.append(socket.socket())
        return self.opened[-1]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Network]:
    made = Network(*request.param)
    monkeypatch.setattr(connecting, "AGAIN_S", 0.01)
    monkeypatch.setattr(connecting, "_attempt", made.attempt)
    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", made.getaddrinfo)
    yield made
    for one in made.opened:
        one.close()


def case(places: list[tuple[object, ...]], *answers: float | OSError | None) -> tuple[object, object]:
    return places, list(answers)


@pytest.mark.parametrize("network", [case([HERE], None, None, 0.0)], indirect=True)
async def test_a_lost_syn_is_not_waited_for(network: Network) -> None:
    assert await connected(SERVER) is network.opened[0]
    assert network.tried == [HERE] * 3
    await asyncio.sleep(0)
    assert network.given_up == 2


@pytest.mark.parametrize("network", [case([HERE], 0.1)], indirect=True)
async def test_one_more_connection_is_not_worth_a_storm_of_attempts(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CALM_AGAIN_S", 0.02)
    await connected(SERVER, urgent=False)
    assert 2 <= len(network.tried) <= 3


@pytest.mark.parametrize("network", [case([HERE, THERE], None, 0.0)], indirect=True)
async def test_an_address_that_does_not_answer_is_passed_by(network: Network) -> None:
    assert await connected(SERVER) is network.opened[0]
    assert network.tried == [HERE, THERE]


@pytest.mark.parametrize("network", [case([HERE], ConnectionRefusedError(111, "no"))], indirect=True)
async def test_a_refusal_by_all_is_told_at_once(network: Network) -> None:
    with pytest.raises(ConnectionRefusedError):
        await connected(SERVER)
    assert network.tried == [HERE]


@pytest.mark.parametrize("network", [case([HERE, THERE], OSError(101, "no way"), None, None, 0.05)], indirect=True)
async def test_an_address_without_a_way_neither_ends_nor_hurries_the_attempts_at_the_other(network: Network) -> None:
    assert await connected(SERVER) is network.opened[0]
    assert network.tried[0] == HERE
    assert set(network.tried[1:]) == {THERE}


@pytest.mark.parametrize("network", [case([HERE], 0.03, 0.02)], indirect=True)
async def test_only_one_socket_is_kept(network: Network) -> None:
    kept = await connected(SERVER)
    await asyncio.sleep(0.05)
    assert [one for one in network.opened if one.fileno() >= 0] == [kept]


async def test_nobody_at_home_and_a_real_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with await connected(Address("localhost", port)) as there:
            assert there.getpeername()[1] == port
    with pytest.raises(ConnectionRefusedError):
        await connected(Address("127.0.0.1", port))
