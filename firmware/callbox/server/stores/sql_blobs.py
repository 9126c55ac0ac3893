"""Blobs in the SQL store: one line each, and one line per part, so that each part is committed by itself."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from callbox.server.items import Blob, ForgetBlob, PutBlob, PutBlobPart
from callbox.server.stores.sql_tables import metadata

blobs = Table(
    "blobs",
    metadata,
    Column("blob", LargeBinary, primary_key=True),
    Column("from_account", String, nullable=False),
    Column("from_device", String, nullable=False),
    Column("to_account", String, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("waiting", String, nullable=False),  # device ids, blank between them
    Column("expires_ms", Integer, nullable=False),
    Column("void", Boolean, nullable=False),
)
blob_parts = Table(
    "blob_parts",
    metadata,
    Column("blob", LargeBinary, nullable=False),
    Column("part", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("blob", "part"),
)


def _put_blob(connection: Connection, write: PutBlob) -> None:
    blob = write.blob
    connection.execute(delete(blobs).where(blobs.c.blob == blob.blob))
    values = {column.name: getattr(blob, column.name) for column in blobs.c}
    connection.execute(insert(blobs).values({**values, "waiting": " ".join(blob.waiting)}))


def _put_part(connection: Connection, write: PutBlobPart) -> None:
    columns = blob_parts.c
    connection.execute(delete(blob_parts).where(columns.blob == write.blob, columns.part == write.part))
    connection.execute(insert(blob_parts).values(blob=write.blob, part=write.part, data=write.data))


def _forget(connection: Connection, write: ForgetBlob) -> None:
    connection.execute(delete(blob_parts).where(blob_parts.c.blob == write.blob))
    connection.execute(delete(blobs).where(blobs.c.blob == write.blob))


APPLY: dict[type, Callable[[Connection, Any], None]] = {
    PutBlob: _put_blob,
    PutBlobPart: _put_part,
    ForgetBlob: _forget,
}


def all_blobs(connection: Connection) -> tuple[Blob, ...]:
    """Return every blob with how many of its parts are here; they came in order."""
    here = select(blob_parts.c.blob, func.count().label("here")).group_by(blob_parts.c.blob)
    counts = {line.blob: line.here for line in connection.execute(here)}
    return tuple(
        Blob(
            line.blob,
            line.from_account,
            line.from_device,
            line.to_account,
            line.parts,
            tuple(line.waiting.split()),
            line.expires_ms,
            line.void,
            counts.get(line.blob, 0),
        )
        for line in connection.execute(select(blobs).order_by(blobs.c.blob))
    )


def part(connection: Connection, blob: bytes, number: int) -> bytes | None:
    """Return one part's bytes, None if it is not here."""
    wanted = select(blob_parts.c.data).where(blob_parts.c.blob == blob, blob_parts.c.part == number)
    data = connection.execute(wanted).scalar()
    return None if data is None else bytes(data)
