"""The parts of the shell by themselves: authority, home, audit log, store thread, addresses."""

import asyncio
import datetime
import resource
import stat
from pathlib import Path

import pytest
from cryptography import x509

from callbox.base.errors import CallboxError, WrongUse
from callbox.base.settings import load_settings, sample
from callbox.server.authority import ALWAYS_NAMED, make_authority, make_leaf, pin_of
from callbox.server.events import Audit, Save, ServerEvent, Stored
from callbox.server.items import PutRow
from callbox.server.settings import ServerSettings
from callbox.server.shell.audit import AuditLog
from callbox.server.shell.home import Home
from callbox.server.shell.serving import split_address
from callbox.server.shell.store_thread import StoreThread
from callbox.server.shell.tls import server_context
from callbox.server.stores.memory import MemoryStore

NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)


def test_the_sample_settings_load_as_the_defaults() -> None:
    assert load_settings(sample(ServerSettings), "server.toml", ServerSettings) == ServerSettings()


def test_the_leaf_is_signed_by_the_authority_for_every_name() -> None:
    authority = make_authority(NOW)
    leaf = x509.load_pem_x509_certificate(make_leaf(authority, ["chat.example.org", "192.0.2.7"], NOW).certificate)
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    told = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    assert sorted(told) == sorted({"chat.example.org", "192.0.2.7", *ALWAYS_NAMED})
    assert len(pin_of(authority.der)) == 64


def test_a_home_keeps_its_authority_and_its_secrets(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "S")
    home.prepare()
    first = home.authority()
    home.settings_file.write_text('[server]\nlisten = "0.0.0.0:1"\n')
    home.prepare()
    assert home.authority() == first
    assert home.settings().server.listen == "0.0.0.0:1"
    home.issue_leaf(["chat.example.org"])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700


def test_a_home_has_one_server_at_a_time(tmp_path: Path) -> None:
    first, second = Home(tmp_path), Home(tmp_path)
    first.claim()
    with pytest.raises(CallboxError, match="running in"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_a_home_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CallboxError, match="cannot be used"):
        Home(tmp_path / "file" / "S").prepare()


@pytest.mark.parametrize(
    ("text", "parts"),
    [("0.0.0.0:8443", ("0.0.0.0", 8443)), ("[::1]:1", ("::1", 1)), ("chat.example.org:443", ("chat.example.org", 443))],
)
def test_addresses(text: str, parts: tuple[str, int]) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize("text", ["", "host", ":1", "host:", "host:x", "host:65536", "host:-1", "[]:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(WrongUse, match="is not an address"):
        split_address(text)


def test_the_audit_log_only_grows_and_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for number in range(100):
        AuditLog(path, max_bytes=200).append([f"line {number}"])
    assert path.read_text().endswith("line 99\n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["audit.log", "audit.older"]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 450


def test_an_audit_log_without_a_disk_counts_what_it_lost(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "missing" / "audit.log")
    log.append(["one", "two"])
    assert log.lost == 2


def test_an_audit_log_on_a_full_disk_has_no_half_lines(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    log.append(["one"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
    try:
        log.append(["a line that does not fit"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    log.append(["two"])
    assert (tmp_path / "audit.log").read_text() == "one\ntwo\n"
    assert log.lost == 1


def test_a_certificate_is_made_without_a_disk(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    before = sorted(path.name for path in tmp_path.iterdir())
    for _ in range(2):
        home.issue_leaf(["chat.example.org"])
    server_context(home.leaf_certificate, home.leaf_key)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


async def test_the_store_thread_commits_what_waits_together_and_reports_in_order(tmp_path: Path) -> None:
    store, outcomes, done = MemoryStore(), list[ServerEvent](), asyncio.Event()

    def report(events: list[ServerEvent]) -> None:
        outcomes.extend(events)
        if len(outcomes) == 50:
            done.set()

    thread = StoreThread(store, AuditLog(tmp_path / "audit.log"), report, done.set)
    for ticket in range(50):
        thread.put(Save(ticket, (PutRow("kitchen", f"n{ticket}", "ring"),)))
        thread.put(Audit(f"row {ticket}"))
    thread.start()
    await asyncio.wait_for(done.wait(), 10)
    thread.stop()
    assert outcomes == [Stored(ticket) for ticket in range(50)]
    assert store.batches == 1
    assert len((tmp_path / "audit.log").read_text().splitlines()) == 50


async def test_a_bug_in_the_store_is_not_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = asyncio.Event()
    store = MemoryStore()
    thread = StoreThread(store, AuditLog(tmp_path / "audit.log"), lambda _events: None, crashed.set)
    monkeypatch.setattr(store, "apply", lambda _writes: 1 / 0)
    monkeypatch.setattr("threading.excepthook", lambda _args: None)
    thread.start()
    thread.put(Save(1, (PutRow("kitchen", "workshop", "ring"),)))
    await asyncio.wait_for(crashed.wait(), 10)
