"""What protects stored data: sealed fields and the vaults that keep their key."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.base.errors import CallboxError, WrongUse
from callbox.crypto.errors import FieldDamaged
from callbox.crypto.fields import FieldCipher
from callbox.crypto.sealed_file import Costs
from callbox.crypto.vaults import KEY_BYTES, open_vault, vault_names

FIELDS = FieldCipher(bytes(32))


@given(st.text(), st.text(), st.text(), st.binary(max_size=200))
def test_a_field_opens_where_it_was_sealed(table: str, row: str, column: str, data: bytes) -> None:
    assert FIELDS.open(table, row, column, FIELDS.seal(table, row, column, data)) == data


@pytest.mark.parametrize("place", [("b", "row", "col"), ("a", "w", "col"), ("a", "row", "c"), ("ar", "ow", "col")])
def test_a_moved_field_does_not_open(place: tuple[str, str, str]) -> None:
    sealed = FIELDS.seal("a", "row", "col", b"data")
    with pytest.raises(FieldDamaged):
        FIELDS.open(*place, sealed)


@given(st.binary(max_size=80))
def test_any_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(FieldDamaged):
        FIELDS.open("a", "b", "c", data)


def test_any_changed_byte_is_noticed() -> None:
    sealed = FIELDS.seal("a", "b", "c", b"data")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(FieldDamaged):
            FIELDS.open("a", "b", "c", changed)


def test_the_same_data_is_never_sealed_the_same() -> None:
    assert len({FIELDS.seal("a", "b", "c", b"data") for _ in range(100)}) == 100


def test_another_key_opens_nothing() -> None:
    thread = FIELDS.under(b"\1" * 32)
    sealed = thread.seal("a", "b", "c", b"data")
    assert thread.open("a", "b", "c", sealed) == b"data"
    with pytest.raises(FieldDamaged):
        FIELDS.open("a", "b", "c", sealed)
    with pytest.raises(ValueError, match="32 bytes"):
        FIELDS.under(bytes(16))


def test_nonces_come_from_chance() -> None:
    one, two = (FieldCipher(bytes(32), SeededChance(1)) for _ in range(2))
    assert one.seal("a", "b", "c", b"data") == two.seal("a", "b", "c", b"data")


@pytest.mark.parametrize("name", vault_names())
def test_every_vault_keeps_one_key(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    needed: dict[str, dict[str, object]] = {"file": {"home": tmp_path}}
    needed["passphrase"] = {"home": tmp_path, "passphrase": "four words make sense", "costs": Costs(64, 1, 1)}
    vault = open_vault(name, **needed.get(name, {}))
    assert len(vault.key()) == KEY_BYTES
    assert vault.key() == vault.key()


def test_an_unknown_vault_is_told() -> None:
    with pytest.raises(WrongUse, match="file, memory"):
        open_vault("tpm")


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    home = tmp_path / "home"
    key = open_vault("file", home=home).key()
    assert open_vault("file", home=home).key() == key
    assert (home / "key").stat().st_mode & 0o777 == 0o600
    assert os.listdir(home) == ["key"]


def test_a_credential_of_systemd_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "callbox-key").write_bytes(b"\7" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert open_vault("file", home=tmp_path / "home").key() == b"\7" * 32
    assert not (tmp_path / "home").exists()


def test_a_key_open_to_others_or_cut_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(bytes(32))
    file.chmod(0o644)
    with pytest.raises(CallboxError, match="chmod 600"):
        open_vault("file", home=tmp_path, credentials=tmp_path / "none").key()
    file.chmod(0o600)
    file.write_bytes(bytes(31))
    with pytest.raises(CallboxError, match="31 bytes"):
        open_vault("file", home=tmp_path, credentials=tmp_path / "none").key()


def test_a_key_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(CallboxError, match="cannot be read"):
        open_vault("file", home=tmp_path, credentials=tmp_path / "none").key()


def test_no_new_key_is_made_where_something_was_sealed_under_one(tmp_path: Path) -> None:
    with pytest.raises(CallboxError, match="is not there"):
        open_vault("file", home=tmp_path, may_make=False).key()
    assert not list(tmp_path.iterdir())
