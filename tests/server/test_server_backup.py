"""Backup, restore and move of a server: the files, and what a restored server takes from its boxes."""

import json
import os
import sqlite3
import stat
import tarfile
from contextlib import closing, suppress
from pathlib import Path

import pytest

from callbox.base.chance import SystemChance
from callbox.base.errors import CallboxError
from callbox.crypto.records import Untrusted, verify_move
from callbox.server.authority import sign_move
from callbox.server.commands import main
from callbox.server.invites import new_invite
from callbox.server.items import Account, PutAccount, PutInvite
from callbox.server.shell import backups
from callbox.server.shell.backups import back_up, restore
from callbox.server.shell.home import ASIDE, PENDING, Home, wall_ms
from callbox.server.stores.sql import SqlStore


def house(folder: Path, *names: str) -> Home:
    """Make a server's folder with accounts of these names, nothing running."""
    home = Home(folder)
    home.prepare()
    store = SqlStore(home.store_file)
    store.open()
    store.apply([PutAccount(Account(name, bytes(32), 1)) for name in names])
    store.close()
    return home


def people(home: Home) -> list[str]:
    store = SqlStore(home.store_file)
    snapshot = store.open()
    store.close()
    return [account.name for account in snapshot.accounts]


def test_a_backup_comes_back_elsewhere(tmp_path: Path) -> None:
    home, file = house(tmp_path / "old", "anna", "bert"), tmp_path / "server.backup"
    assert back_up(home, file, force=False).accounts == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    new = Home(tmp_path / "new")
    assert restore(new, file, force=False).accounts == 2
    new.prepare()
    assert people(new) == ["anna", "bert"]
    assert new.authority() == home.authority()
    assert not list(new.folder.glob("*.new*"))
    assert not (new.folder / PENDING).exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in new.folder.iterdir() if path.is_file()} == {0o600}


def test_a_backup_has_what_only_the_log_of_the_store_has_yet(tmp_path: Path) -> None:
    home, file = house(tmp_path / "old", "anna"), tmp_path / "server.backup"
    running = SqlStore(home.store_file)
    running.open()
    running.apply([PutAccount(Account("late", bytes(32), 1))])
    assert (home.folder / "server.sqlite-wal").stat().st_size
    back_up(home, file, force=False)
    running.apply([PutAccount(Account("later", bytes(32), 1))])  # it goes on
    running.close()
    new = Home(tmp_path / "new")
    restore(new, file, force=False)
    assert people(new) == ["anna", "late"]


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    home, file = house(tmp_path / "old", "anna"), tmp_path / "server.backup"
    file.write_text("mine")
    with pytest.raises(CallboxError, match="--force"):
        back_up(home, file, force=False)
    assert file.read_text() == "mine"
    back_up(home, file, force=True)
    other = house(tmp_path / "other", "carl")
    with pytest.raises(CallboxError, match="There is a server"):
        restore(other, file, force=False)
    assert people(other) == ["carl"]
    restore(other, file, force=True)
    assert people(other) == ["anna"]
    assert people(Home(other.folder / ASIDE)) == ["carl"]


def test_no_restore_under_a_running_server(tmp_path: Path) -> None:
    home, file = house(tmp_path / "old", "anna"), tmp_path / "server.backup"
    back_up(home, file, force=False)
    home.claim()
    with pytest.raises(CallboxError, match="running"):
        restore(Home(home.folder), file, force=True)
    home.release()


@pytest.mark.parametrize("at", [0, 300, -1500])
def test_a_damaged_or_short_backup_changes_nothing(tmp_path: Path, at: int) -> None:
    home, file = house(tmp_path / "old", "anna"), tmp_path / "server.backup"
    back_up(home, file, force=False)
    whole = file.read_bytes()
    with tarfile.open(file) as archive:
        spans = [(entry.offset_data, entry.offset_data + entry.size) for entry in archive]
    place = next(begin for begin, end in spans[1:] if end > begin) + abs(at) % 50
    target = house(tmp_path / "target", "carl")
    for broken in (whole[:at] if at else b"", whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], b"no"):
        file.write_bytes(broken)
        if broken == whole[:at] and len(broken) > spans[-1][1]:
            continue  # only the padding of the archive is missing
        with pytest.raises(CallboxError, match="not a sound backup"):
            restore(target, file, force=True)
    assert people(target) == ["carl"]


def test_a_missing_backup_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallboxError, match="cannot be read: No such file"):
        restore(Home(tmp_path / "new"), tmp_path / "nothing", force=False)


def test_a_full_disk_leaves_no_half_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, file = house(tmp_path / "old", "anna"), tmp_path / "server.backup"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CallboxError, match="No space left"):
        back_up(home, file, force=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]
    assert not list(home.folder.glob(".backup-*"))


@pytest.mark.parametrize("steps", range(1, 10))
def test_a_restore_that_is_cut_off_is_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Cut at every rename: whatever comes next finds the old server, or the whole restored one."""
    file, target = tmp_path / "server.backup", house(tmp_path / "target", "carl")
    back_up(house(tmp_path / "old", "anna", "bert"), file, force=False)
    before, left = target.authority(), [steps]

    class PowerCut(BaseException):
        pass

    rename = Path.replace

    def cut(self: Path, to: Path) -> Path:
        if target.folder in self.parents and ".new" not in str(self):
            left[0] -= 1
            if left[0] < 0:
                raise PowerCut
        return rename(self, to)

    monkeypatch.setattr(Path, "replace", cut)
    with suppress(PowerCut):
        restore(target, file, force=True)
    monkeypatch.undo()
    target.release()
    again = Home(target.folder)
    again.prepare()
    assert people(again) == ["anna", "bert"]
    assert again.authority() != before
    again.prepare()
    assert people(again) == ["anna", "bert"]


def test_the_commands_print_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, file = house(tmp_path / "old", "anna"), tmp_path / "server.backup"
    assert main(["backup", str(file), "--home", str(home.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accounts"] == 1
    assert main(["restore", str(file), "--home", str(tmp_path / "new")]) == 0
    assert "1 account, 0 letters waiting" in capsys.readouterr().out
    with pytest.raises(CallboxError, match="no server"):
        main(["backup", str(file), "--home", str(tmp_path / "nowhere")])


def test_a_store_that_is_damaged_is_not_backed_up(tmp_path: Path) -> None:
    home, file = house(tmp_path / "old", *(f"name{number}" for number in range(200))), tmp_path / "server.backup"
    with closing(sqlite3.connect(home.store_file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    data = bytearray(home.store_file.read_bytes())
    data[4096 * 3 : 4096 * 3 + 2000] = bytes(2000)
    home.store_file.write_bytes(bytes(data))
    with pytest.raises(CallboxError, match=r"damaged|malformed"):
        back_up(home, file, force=False)
    assert not file.exists()


def test_a_move_is_signed_by_the_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = house(tmp_path / "old", "anna")
    assert main(["move", "box.example:8443", "--home", str(home.folder)]) == 0
    assert "box.example:8443" in capsys.readouterr().out
    moved = home.moved()
    assert moved is not None
    authority = home.authority().der
    verify_move(authority, moved.address, moved.decided_ms, moved.proof)
    for address, decided_ms, proof in (
        ("evil.example:8443", moved.decided_ms, moved.proof),
        (moved.address, moved.decided_ms + 1, moved.proof),
        (moved.address, moved.decided_ms, moved.proof[:-1] + b"x"),
        (moved.address, moved.decided_ms, b""),
    ):
        with pytest.raises(Untrusted):
            verify_move(authority, address, decided_ms, proof)
    stranger = house(tmp_path / "stranger").authority()
    forged = sign_move(stranger, moved.address, moved.decided_ms)
    with pytest.raises(Untrusted):
        verify_move(authority, forged.address, forged.decided_ms, forged.proof)
    with pytest.raises(Untrusted):
        verify_move(b"no certificate", moved.address, moved.decided_ms, moved.proof)
    assert main(["move", "--stay", "--home", str(home.folder)]) == 0
    assert home.moved() is None


@pytest.mark.parametrize("words", [[], ["box.example:8443", "--stay"], ["box.example"], ["box.example:0"], [":1"]])
def test_a_move_to_nowhere_is_refused(tmp_path: Path, words: list[str]) -> None:
    home = house(tmp_path / "old")
    with pytest.raises(CallboxError) as told:
        main(["move", *words, "--home", str(home.folder)])
    assert told.value.exit_code == 2
    assert home.moved() is None


def test_a_restored_server_is_not_moved(tmp_path: Path) -> None:
    home, file = house(tmp_path / "old", "anna"), tmp_path / "server.backup"
    back_up(home, file, force=False)
    main(["move", "box.example:8443", "--home", str(home.folder)])
    restore(home, file, force=True)
    assert home.moved() is None


def test_an_invite_knows_that_it_replaces(tmp_path: Path) -> None:
    home = house(tmp_path / "old", "anna")
    token, invite = new_invite("anna", SystemChance(), wall_ms(), 7, replaces=True)
    store = SqlStore(home.store_file)
    store.open()
    store.apply([PutInvite(invite)])
    assert store.invite(invite.token_hash) == invite
    store.close()
    assert token


def test_invites_for_who_is_here_and_who_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = house(tmp_path / "old", "anna")
    at = ["--home", str(home.folder), "--public", "box.example:8443"]
    with pytest.raises(CallboxError, match="--replace"):
        main(["invite", "anna", *at])
    with pytest.raises(CallboxError, match="nobody called bert"):
        main(["invite", "bert", "--replace", *at])
    assert main(["invite", "anna", "--replace", *at]) == 0
    assert capsys.readouterr().out.startswith("callbox-invite:")


def test_the_scratch_is_gone(tmp_path: Path) -> None:
    home = house(tmp_path / "old", "anna")
    back_up(home, tmp_path / "one", force=False)
    assert not list(home.folder.glob(".backup-*"))
    assert backups.FORMAT == 1
