"""The directory: asks for what it lacks, believes nothing unsigned, and notices another key."""

import msgspec
import pytest

from app.desk import Desk, peer, published
from callbox.app.directory import CLAIM_AGAIN_S, Directory
from callbox.conversations.contacts import Contacts
from callbox.crypto.identity import Identity
from callbox.crypto.sessions import SessionClass
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import ClaimPrekeys, Denied, DevicePrekey, Devices, FetchDevices


class Asking:
    """A directory, and what came of reaching for somebody."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.contacts = Contacts({})
        self.directory = Directory(self.desk.core, self.contacts, {})
        self.reached: list[DeviceRecord] = []
        self.failed: list[str] = []
        self.changed: list[str] = []
        self.directory.on_key_changed = self.changed.append

    def reach(self, cls: SessionClass = "mail") -> None:
        self.directory.reach("workshop", cls, self.reached.extend, self.failed.append)
        self.desk.settle()

    def answer(self, *devices: DevicePrekey) -> None:
        self.desk.answer(Devices(len(self.desk.link.asked), "workshop", devices))

    def meet(self, identity: Identity) -> None:
        self.reach()
        self.answer(published(identity))


@pytest.fixture
def asking() -> Asking:
    return Asking()


@pytest.fixture
def workshop() -> Identity:
    return peer("workshop")


def test_a_stranger_is_asked_for_once(asking: Asking, workshop: Identity) -> None:
    asking.meet(workshop)
    assert asking.desk.link.asked == [ClaimPrekeys(1, "workshop", ())]
    assert asking.reached == [workshop.device_record]
    assert asking.desk.core.sessions.has(workshop.device, "mail")
    asking.reach()
    assert len(asking.desk.link.asked) == 1
    assert len(asking.reached) == 2


def test_a_new_server_session_asks_anew_without_claiming(asking: Asking, workshop: Identity) -> None:
    asking.meet(workshop)
    asking.directory.session_started()
    asking.reach()
    assert asking.desk.link.asked[1:] == [FetchDevices(2, "workshop")]


def test_only_what_has_no_session_yet_is_claimed(asking: Asking, workshop: Identity) -> None:
    asking.meet(workshop)
    asking.reach("call")
    assert asking.desk.link.asked[1:] == [ClaimPrekeys(2, "workshop", (workshop.device,))]


def test_a_claim_is_not_repeated_soon(asking: Asking, workshop: Identity) -> None:
    asking.reach()
    asking.answer(DevicePrekey(workshop.record, None))
    assert asking.failed == ["no-keys"]
    asking.reach()
    assert isinstance(asking.desk.link.asked[-1], FetchDevices)
    asking.desk.core.now += CLAIM_AGAIN_S
    asking.reach()
    assert isinstance(asking.desk.link.asked[-1], ClaimPrekeys)


def test_without_a_server_it_says_so(asking: Asking) -> None:
    asking.desk.link.connected = False
    asking.reach()
    assert asking.failed == ["offline"]


def test_an_account_that_is_not_there_is_told(asking: Asking) -> None:
    asking.reach()
    asking.desk.answer(Denied(1, "no-such-account"))
    assert asking.failed == ["no-such-account"]


def test_a_record_that_nobody_signed_is_not_kept(asking: Asking, workshop: Identity) -> None:
    entry = published(workshop)
    forged = msgspec.structs.replace(entry.record, by_account=bytes(64))
    asking.reach()
    asking.answer(DevicePrekey(forged, entry.key))
    assert asking.directory.devices("workshop") == []
    assert asking.failed == ["no-keys"]


def test_a_record_of_somebody_else_is_not_kept(asking: Asking) -> None:
    stranger = peer("stranger")
    asking.reach()
    asking.answer(published(stranger))
    assert asking.directory.record("stranger", stranger.device) is None
    assert asking.failed == ["no-keys"]


def test_a_prekey_of_another_device_starts_no_session(asking: Asking, workshop: Identity) -> None:
    foreign = peer("stranger").new_prekeys(1, fallback=False)[0]
    asking.reach()
    asking.answer(DevicePrekey(workshop.record, foreign))
    assert not asking.desk.core.sessions.has(workshop.device, "mail")
    assert any("did not sign" in line for line in asking.desk.log)


def test_another_account_key_of_a_contact_is_told_and_blocks_calls(asking: Asking, workshop: Identity) -> None:
    asking.desk.core.commit(asking.contacts.allow("workshop", "ring", at_ms=1))
    asking.meet(workshop)
    asking.directory.changed("workshop")
    asking.reach("call")
    asking.answer(published(Identity.create("workshop", asking.desk.core.chance, 1)))
    assert asking.changed == ["workshop"]
    contact = asking.contacts.get("workshop")
    assert contact is not None
    assert contact.changed_key is not None


def test_what_was_kept_is_known_after_a_restart(asking: Asking, workshop: Identity) -> None:
    saved = {"workshop": msgspec.msgpack.encode(workshop.record)}
    again = Directory(asking.desk.core, asking.contacts, saved)
    assert again.devices("workshop") == [workshop.device_record]


def test_looking_up_one_device_claims_no_prekey(asking: Asking, workshop: Identity) -> None:
    found: list[DeviceRecord | None] = []
    asking.directory.look_up("workshop", workshop.device, found.append, lambda: None)
    assert asking.desk.link.asked == [FetchDevices(1, "workshop")]
    asking.answer(published(workshop))
    asking.directory.look_up("workshop", workshop.device, found.append, lambda: None)
    assert found == [workshop.device_record] * 2
    assert not asking.desk.core.sessions.has(workshop.device, "mail")
