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
from callbox.base.errors import CallboxError
from callbox.crypto.errors import Untrusted
from callbox.crypto.olm import from_base64, open_pickle_key
from callbox.crypto.records import prekey_bytes, record_bytes, verify_record
from callbox.wire.codec import encode_record
from callbox.wire.names import valid_name
from callbox.wire.records import DEVICE_ID_BYTES, DeviceRecord, SignedKey, SignedRecord


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


class Identity:
    """One account's first device: it holds the account key too."""

    def __init__(self, saved: _Saved) -> None:
        self._saved = saved
        self._account_key = Ed25519PrivateKey.from_private_bytes(saved.account_seed)
        self._auth_key = Ed25519PrivateKey.from_private_bytes(saved.auth_seed)
        self.olm = vodozemac.Account.from_pickle(saved.olm, open_pickle_key())
        self.account_public = self._account_key.public_key().public_bytes_raw()
        self.record = saved.record
        self.device_record = verify_record(saved.record, self.account_public)
        self.account = self.device_record.account
        self.device = self.device_record.device
        self.olm_signing_key = self.device_record.olm_signing_key

    @classmethod
    def create(cls, account: str, chance: Chance, wall_ms: int, kind: str = "box") -> "Identity":
        """Make a new account with this device as its first. Raises WrongUse for a name that cannot be one."""
        name = valid_name(account)
        account_seed, auth_seed = chance.token(32), chance.token(32)
        account_key = Ed25519PrivateKey.from_private_bytes(account_seed)
        auth_key = Ed25519PrivateKey.from_private_bytes(auth_seed)
        olm = vodozemac.Account()
        record = encode_record(
            DeviceRecord(
                account=name,
                account_key=account_key.public_key().public_bytes_raw(),
                device=chance.token(DEVICE_ID_BYTES).hex(),
                auth_key=auth_key.public_key().public_bytes_raw(),
                olm_signing_key=from_base64(olm.ed25519_key.to_base64()),
                olm_exchange_key=olm.curve25519_key.to_bytes(),
                kind=kind,
                created_ms=wall_ms,
                sequence=1,
            )
        )
        message = record_bytes(record)
        signed = SignedRecord(record, account_key.sign(message), auth_key.sign(message))
        return cls(_Saved(1, account_seed, auth_seed, olm.pickle(open_pickle_key()), signed))

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

    def sign_login(self, transcript: bytes) -> bytes:
        """Sign `wire.codec.login_transcript`, 64 bytes."""
        return self._auth_key.sign(transcript)

    def new_prekeys(self, count: int, fallback: bool) -> tuple[SignedKey, ...]:
        """Return at least `count` signed one-time keys and, if asked, a new fallback key.

        All made before but not yet marked as published are among them, so a lost answer costs none. Store
        `export()` before publishing them, `mark_published` after the server took them.
        """
        missing = count - len(self.olm.one_time_keys)
        if missing > 0:
            self.olm.generate_one_time_keys(missing)
        keys = self._signed(self.olm.one_time_keys, False)
        if fallback:
            account = cast(_FallbackKeys, self.olm)
            if not account.fallback_key:
                account.generate_fallback_key()
            keys += self._signed(account.fallback_key, True)
        return tuple(keys)

    def mark_published(self) -> None:
        """The server holds the prekeys of the last `new_prekeys` now. Store `export()` after it."""
        self.olm.mark_keys_as_published()

    def _signed(self, keys: Mapping[str, vodozemac.Curve25519PublicKey], fallback: bool) -> list[SignedKey]:
        """Sign prekeys, in an order of their own: vodozemac's changes from call to call."""
        raw = sorted(key.to_bytes() for key in keys.values())
        return [SignedKey(key, self._auth_key.sign(prekey_bytes(key, fallback)), fallback) for key in raw]
