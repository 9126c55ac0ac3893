"""The backup of a box: what is in it, and a box made out of it again.

In it: the account's key, its server, its devices, contacts, controls, what was allowed when; with `--with-messages`
the threads, too (texts and lines of calls, no sound). Not in it: keys of the device and of its sessions. A restored
box is a new device under the same account key, so contacts notice nothing; the old device is given up for it.
"""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from callbox.app.core import Core
from callbox.app.own_devices import TABLE as OWN_DEVICES
from callbox.app.own_devices import OwnDevices, no_key
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.saved import Membership, first_writes
from callbox.base.chance import Chance
from callbox.base.errors import CallboxError
from callbox.conversations.agreement import TABLE as RECORDS
from callbox.conversations.contacts import CONSENTS, Consent, Contact
from callbox.conversations.contacts import TABLE as CONTACTS
from callbox.conversations.controls import Controls, keep_controls
from callbox.conversations.items import CallItem, Item, TextItem
from callbox.conversations.stores import Put, PutItem, Write
from callbox.crypto.errors import Untrusted
from callbox.crypto.identity import Identity
from callbox.crypto.records import verify_record
from callbox.crypto.sealed_file import Costs, open_file, seal_file
from callbox.wire.bodies import OwnRecord
from callbox.wire.records import SignedRecord

if TYPE_CHECKING:
    from callbox.app.agreeing import Agreeing
    from callbox.app.moving import Moving

VERSION = 1
FIRST_EPOCH = 1
_NOT_OPENED = CallboxError(
    "This backup cannot be opened: another passphrase, or the file is damaged.",
    "Try the passphrase again; a backup is written by `callbox backup FILE`.",
)


class Backup(msgspec.Struct, frozen=True):
    """Everything in a backup. Fields may be added, with defaults."""

    version: int
    account: str
    account_seed: bytes
    device: str  # that made it
    made_ms: int
    membership: Membership
    contacts: tuple[Contact, ...]
    controls: Controls
    consents: tuple[Consent, ...] = ()
    devices: tuple[SignedRecord, ...] = ()
    records: tuple[OwnRecord, ...] = ()
    items: tuple[Item, ...] = ()  # newest last


def sealed_backup(
    core: Core,
    people: People,
    post: Post,
    devices: OwnDevices,
    agreeing: "Agreeing",
    moving: "Moving",
    words: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the whole file. `words`: `key` and `salt` in hex, `costs`, `with_messages`. Raises WrongUse."""
    if not devices.holds_key:
        raise no_key()
    identity = core.identity
    items = [item for item in post.threads.items(limit=1_000_000) if isinstance(item, TextItem | CallItem)]
    content = Backup(
        VERSION,
        identity.account,
        identity.account_seed,
        identity.device,
        core.wall_ms,
        moving.membership,
        tuple(people.all()),
        people.controls,
        tuple(people.consents),
        tuple(msgspec.msgpack.decode(value, type=SignedRecord) for value in devices.kept().values()),
        tuple(agreeing.all()),
        tuple(reversed(items)) if words.get("with_messages") else (),
    )
    costs = msgspec.convert(words["costs"], Costs)
    key, salt = bytes.fromhex(str(words["key"])), bytes.fromhex(str(words["salt"]))
    sealed = seal_file(msgspec.msgpack.encode(content), key, salt, costs, core.chance.token(12))
    return {
        "ok": True,
        "file": base64.b64encode(sealed).decode(),
        "contacts": len(content.contacts),
        "messages": len(content.items),
    }


def read_backup(data: bytes, passphrase: str) -> Backup:
    """Open a backup. Raises CallboxError."""
    try:
        plain = open_file(data, passphrase)
        content = msgspec.msgpack.decode(plain, type=Backup)
    except (Untrusted, msgspec.DecodeError, ValueError, RecursionError):
        raise _NOT_OPENED from None
    if content.version != VERSION:
        raise CallboxError("This backup is of another version of Callbox.", "Restore it with that version.")
    return content


def restored(backup: Backup, chance: Chance, wall_ms: int) -> tuple[Identity, list[Write]]:
    """Return a new device of the account, and everything that makes an empty store this box.

    The device that made the backup is given up: its record says so, and goes to the server with the first connection.
    """
    identity = Identity.create(backup.account, chance, wall_ms, account_seed=backup.account_seed)
    writes: list[Write] = [*first_writes(identity, backup.membership, FIRST_EPOCH)]
    for signed in backup.devices:
        try:
            record = verify_record(signed, identity.account_public)
        except Untrusted:
            continue
        if record.device == backup.device and not record.revoked:
            writes.append(Put(OWN_DEVICES, record.device, msgspec.msgpack.encode(identity.revoke(record))))
        else:
            writes.append(Put(OWN_DEVICES, record.device, msgspec.msgpack.encode(signed)))
    writes += [Put(CONTACTS, contact.name, msgspec.msgpack.encode(contact)) for contact in backup.contacts]
    writes += keep_controls(backup.controls)
    writes += [
        Put(CONSENTS, f"{consent.at_ms}/{consent.name}/{consent.what}", msgspec.msgpack.encode(consent))
        for consent in backup.consents
    ]
    writes += [Put(RECORDS, record.key, msgspec.msgpack.encode(record)) for record in backup.records]
    writes += [PutItem(item) for item in backup.items]
    return identity, writes
