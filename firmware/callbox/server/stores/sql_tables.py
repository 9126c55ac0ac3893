"""The tables of the SQL store, and how each kind of write changes them. Portable SQL, no dialect's own words."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    false,
    insert,
    update,
)

from callbox.server.items import (
    STRANGER,
    DropLetter,
    DropPrekey,
    DropRequests,
    Invite,
    Letter,
    PutAccount,
    PutCalls,
    PutDevice,
    PutInvite,
    PutLetter,
    PutPrekey,
    PutRequest,
    PutRow,
    SetEpoch,
)
from callbox.wire.signals import Envelope

SCHEMA_VERSION = 2  # see sql_migrations
STORE_ID = "store_id"  # key in `meta`
metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", String, nullable=False))
accounts = Table(
    "accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("created_ms", Integer, nullable=False),
    Column("calls_enabled", Boolean, nullable=False),
)
devices = Table(
    "devices",
    metadata,
    Column("device", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("by_account", LargeBinary, nullable=False),
    Column("by_device", LargeBinary, nullable=False),
    Column("connection_epoch", Integer, nullable=False),
)
prekeys = Table(
    "prekeys",
    metadata,
    Column("device", String, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("fallback", Boolean, nullable=False),
    Column("position", Integer, nullable=False),
    Column("used", Boolean, nullable=False),
    PrimaryKeyConstraint("device", "key"),
)
rows = Table(
    "rows",
    metadata,
    Column("owner", String, nullable=False),
    Column("other", String, nullable=False),
    Column("row", String, nullable=False),
    PrimaryKeyConstraint("owner", "other"),
)
letters = Table(
    "letters",
    metadata,
    Column("number", Integer, nullable=False),
    Column("to_device", String, nullable=False),
    Column("from_device", String, nullable=False),
    Column("message_id", LargeBinary, nullable=False),
    Column("to_account", String, nullable=False),
    Column("from_account", String, nullable=False),
    Column("cls", String, nullable=False),
    Column("ttl_s", Integer, nullable=False),
    Column("olm_type", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("stored_ms", Integer, nullable=False),
    Column("expires_ms", Integer, nullable=False),
    Column("void", Boolean, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    PrimaryKeyConstraint("to_device", "from_device", "message_id"),
    Index("letters_in_order", "to_device", "number"),
)
requests = Table(
    "requests",
    metadata,
    Column("owner", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("device", String, nullable=False),
    Column("message_id", LargeBinary, nullable=False),
    PrimaryKeyConstraint("owner", "sender", "device"),
)
invites = Table(
    "invites",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_ms", Integer, nullable=False),
    Column("expires_ms", Integer, nullable=False),
    Column("first_contact_ms", Integer, nullable=False),
    Column("used_by", String, nullable=False),
    Column("replaces", Boolean, nullable=False, server_default=false()),
)


def _replace(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Put a line in the place of the one with the same primary key, if there is one."""
    same = [column == values[column.name] for column in table.primary_key.columns]
    connection.execute(delete(table).where(*same))
    connection.execute(insert(table).values(values))


def _put_account(connection: Connection, write: PutAccount) -> None:
    account = write.account
    values = {"key": account.key, "created_ms": account.created_ms, "calls_enabled": account.calls_enabled}
    _replace(connection, accounts, {"name": account.name, **values})


def _put_device(connection: Connection, write: PutDevice) -> None:
    device = write.device
    values = {
        "device": device.device,
        "account": device.account,
        "record": device.record.record,
        "by_account": device.record.by_account,
        "by_device": device.record.by_device,
        "connection_epoch": device.connection_epoch,
    }
    _replace(connection, devices, values)


def _set_epoch(connection: Connection, write: SetEpoch) -> None:
    statement = update(devices).where(devices.c.device == write.device)
    connection.execute(statement.values(connection_epoch=write.connection_epoch))


def _put_prekey(connection: Connection, write: PutPrekey) -> None:
    prekey = write.prekey
    values = {
        "device": prekey.device,
        "key": prekey.key.key,
        "signature": prekey.key.signature,
        "fallback": prekey.key.fallback,
        "position": prekey.order,
        "used": prekey.used,
    }
    _replace(connection, prekeys, values)


def _drop_prekey(connection: Connection, write: DropPrekey) -> None:
    connection.execute(delete(prekeys).where(prekeys.c.device == write.device, prekeys.c.key == write.key))


def _put_row(connection: Connection, write: PutRow) -> None:
    if write.row == STRANGER:
        connection.execute(delete(rows).where(rows.c.owner == write.owner, rows.c.other == write.other))
    else:
        _replace(connection, rows, {"owner": write.owner, "other": write.other, "row": write.row})


def _put_calls(connection: Connection, write: PutCalls) -> None:
    statement = update(accounts).where(accounts.c.name == write.account)
    connection.execute(statement.values(calls_enabled=write.enabled))


def _put_letter(connection: Connection, write: PutLetter) -> None:
    _replace(connection, letters, letter_values(write.letter))


def _drop_letter(connection: Connection, write: DropLetter) -> None:
    columns = letters.c
    same = (columns.to_device == write.to_device, columns.from_device == write.from_device)
    connection.execute(delete(letters).where(*same, columns.message_id == write.message_id))


def _put_request(connection: Connection, write: PutRequest) -> None:
    request = write.request
    values = {"owner": request.owner, "sender": request.sender, "device": request.device}
    _replace(connection, requests, {**values, "message_id": request.message_id})


def _drop_requests(connection: Connection, write: DropRequests) -> None:
    same = (requests.c.owner == write.owner, requests.c.sender == write.sender)
    connection.execute(delete(requests).where(*same))


def _put_invite(connection: Connection, write: PutInvite) -> None:
    invite = write.invite
    values = {column.name: getattr(invite, column.name) for column in invites.c}
    _replace(connection, invites, values)


APPLY: dict[type, Callable[[Connection, Any], None]] = {
    PutAccount: _put_account,
    PutDevice: _put_device,
    SetEpoch: _set_epoch,
    PutPrekey: _put_prekey,
    DropPrekey: _drop_prekey,
    PutRow: _put_row,
    PutCalls: _put_calls,
    PutLetter: _put_letter,
    DropLetter: _drop_letter,
    PutRequest: _put_request,
    DropRequests: _drop_requests,
    PutInvite: _put_invite,
}


def letter_values(letter: Letter) -> dict[str, Any]:
    """Return a letter as one line of its table."""
    envelope = letter.envelope
    return {
        "number": letter.number,
        "to_device": envelope.to_device,
        "from_device": envelope.from_device,
        "message_id": envelope.message_id,
        "to_account": envelope.to_account,
        "from_account": envelope.from_account,
        "cls": envelope.cls,
        "ttl_s": envelope.ttl_s,
        "olm_type": envelope.olm_type,
        "version": envelope.version,
        "size": len(envelope.ciphertext),
        "stored_ms": letter.stored_ms,
        "expires_ms": letter.expires_ms,
        "void": letter.void,
        "ciphertext": envelope.ciphertext,
    }


def letter_of(line: Any) -> Letter:
    """Return a line of the table as a letter."""
    envelope = Envelope(
        cls=line.cls,
        message_id=line.message_id,
        from_account=line.from_account,
        from_device=line.from_device,
        to_account=line.to_account,
        to_device=line.to_device,
        ttl_s=line.ttl_s,
        olm_type=line.olm_type,
        ciphertext=line.ciphertext,
        version=line.version,
    )
    return Letter(line.number, envelope, line.stored_ms, line.expires_ms, line.void)


def invite_of(line: Any) -> Invite:
    return Invite(
        line.token_hash, line.name, line.created_ms, line.expires_ms, line.first_contact_ms, line.used_by, line.replaces
    )
