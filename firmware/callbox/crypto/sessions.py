"""The Olm sessions of this device: two per peer device, so that a ring never waits for mail or loses it.

    mail   stored letters and receipts, strictly in order
    call   rings and call control; the server drops them freely, so gaps are normal

Olm keeps 40 skipped message keys per chain: on one shared session, a ring that overtakes 2,000 queued letters would
make all but the last 40 of them undecryptable. Each slot (device, class) keeps a few sessions, the one to send on
first: both sides may start one at the same moment, and letters of an older one may still be on their way.

Nothing is stored here. After every `seal` and `open`, take `changed()` and commit it together with what was sealed or
opened; if that commit fails, build `Sessions` anew from what is stored.
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal

import msgspec
import vodozemac

from callbox.base.errors import CallboxError
from callbox.base.time import Instant
from callbox.crypto.errors import NoSession, NoSuchPrekey, NotTried, Undecryptable, Untrusted
from callbox.crypto.identity import Identity
from callbox.crypto.olm import open_pickle_key
from callbox.crypto.records import verify_prekey
from callbox.wire.records import DeviceRecord, SignedKey

SessionClass = Literal["mail", "call"]
_CLASSES: tuple[SessionClass, ...] = ("mail", "call")

MAX_SESSIONS = 4
MAX_RETIRED = 100
MAX_UNANSWERED_CALLS = 1000
"""Olm gives up at a gap of 2,000 letters; well before that a call session that nobody answers is made anew."""

MAX_FAILURES = 20
FAILURE_WINDOW_S = 60.0
RENEWAL_PAUSE_S = 3600.0


class _SavedSession(msgspec.Struct):
    pickle: str
    unanswered: int


class _SavedSlot(msgspec.Struct):
    sessions: list[_SavedSession]
    retired: list[str]
    peer: bytes


class _Held:
    """One Olm session and how many letters went out on it since one came in."""

    __slots__ = ("olm", "unanswered")

    def __init__(self, olm: vodozemac.Session, unanswered: int = 0) -> None:
        self.olm = olm
        self.unanswered = unanswered


class _Slot:
    """The sessions with one device for one class, the one to send on first.

    `peer`: the exchange key of that device. An id alone names nobody: whoever makes a record chooses the id in it, and
    with a stranger's session among these, letters for the device would be sealed for the stranger.
    """

    def __init__(self, peer: bytes) -> None:
        self.peer = peer
        self.held: list[_Held] = []
        # Ids of sessions dropped for lack of room. A replayed first letter under a fallback key would otherwise
        # bring one back, and we would send on a session that its peer has forgotten.
        self.retired: deque[str] = deque(maxlen=MAX_RETIRED)

    def prefer(self, held: _Held) -> None:
        """Send on this one from now on; drop the ones unused for longest."""
        if held in self.held:
            self.held.remove(held)
        self.held.insert(0, held)
        while len(self.held) > MAX_SESSIONS:
            self.retired.append(self.held.pop().olm.session_id)

    def export(self) -> bytes:
        sessions = [_SavedSession(held.olm.pickle(open_pickle_key()), held.unanswered) for held in self.held]
        return msgspec.msgpack.encode(_SavedSlot(sessions, list(self.retired), self.peer))

    @classmethod
    def restore(cls, data: bytes) -> "_Slot":
        saved = msgspec.msgpack.decode(data, type=_SavedSlot)
        slot = cls(saved.peer)
        for session in saved.sessions:
            slot.held.append(
                _Held(vodozemac.Session.from_pickle(session.pickle, open_pickle_key()), session.unanswered)
            )
        slot.retired.extend(saved.retired)
        return slot


class Sessions:
    """All sessions of one identity. Keys of `saved` and `changed()` are "DEVICE/mail" and "DEVICE/call"."""

    def __init__(self, identity: Identity, saved: Mapping[str, bytes]) -> None:
        """Raises CallboxError when something stored is damaged."""
        self._identity = identity
        self._slots: dict[str, _Slot] = {}
        self._changed: set[str] = set()
        self._account_changed = False
        self._failures: dict[str, deque[Instant]] = {}
        self._renewed: dict[str, Instant] = {}
        for key, data in saved.items():
            if key == "account" or not data:
                continue
            try:
                self._slots[key] = _Slot.restore(data)
            except (ValueError, RecursionError):
                raise CallboxError(
                    f"The stored session {key} is damaged.",
                    "Put a copy of the box's folder back if you have one; else join anew with a new invite.",
                ) from None

    def has(self, device: str, cls: SessionClass) -> bool:
        """Whether something can be sealed. False too for a call session whose peer was silent for 1,000 letters."""
        slot = self._slots.get(f"{device}/{cls}")
        if slot is None or not slot.held:
            return False
        return cls == "mail" or slot.held[0].unanswered < MAX_UNANSWERED_CALLS

    def start(self, record: DeviceRecord, cls: SessionClass, prekey: SignedKey) -> None:
        """Start a session towards a device. Raises Untrusted for a revoked device or a prekey that is not its own."""
        if record.revoked:
            raise Untrusted("the device is revoked")
        verify_prekey(record, prekey)
        try:
            olm = self._identity.olm.create_outbound_session(
                vodozemac.Curve25519PublicKey.from_bytes(record.olm_exchange_key),
                vodozemac.Curve25519PublicKey.from_bytes(prekey.key),
            )
        except ValueError:  # a key of small order
            raise Untrusted("the device's keys are unusable") from None
        key = f"{record.device}/{cls}"
        slot = self._slot_of(record, cls) or _Slot(record.olm_exchange_key)
        slot.prefer(_Held(olm))
        self._slots[key] = slot
        self._changed.add(key)

    def may_renew(self, device: str, cls: SessionClass, now: Instant) -> bool:
        """Whether a wedged session (letters of the peer do not open) may be replaced: once an hour per class."""
        last = self._renewed.get(f"{device}/{cls}")
        return last is None or now - last >= RENEWAL_PAUSE_S

    def renew(self, record: DeviceRecord, cls: SessionClass, prekey: SignedKey, now: Instant) -> None:
        """Replace a wedged session; send a `Probe` on it next. Raises NoSession when it is too early, or Untrusted."""
        if not self.may_renew(record.device, cls, now):
            raise NoSession("a session with this device was made anew less than an hour ago")
        self.start(record, cls, prekey)
        self._renewed[f"{record.device}/{cls}"] = now

    def seal(self, record: DeviceRecord, cls: SessionClass, padded: bytes) -> tuple[int, bytes]:
        """Return (Olm type, ciphertext). Raises NoSession. Store `changed()` before it is sent."""
        key = f"{record.device}/{cls}"
        slot = self._slot_of(record, cls)
        if slot is None or not slot.held:
            raise NoSession("no session with this device yet")
        held = slot.held[0]
        kind, ciphertext = held.olm.encrypt(padded).to_parts()
        held.unanswered += 1
        self._changed.add(key)
        return kind, bytes(ciphertext)

    def open(self, record: DeviceRecord, cls: SessionClass, olm_type: int, ciphertext: bytes, now: Instant) -> bytes:
        """Return the padded letter. Raises Undecryptable; then nothing has changed.

        At most 20 failures per device and minute are even tried, as each costs several key derivations: after that
        NotTried.
        """
        failures = self._failures.setdefault(record.device, deque(maxlen=MAX_FAILURES))
        if len(failures) == MAX_FAILURES and now - failures[0] < FAILURE_WINDOW_S:
            raise NotTried("too many letters of this device did not open")
        key = f"{record.device}/{cls}"
        slot = self._slot_of(record, cls)
        if slot is None and key in self._slots:
            raise Undecryptable("another device goes by this id")
        slot = slot or _Slot(record.olm_exchange_key)
        try:
            message = vodozemac.AnyOlmMessage.from_parts(olm_type, ciphertext)
            held, padded = self._opened(slot, record, message)
        except (ValueError, OverflowError) as error:
            failures.append(now)
            if isinstance(error, NoSuchPrekey):
                raise
            raise Undecryptable(str(error)[:200]) from None
        held.unanswered = 0
        slot.prefer(held)
        self._slots[key] = slot
        self._changed.add(key)
        return padded

    def forget(self, device: str) -> None:
        """Drop all sessions with a device, for one that is revoked."""
        for cls in _CLASSES:
            if self._slots.pop(f"{device}/{cls}", None) is not None:
                self._changed.add(f"{device}/{cls}")

    def forget_all(self) -> None:
        """Drop every session: this box was restored from a backup, and going on would use keys twice."""
        self._changed.update(self._slots)
        self._slots.clear()

    def changed(self) -> dict[str, bytes]:
        """Return what must be stored since the last call; empty bytes for a slot that is gone.

        Under "account" lies `identity.export()` when a letter used up one of our prekeys.
        """
        changed = {key: self._slots[key].export() if key in self._slots else b"" for key in sorted(self._changed)}
        if self._account_changed:
            changed["account"] = self._identity.export()
        self._changed.clear()
        self._account_changed = False
        return changed

    def _slot_of(self, record: DeviceRecord, cls: SessionClass) -> _Slot | None:
        """Return the sessions with this very device; None too when another one has its id."""
        slot = self._slots.get(f"{record.device}/{cls}")
        return slot if slot is not None and slot.peer == record.olm_exchange_key else None

    def _opened(self, slot: _Slot, record: DeviceRecord, message: vodozemac.AnyOlmMessage) -> tuple[_Held, bytes]:
        """Return the session that opens `message`, a new one if it must be, and the letter. Raises ValueError."""
        first = message.to_pre_key()
        if first is None:
            return _tried(slot, message)
        for held in slot.held:
            if held.olm.session_matches(first):
                return held, bytes(held.olm.decrypt(message))
        if first.session_id() in slot.retired:
            raise Undecryptable("first letter of a session that was dropped")
        sender = vodozemac.Curve25519PublicKey.from_bytes(record.olm_exchange_key)
        try:
            olm, padded = self._identity.olm.create_inbound_session(sender, first)
        except ValueError as error:
            raise NoSuchPrekey(str(error)[:200]) from None
        self._account_changed = True
        return _Held(olm), bytes(padded)


def _tried(slot: _Slot, message: vodozemac.AnyOlmMessage) -> tuple[_Held, bytes]:
    for held in slot.held:
        try:
            return held, bytes(held.olm.decrypt(message))
        except ValueError:
            continue
    raise Undecryptable("no session opens this letter")
