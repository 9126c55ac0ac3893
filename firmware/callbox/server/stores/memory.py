"""A store without a disk, for tests and simulations. Several servers in a row may use one: it outlives them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from callbox.server.items import (
    STRANGER,
    Account,
    Blob,
    Device,
    DropLetter,
    DropPrekey,
    DropRequests,
    Forget,
    ForgetBlob,
    Invite,
    Letter,
    Prekey,
    PutAccount,
    PutBlob,
    PutBlobPart,
    PutCalls,
    PutDevice,
    PutInvite,
    PutLetter,
    PutPrekey,
    PutRequest,
    PutRow,
    Request,
    SetEpoch,
    StoreSnapshot,
    Write,
    mark_of,
)
from callbox.server.stores import StoreFault
from callbox.wire.records import Row


class MemoryStore:
    """Holds everything in dicts. While `failing` is set, writes and reads raise StoreFault, as with a full disk."""

    def __init__(self) -> None:
        self.failing = False
        self.store_id = b"a store in memory"
        self.batches = 0
        self._accounts: dict[str, Account] = {}
        self._devices: dict[str, Device] = {}
        self._prekeys: dict[tuple[str, bytes], Prekey] = {}
        self._rows: dict[tuple[str, str], Row] = {}
        self._letters: dict[tuple[str, str, bytes], Letter] = {}
        self._requests: dict[tuple[str, str, str], Request] = {}
        self._invites: dict[bytes, Invite] = {}
        self._blobs: dict[bytes, Blob] = {}
        self._blob_parts: dict[tuple[bytes, int], bytes] = {}

    def open(self) -> StoreSnapshot:
        return StoreSnapshot(
            accounts=tuple(self._accounts.values()),
            devices=tuple(self._devices.values()),
            prekeys=tuple(self._prekeys.values()),
            rows=tuple((owner, other, row) for (owner, other), row in self._rows.items()),
            letters=tuple(map(mark_of, sorted(self._letters.values(), key=lambda letter: letter.number))),
            requests=tuple(self._requests.values()),
            blobs=tuple(
                replace(self._blobs[blob], next_part=sum(key[0] == blob for key in self._blob_parts))
                for blob in sorted(self._blobs)
            ),
            store_id=self.store_id,
            last_number=max((letter.number for letter in self._letters.values()), default=0),
        )

    def apply(self, writes: Sequence[Write]) -> None:
        self._check()
        for write in writes:
            _APPLY[type(write)](self, write)
        self.batches += 1

    def mail(self, device: str, after: int, limit: int) -> tuple[Letter, ...]:
        self._check()
        wanted = (
            letter
            for letter in self._letters.values()
            if letter.envelope.to_device == device and letter.number > after and not letter.void
        )
        return tuple(sorted(wanted, key=lambda letter: letter.number)[:limit])

    def invite(self, token_hash: bytes) -> Invite | None:
        self._check()
        return self._invites.get(token_hash)

    def invites(self) -> tuple[Invite, ...]:
        return tuple(sorted(self._invites.values(), key=lambda invite: invite.created_ms))

    def blob_part(self, blob: bytes, part: int) -> bytes | None:
        self._check()
        return self._blob_parts.get((blob, part))

    def close(self) -> None:
        """Nothing is lost: the next server opens the same store."""

    def _check(self) -> None:
        if self.failing:
            raise StoreFault("The store is full.")

    # --- one per kind of write ---

    def _put_account(self, write: PutAccount) -> None:
        self._accounts[write.account.name] = write.account

    def _put_device(self, write: PutDevice) -> None:
        self._devices[write.device.device] = write.device

    def _set_epoch(self, write: SetEpoch) -> None:
        device = self._devices.get(write.device)
        if device is not None:
            self._devices[write.device] = replace(device, connection_epoch=write.connection_epoch)

    def _put_prekey(self, write: PutPrekey) -> None:
        self._prekeys[write.prekey.device, write.prekey.key.key] = write.prekey

    def _drop_prekey(self, write: DropPrekey) -> None:
        self._prekeys.pop((write.device, write.key), None)

    def _put_row(self, write: PutRow) -> None:
        if write.row == STRANGER:
            self._rows.pop((write.owner, write.other), None)
        else:
            self._rows[write.owner, write.other] = write.row

    def _put_calls(self, write: PutCalls) -> None:
        account = self._accounts.get(write.account)
        if account is not None:
            self._accounts[write.account] = replace(account, calls_enabled=write.enabled)

    def _put_letter(self, write: PutLetter) -> None:
        envelope = write.letter.envelope
        self._letters[envelope.to_device, envelope.from_device, envelope.message_id] = write.letter

    def _drop_letter(self, write: DropLetter) -> None:
        self._letters.pop((write.to_device, write.from_device, write.message_id), None)

    def _put_request(self, write: PutRequest) -> None:
        request = write.request
        self._requests[request.owner, request.sender, request.device] = request

    def _drop_requests(self, write: DropRequests) -> None:
        for key in [key for key in self._requests if key[:2] == (write.owner, write.sender)]:
            del self._requests[key]

    def _put_invite(self, write: PutInvite) -> None:
        self._invites[write.invite.token_hash] = write.invite

    def _put_blob(self, write: PutBlob) -> None:
        self._blobs[write.blob.blob] = write.blob

    def _put_blob_part(self, write: PutBlobPart) -> None:
        self._blob_parts[write.blob, write.part] = write.data

    def _forget_blob(self, write: ForgetBlob) -> None:
        self._blobs.pop(write.blob, None)
        self._blob_parts = {key: data for key, data in self._blob_parts.items() if key[0] != write.blob}

    def _forget(self, write: Forget) -> None:
        account, devices = write.account, write.devices
        for device in devices:
            self._devices.pop(device, None)
        self._prekeys = {key: prekey for key, prekey in self._prekeys.items() if key[0] not in devices}
        self._letters = {key: letter for key, letter in self._letters.items() if key[0] not in devices}
        self._requests = {key: request for key, request in self._requests.items() if key[2] not in devices}
        if account:
            self._accounts.pop(account, None)
            self._rows = {key: row for key, row in self._rows.items() if key[0] != account}
            self._requests = {key: request for key, request in self._requests.items() if account not in key[:2]}
            self._invites = {key: invite for key, invite in self._invites.items() if invite.name != account}
            for blob in [blob for blob in self._blobs.values() if blob.to_account == account]:
                self._forget_blob(ForgetBlob(blob.blob))


_APPLY: dict[type, Callable[[MemoryStore, Any], None]] = {
    PutAccount: MemoryStore._put_account,
    Forget: MemoryStore._forget,
    PutDevice: MemoryStore._put_device,
    SetEpoch: MemoryStore._set_epoch,
    PutPrekey: MemoryStore._put_prekey,
    DropPrekey: MemoryStore._drop_prekey,
    PutRow: MemoryStore._put_row,
    PutCalls: MemoryStore._put_calls,
    PutLetter: MemoryStore._put_letter,
    DropLetter: MemoryStore._drop_letter,
    PutRequest: MemoryStore._put_request,
    DropRequests: MemoryStore._drop_requests,
    PutInvite: MemoryStore._put_invite,
    PutBlob: MemoryStore._put_blob,
    PutBlobPart: MemoryStore._put_blob_part,
    ForgetBlob: MemoryStore._forget_blob,
}
