"""The outbox: letters on their way, each to one device, in order, the same ciphertext until it is accepted.

    queued --sealed--> sealed --accepted--> accepted --delivered--> gone
                         ^  `-- refused: waits and tries again, or is given up

A *mail* letter stays until its device says "delivered": at most 32 are sealed and not delivered, because the Olm
session on the other side keeps only 40 skipped keys. A *receipt* is gone once accepted, and overtakes mail that is
not sealed yet: two boxes with full windows would otherwise wait for each other for ever. Once sealed, letters to a
device leave strictly in the order of sealing, one at a time: a refused one must not be overtaken.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from callbox.base.time import Instant, earliest
from callbox.conversations.stores import Delete, Put, Write, read_rows
from callbox.wire.signals import DeniedWhy

Stored = Literal["mail", "receipt"]

TABLE = "outbox"
WINDOW = 32
KEPT_DAYS = 30  # as long as the server keeps undelivered mail
RETRY_S = 30.0
_DAY_MS = 24 * 60 * 60 * 1000
_FOR_GOOD: frozenset[DeniedWhy] = frozenset({"not-allowed", "no-such-account", "not-yours", "too-large"})


class Letter(msgspec.Struct, frozen=True):
    """One body for one device. `to_device` is "" while the account's devices are not known."""

    message_id: bytes
    to_account: str
    to_device: str
    cls: Stored
    body: bytes  # the encoded body; kept until delivery, for a session that must be made anew
    created_ms: int
    number: int  # order of queueing
    state: Literal["queued", "sealed", "accepted"] = "queued"
    sealing: int = 0  # order of sealing
    olm_type: int = 0
    ciphertext: bytes = b""

    @property
    def key(self) -> str:
        return f"{self.to_account}/{self.to_device}/{self.cls}/{self.message_id.hex()}"


class Outbox:
    """All letters on their way. Every change returns its writes; queries change nothing."""

    def __init__(self, loaded: Mapping[str, bytes]) -> None:
        letters = sorted(read_rows(Letter, TABLE, loaded.items()).values(), key=lambda letter: letter.number)
        self._letters = {letter.key: letter for letter in letters}
        self._next = 1 + max((max(letter.number, letter.sealing) for letter in letters), default=0)
        self._submitted: dict[str, str] = {}  # device -> key of the letter whose answer is awaited
        self._not_before: dict[str, Instant] = {}  # device -> when to try again after a refusal

    def __len__(self) -> int:
        return len(self._letters)

    # --- queueing --------------------------------------------------------------------------------------------

    def queue(
        self, message_id: bytes, to_account: str, cls: Stored, body: bytes, now_ms: int, devices: Iterable[str] = ()
    ) -> tuple[list[Letter], list[Write]]:
        """Take a body for every device of an account; with none known it waits for `addressed`."""
        letters = [
            Letter(message_id, to_account, device, cls, body, now_ms, self._number())
            for device in list(devices) or [""]
        ]
        return letters, [write for letter in letters for write in self._keep(letter)]

    def unaddressed(self) -> list[str]:
        """Return the accounts whose devices must be fetched."""
        return sorted({letter.to_account for letter in self._letters.values() if not letter.to_device})

    def addressed(self, account: str, devices: Iterable[str]) -> list[Write]:
        """The account has these devices: its waiting letters become one per device. None known: they wait on."""
        devices = list(devices)
        writes: list[Write] = []
        if devices:
            for letter in [item for item in self._in_order() if item.to_account == account and not item.to_device]:
                writes += self._drop(letter)
                for device in devices:
                    addressed = msgspec.structs.replace(letter, to_device=device, number=self._number())
                    writes += self._keep(addressed)
        return writes

    # --- sealing ---------------------------------------------------------------------------------------------

    def sealable(self) -> list[Letter]:
        """Return what may be sealed now, in the order to seal it: receipts, then mail within each window."""
        flying = Counter(
            letter.to_device for letter in self._letters.values() if letter.cls == "mail" and letter.state != "queued"
        )
        waiting = [letter for letter in self._in_order() if letter.state == "queued" and letter.to_device]
        found = [letter for letter in waiting if letter.cls != "mail"]
        for letter in waiting:
            if letter.cls == "mail" and flying[letter.to_device] < WINDOW:
                flying[letter.to_device] += 1
                found.append(letter)
        return found

    def sealed(self, letter: Letter, olm_type: int, ciphertext: bytes) -> list[Write]:
        """The letter was sealed. Commit this together with the ratchet that sealed it, and only then submit."""
        if self._letters.get(letter.key) != letter:
            return []
        number = self._number()
        return self._keep(
            msgspec.structs.replace(letter, state="sealed", olm_type=olm_type, ciphertext=ciphertext, sealing=number)
        )

    def reseal(self, device: str) -> list[Write]:
        """The session with a device is made anew: what it may not be able to open is sealed again, in its order."""
        self._submitted.pop(device, None)
        writes: list[Write] = []
        for letter in self._in_order():
            if letter.to_device == device and letter.state != "queued":
                writes += self._keep(
                    msgspec.structs.replace(letter, state="queued", olm_type=0, ciphertext=b"", sealing=0)
                )
        return writes

    # --- handing over ----------------------------------------------------------------------------------------

    def submittable(self, now: Instant) -> list[Letter]:
        """Return what may be handed to the server now: the first sealed letter of each device that is not waiting."""
        first: dict[str, Letter] = {}
        for letter in sorted(self._letters.values(), key=lambda letter: letter.sealing):
            if letter.state == "sealed":
                first.setdefault(letter.to_device, letter)
        return [
            letter
            for device, letter in first.items()
            if device not in self._submitted and now >= self._not_before.get(device, now)
        ]

    def submitted(self, letter: Letter) -> None:
        """The letter went to the server; its answer is awaited until the link is lost."""
        self._submitted[letter.to_device] = letter.key

    def accepted(self, letter: Letter) -> list[Write]:
        """The server has committed the letter."""
        if not self._is_answered(letter):
            return []
        self._not_before.pop(letter.to_device, None)
        if letter.cls != "mail":
            return self._drop(letter)
        return self._keep(msgspec.structs.replace(letter, state="accepted"))

    def refused(
        self, letter: Letter, why: DeniedWhy, now: Instant, retry_after_s: float = 0.0
    ) -> tuple[bool, list[Write]]:
        """The server did not take the letter. True: it is given up for good (mark its text unsent).

        Otherwise it waits, and all that is behind it for the same device.
        """
        if not self._is_answered(letter):
            return False, []
        if why in _FOR_GOOD:
            return True, self._drop(letter)
        self._not_before[letter.to_device] = now + max(retry_after_s, RETRY_S)
        return False, []

    @property
    def deadline(self) -> Instant | None:
        """When a refused letter is due again."""
        return earliest(*self._not_before.values())

    def tick(self, now: Instant) -> None:
        """Let go of waits that are over; ask `submittable` after it."""
        self._not_before = {device: due for device, due in self._not_before.items() if due > now}

    def link_lost(self) -> None:
        """No answer will come any more: what was submitted is submittable again. Waits are forgotten."""
        self._submitted.clear()
        self._not_before.clear()

    # --- done ------------------------------------------------------------------------------------------------

    def delivered(self, device: str, message_ids: Iterable[bytes]) -> list[Write]:
        """A device says that it has these mails. Ones that never were sealed for it are not touched."""
        ids = set(message_ids)
        sent = [item for item in self._in_order() if item.to_device == device and item.state != "queued"]
        done = [item for item in sent if item.cls == "mail" and item.message_id in ids]
        for letter in done:
            if self._submitted.get(device) == letter.key:
                del self._submitted[device]
        return [write for letter in done for write in self._drop(letter)]

    def is_fresh(self, message_id: bytes) -> bool:
        """Say whether a body is on its way and nothing of it was sealed yet: its letters may still be put anew."""
        letters = [letter for letter in self._letters.values() if letter.message_id == message_id]
        return bool(letters) and all(letter.state == "queued" for letter in letters)

    def waits_for(self, account: str) -> bool:
        """Say whether anything is on its way to an account."""
        return any(letter.to_account == account for letter in self._letters.values())

    def resubmit(self) -> list[Write]:
        """The server may have forgotten what it took: the same letters are handed over once more, in their order."""
        self._submitted.clear()
        taken = [letter for letter in self._in_order() if letter.state == "accepted"]
        return [write for letter in taken for write in self._keep(msgspec.structs.replace(letter, state="sealed"))]

    def readdress(self, device: str) -> list[Write]:
        """A device is gone: mail that it did not confirm goes to its account's others, who have a use for it."""
        writes: list[Write] = []
        for letter in [item for item in self._in_order() if item.to_device == device and item.cls == "mail"]:
            writes += self._drop(letter)
            number = self._number()
            again = msgspec.structs.replace(
                letter, to_device="", state="queued", olm_type=0, ciphertext=b"", sealing=0, number=number
            )
            if again.key not in self._letters:
                writes += self._keep(again)
        return [*writes, *self.without_device(device)]

    def without_device(self, device: str) -> list[Write]:
        """A device was revoked or is gone: nothing is sent to it any more."""
        self._submitted.pop(device, None)
        self._not_before.pop(device, None)
        gone = [letter for letter in self._in_order() if letter.to_device == device]
        return [write for letter in gone for write in self._drop(letter)]

    def withdrawn(self, message_id: bytes) -> list[Write]:
        """Its writer deleted this message: what of it is not sealed yet is never sent."""
        waiting = [letter for letter in self._in_order() if letter.message_id == message_id]
        return [write for letter in waiting if letter.state == "queued" for write in self._drop(letter)]

    def without_account(self, account: str) -> list[Write]:
        """A contact was forgotten or blocked: nothing is sent to it any more."""
        devices = {letter.to_device for letter in self._letters.values() if letter.to_account == account}
        writes = [write for device in sorted(devices - {""}) for write in self.without_device(device)]
        waiting = [letter for letter in self._in_order() if letter.to_account == account]
        return writes + [write for letter in waiting for write in self._drop(letter)]

    def expired(self, now_ms: int, earliest_ms: int) -> tuple[list[Letter], list[Write]]:
        """Give up letters that no device took for 30 days. Ask with a trusted clock; see `retention.expired`.

        Returns what was given up (mark its texts unsent). Letters of an untrusted clock are dated anew.
        """
        if now_ms < earliest_ms:
            return [], []
        gone: list[Letter] = []
        writes: list[Write] = []
        for letter in self._in_order():
            if not earliest_ms <= letter.created_ms <= now_ms + _DAY_MS:
                writes += self._keep(msgspec.structs.replace(letter, created_ms=now_ms))
            elif now_ms - letter.created_ms > KEPT_DAYS * _DAY_MS and letter.key not in self._submitted.values():
                gone.append(letter)
                writes += self._drop(letter)
        return gone, writes

    def _in_order(self) -> list[Letter]:
        return sorted(self._letters.values(), key=lambda letter: letter.number)

    def _is_answered(self, letter: Letter) -> bool:
        """Stop waiting for this letter's answer; False when it has changed since it was submitted, or is gone."""
        if self._letters.get(letter.key) != letter or letter.state != "sealed":
            return False
        if self._submitted.get(letter.to_device) == letter.key:
            del self._submitted[letter.to_device]
        return True

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _keep(self, letter: Letter) -> list[Write]:
        self._letters[letter.key] = letter
        return [Put(TABLE, letter.key, msgspec.msgpack.encode(letter))]

    def _drop(self, letter: Letter) -> list[Write]:
        del self._letters[letter.key]
        return [Delete(TABLE, letter.key)]
