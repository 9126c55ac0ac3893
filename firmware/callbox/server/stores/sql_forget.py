"""Deleting everything of an account or a device from the SQL store, whatever table it lies in."""

from sqlalchemy import Connection, delete, or_, select

from callbox.server.items import Forget
from callbox.server.stores import sql_tables as tables
from callbox.server.stores.sql_blobs import blob_parts, blobs


def forget(connection: Connection, write: Forget) -> None:
    """Do one `Forget`."""
    for table in (tables.devices, tables.prekeys, tables.requests):
        connection.execute(delete(table).where(table.c.device.in_(write.devices)))
    connection.execute(delete(tables.letters).where(tables.letters.c.to_device.in_(write.devices)))
    if not write.account:
        return
    requests, theirs = tables.requests.c, select(blobs.c.blob).where(blobs.c.to_account == write.account)
    connection.execute(delete(tables.accounts).where(tables.accounts.c.name == write.account))
    connection.execute(delete(tables.rows).where(tables.rows.c.owner == write.account))
    connection.execute(delete(tables.invites).where(tables.invites.c.name == write.account))
    connection.execute(
        delete(tables.requests).where(or_(requests.owner == write.account, requests.sender == write.account))
    )
    connection.execute(delete(blob_parts).where(blob_parts.c.blob.in_(theirs)))
    connection.execute(delete(blobs).where(blobs.c.to_account == write.account))
