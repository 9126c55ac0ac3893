"""Which part of a server hangs: decided from facts, and the facts that its shell gathers."""

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from callbox.server.events import Audit, Save
from callbox.server.health import DOOR_S, LOOP_S, STORE_S, Vitals, ailment
from callbox.server.items import PutRow, Write
from callbox.server.settings import ServerSettings
from callbox.server.shell.audit import AuditLog
from callbox.server.shell.door import Door
from callbox.server.shell.home import Home, wall_ms
from callbox.server.shell.serving import Serving
from callbox.server.shell.store_thread import StoreThread
from callbox.server.stores.memory import MemoryStore

PATIENCE_S = 10.0


def test_a_server_that_owes_nothing_is_well() -> None:
    assert ailment(Vitals(None, None, None), 1e9) == ""
    assert ailment(Vitals(1e9 + 1.0, None, None), 1e9) == "", "the next sweep lies ahead"


@pytest.mark.parametrize(
    ("vitals", "most_s", "part"),
    [
        (Vitals(100.0, None, None), LOOP_S, "main loop"),
        (Vitals(None, 100.0, None), STORE_S, "store"),
        (Vitals(None, None, 100.0), DOOR_S, "no connection"),
    ],
    ids=["loop", "store", "door"],
)
def test_a_part_that_owes_something_too_long_is_named(vitals: Vitals, most_s: float, part: str) -> None:
    assert ailment(vitals, 100.0 + most_s) == ""
    assert part in ailment(vitals, 100.5 + most_s)


class SlowStore(MemoryStore):
    """Writes nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def apply(self, writes: Sequence[Write]) -> None:
        assert self.let_go.wait(PATIENCE_S)
        super().apply(writes)


def owed(part: StoreThread | Door) -> float | None:
    return part.owes_since


async def until_none(thread: StoreThread) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while owed(thread) is not None:
            await asyncio.sleep(0.001)


async def test_the_store_owes_what_it_was_given_until_it_is_done(tmp_path: Path) -> None:
    store = SlowStore()
    thread = StoreThread(store, AuditLog(tmp_path / "audit.log"), lambda events: None, lambda: None)
    thread.start()
    assert owed(thread) is None
    thread.put(Save(1, (PutRow("kitchen", "workshop", "ring"),)))
    since = owed(thread)
    assert since is not None
    thread.put(Audit("row"))
    assert owed(thread) == since, "more work must not make the old one younger"
    store.let_go.set()
    await until_none(thread)
    thread.put(Audit("the audit log is on the same disk"))
    assert owed(thread) is not None
    await until_none(thread)
    thread.stop()


# --- the door -------------------------------------------------------------------------------------------------


def listening_on(host: str) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.bind((host, 0))
    listening.listen()
    listening.settimeout(PATIENCE_S)
    return listening


def has_ipv6() -> bool:
    try:
        listening_on("::1").close()
    except OSError:
        return False
    return True


HOSTS = ["127.0.0.1", "0.0.0.0", *(["::1", "::"] if has_ipv6() else [])]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_call_that_is_taken_leaves_no_debt(host: str) -> None:
    with listening_on(host) as listening:
        door = Door(listening)
        await door.call()
        since = owed(door)
        assert since is not None
        await door.call()
        assert owed(door) == since, "a second call must not make the first one younger"
        taken, peer = listening.accept()
        taken.close()
        assert not door.took((peer[0], peer[1] + 1)), "somebody else's connection is not the server's own"
        assert door.took(peer[:2])
        assert owed(door) is None
        await door.call()
        assert owed(door) is not None, "after it, the next one is owed"


async def test_nobody_listening_is_owed_and_asked_again() -> None:
    listening = listening_on("127.0.0.1")
    door = Door(listening)
    listening.close()
    await door.call()
    since = owed(door)
    assert since is not None
    await door.call()
    assert owed(door) == since


async def test_an_address_that_is_gone_is_no_ailment(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening_on("127.0.0.1") as listening:
        monkeypatch.setattr(listening.__class__, "getsockname", lambda self: ("192.0.2.1", 8443))
        door = Door(listening)
    monkeypatch.undo()
    await door.call()
    assert owed(door) is None


async def test_a_whole_server_takes_its_own_call_and_counts_it_as_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    home.prepare()
    serving = Serving(home, ServerSettings(), ["localhost"])
    counted: list[object] = []
    monkeypatch.setattr(serving, "opened", counted.append)
    await serving.listen(listening_on("127.0.0.1"))
    told: list[bool] = []
    serving.probe()
    async with asyncio.timeout(PATIENCE_S):
        while told[-2:] != [True, False]:
            await asyncio.sleep(0)
            owes = serving.vitals.door_owes_since is not None
            told += [owes] if told[-1:] != [owes] else []
    assert serving.ailment() == ""
    assert counted == []
    serving.ask_to_stop()
    await serving.run_until_stopped()


@pytest.mark.parametrize(("days", "renewed"), [(29, 0), (31, 1), (-0.5, 0), (-3, 1), (20_000, 1)])
async def test_the_certificate_is_renewed_when_it_ages_and_when_the_clock_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, renewed: int
) -> None:
    home = Home(tmp_path)
    home.prepare()
    serving = Serving(home, ServerSettings(), ["localhost"])
    issued: list[list[str]] = []
    monkeypatch.setattr(home, "issue_leaf", issued.append)
    monkeypatch.setattr("callbox.server.shell.serving.wall_ms", lambda: wall_ms() + int(days * 86_400_000))
    await serving.listen(listening_on("127.0.0.1"))
    assert len(issued) == renewed
    serving.ask_to_stop()
    await serving.run_until_stopped()


def test_an_authority_made_in_1970_is_not_over_before_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 0)
    home = Home(tmp_path)
    home.prepare()
    monkeypatch.undo()
    authority = x509.load_der_x509_certificate(home.authority().der)
    assert authority.not_valid_after_utc.year > 2050


async def test_a_certificate_that_cannot_be_renewed_stops_no_upkeep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "callbox")  # a one-shot command in this process silences it
    home = Home(tmp_path)
    home.prepare()
    serving = Serving(home, ServerSettings(), ["localhost"])

    def full(hosts: list[str]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(home, "issue_leaf", full)
    monkeypatch.setattr("callbox.server.shell.serving.RENEW_MS", -1)
    await serving.listen(listening_on("127.0.0.1"))
    assert "No space left" in caplog.text
    due = serving.vitals.loop_owes_since
    assert due is not None
    assert due > serving.now() - LOOP_S
    serving.ask_to_stop()
    await serving.run_until_stopped()
