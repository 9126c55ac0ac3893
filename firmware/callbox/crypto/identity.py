"""Who this box is: the account key, the device's keys and its Olm account, and what they sign.

`export` gives plain bytes: whoever stores them seals them first (`crypto.fields`). Only vodozemac's own keys come
from its own randomness; everything else from the `Chance` that is passed in.
"""

from collections.abc import Mapping
from typing import Protocol, cast

import msgspec
import vodozemac
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from callbox.base.chance import Chance
from callbox.base.errors import CallboxError, WrongUse
from callbox.crypto.errors import Untrusted
from callbox.crypto.olm import from_base64, open_pickle_key
from callbox.crypto.records import prekey_bytes, record_bytes, verify_record
from callbox.wire.codec import encode_record
from callbox.wire.names import valid_name
from callbox.wire.records import DEVICE_ID_BYTES, SIGNATURE_BYTES, DeviceRecord, SignedKey, SignedRecord


class _Saved(msgspec.Struct, frozen=True):
    version: int
    account_seed: bytes
    auth_seed: bytes
    olm: str
    record: SignedRecord


class _FallbackKeys(Protocol):
    """What vodozemac.Account also has, though its type stubs leave it out."""

    fallback_key: Mapping[str, vodozemac.Curve25519PublicKey]

    def generate_fallback_key(self) -> None: ...


class Candidate:
    """A device of an account that the account has not signed yet."""

    def __init__(self, saved: _Saved) -> None:
        self._saved = saved
        self.record = saved.record.record
        self.by_device = saved.record.by_device

    @classmethod
    def create(cls, account: str, account_key: bytes, chance: Chance, wall_ms: int, kind: str = "box") -> "Candidate":
        """Make the keys of a new device. Raises WrongUse for a name that cannot be one."""
        auth_seed = chance.token(32)
        auth_key = Ed25519PrivateKey.from_private_bytes(auth_seed)
        olm = vodozemac.Account()
        record = encode_record(
            DeviceRecord(
                account=valid_name(account),
                account_key=account_key,
                device=chance.token(DEVICE_ID_BYTES).hex(),
                auth_key=auth_key.public_key().public_bytes_raw(),
                olm_signing_key=from_base64(olm.ed25519_key.to_base64()),
                olm_exchange_key=olm.curve25519_key.to_bytes(),
                kind=kind,
                created_ms=wall_ms,
                sequence=1,
            )
        )
        signed = SignedRecord(record, b"", auth_key.sign(record_bytes(record)))
        return cls(_Saved(1, b"", auth_seed, olm.pickle(open_pickle_key()), signed))

    @classmethod
    def restore(cls, exported: bytes) -> "Candidate":
        """Read what `export` gave. Raises ValueError when it is damaged."""
        return cls(msgspec.msgpack.decode(exported, type=_Saved))

    def export(self) -> bytes:
        """Return everything, secrets in the clear: seal it before it is stored."""
        return msgspec.msgpack.encode(self._saved)

    def joined(self, by_account: bytes, account_seed: bytes = b"") -> "Identity":
        """The account signed it. Raises Untrusted if it did not."""
        signed = SignedRecord(self.record, by_account, self.by_device)
        return Identity(msgspec.structs.replace(self._saved, record=signed, account_seed=account_seed))


class Identity:
    """One device of an account. The account's first one, or a restored one, holds the account key too."""

    def __init__(self, saved: _Saved) -> None:
        self._saved = saved
        self._account_key = Ed25519PrivateKey.from_private_bytes(saved.account_seed) if saved.account_seed else None
        self._auth_key = Ed25519PrivateKey.from_private_bytes(saved.auth_seed)
        self.olm = vodozemac.Account.from_pickle(saved.olm, open_pickle_key())
        self.record = saved.record
        public = self._account_key.public_key().public_bytes_raw() if self._account_key is not None else None
        self.device_record = verify_record(saved.record, public)
        self.account_public = self.device_record.account_key
        self.account = self.device_record.account
        self.device = self.device_record.device
        self.olm_signing_key = self.device_record.olm_signing_key

    @classmethod
    def create(
        cls, account: str, chance: Chance, wall_ms: int, kind: str = "box", account_seed: bytes | None = None
    ) -> "Identity":
        """Make a new account with this device as its first. Raises WrongUse for a name that cannot be one.

        `account_seed`: of an account that there is already, out of its backup; the device is a new one.
        """
        seed = account_seed or chance.token(32)
        account_key = Ed25519PrivateKey.from_private_bytes(seed)
        candidate = Candidate.create(account, account_key.public_key().public_bytes_raw(), chance, wall_ms, kind)
        return candidate.joined(account_key.sign(record_bytes(candidate.record)), seed)

    @property
    def account_seed(self) -> bytes:
        """The account's secret key, for a backup; empty on a device that was linked."""
        return self._saved.account_seed

    def sign_device(self, record: bytes, by_device: bytes) -> SignedRecord:
        """Make a device one of this account's. Raises WrongUse where the account key is not here."""
        return SignedRecord(record, self._by_account(record), by_device)

    def revoke(self, known: DeviceRecord) -> SignedRecord:
        """Return the record that gives a device of this account up. Raises WrongUse without the account key."""
        record = encode_record(msgspec.structs.replace(known, sequence=known.sequence + 1, revoked=True))
        return SignedRecord(record, self._by_account(record), bytes(SIGNATURE_BYTES))

    def _by_account(self, record: bytes) -> bytes:
        if self._account_key is None:
            raise WrongUse(
                "Only the box that holds the account's key can do this.", "`callbox devices` says which one it is."
            )
        return self._account_key.sign(record_bytes(record))

    @classmethod
    def restore(cls, exported: bytes) -> "Identity":
        """Read what `export` gave. Raises CallboxError when it is damaged."""
        try:
            return cls(msgspec.msgpack.decode(exported, type=_Saved))
        except (ValueError, Untrusted, RecursionError):  # vodozemac's and msgspec's errors are ValueErrors
            raise CallboxError(
                "The identity of this box is damaged.",
                "Put a copy of the box's folder back if you have one; else join anew with a new invite.",
            ) from None

    def export(self) -> bytes:
        """Return everything, secrets in the clear: seal it before it is stored."""
        self._saved = msgspec.structs.replace(self._saved, olm=self.olm.pickle(open_pickle_key()))
        return msgspec.msgpack.encode(self._saved)

    def sign_erasure(self, transcript: bytes) -> bytes | None:
        """Sign `wire.codec.erasure_transcript`, 64 bytes; None on a linked device, which has no account key."""
        return self._account_key.sign(transcript) if self._account_key is not None else None

    def sign_login(self, transcript: bytes) -> bytes:
        """Sign `wire.codec.login_transcript`, 64 bytes."""
        return self._auth_key.sign(transcript)

    def new_prekeys(self, count: int, fallback: bool) -> tuple[SignedKey, ...]:
        """Return at least `count` signed one-time keys and, if asked, a new fallback key.

        All made before but not yet marked as published are among them, so a lost answer costs none. Store
        `export()` before publishing them, `mark_published` after the server took them. Letters under the fallback key
        before this one still open; vodozemac lets go of the one before that.
        """
        missing = count - len(self.olm.one_time_keys)
        if missing > 0:
            self.olm.generate_one_time_keys(missing)
        keys = self._signed(self.olm.one_time_keys, False)
        account = cast(_FallbackKeys, self.olm)
        if fallback and not account.fallback_key:
            account.generate_fallback_key()
        return tuple(keys + self._signed(account.fallback_key, True))

    def mark_published(self) -> None:
        """The server holds the prekeys of the last `new_prekeys` now. Store `export()` after it."""
        self.olm.mark_keys_as_published()

    def _signed(self, keys: Mapping[str, vodozemac.Curve25519PublicKey], fallback: bool) -> list[SignedKey]:
        """Sign prekeys, in an order of their own: vodozemac's changes from call to call."""
        raw = sorted(key.to_bytes() for key in keys.values())
        return [SignedKey(key, self._auth_key.sign(prekey_bytes(key, fallback)), fallback) for key in raw]
