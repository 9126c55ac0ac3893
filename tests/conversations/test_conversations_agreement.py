"""Devices of one account agree on contacts and controls, whatever they hear in whatever order."""

from dataclasses import dataclass, field

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.conversations.agreement import (
    TABLE,
    Agreement,
    Keys,
    contact_fields,
    controls_fields,
    default_fields,
    keys_of,
    letters,
    with_controls,
    with_fields,
)
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls
from callbox.conversations.stores import Delete, Put
from callbox.wire.bodies import OwnRecord

DEVICES = ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc")
OLD, NEW = b"o" * 32, b"n" * 32


@dataclass
class Device:
    """A device with letters on their way to it, in the order of sending from each other device."""

    name: str
    agreement: Agreement = field(init=False)
    waiting: dict[str, list[tuple[OwnRecord, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.agreement = Agreement(self.name, {})


Step = tuple[str, int, int, str]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 2), st.integers(0, 3), st.sampled_from("xyz")),
        st.tuples(st.just("bury"), st.integers(0, 2), st.integers(0, 3), st.just("")),
        st.tuples(st.just("hear"), st.integers(0, 2), st.integers(0, 2), st.just("")),
        st.tuples(st.just("twice"), st.integers(0, 2), st.integers(0, 2), st.just("")),
        st.tuples(st.just("restart"), st.integers(0, 2), st.just(0), st.just("")),
    ),
    max_size=60,
)


def restarted(device: Device) -> None:
    stored = {record.key: msgspec.msgpack.encode(record) for record in device.agreement.all()}
    device.agreement = Agreement(device.name, stored)


def tell(devices: list[Device], teller: Device, records: list[OwnRecord]) -> None:
    for sibling in devices:
        if records and sibling is not teller:
            sibling.waiting.setdefault(teller.name, []).append(tuple(records))


def tell_all(devices: list[Device], teller: Device) -> None:
    for sibling in devices:
        sibling.agreement.merge(teller.agreement.all())


@settings(max_examples=200)
@given(steps)
def test_any_order_of_changes_and_letters_ends_in_agreement(plan: list[Step]) -> None:
    devices = [Device(name) for name in DEVICES]
    last: dict[str, list[tuple[str, bytes]]] = {}
    buried: set[str] = set()
    for what, who, other, value in plan:
        device, key = devices[who], f"contact/{other}/dial"
        queue = device.waiting.get(DEVICES[other % 3], [])
        records: list[OwnRecord] = []
        if what == "bury":
            records, _ = device.agreement.bury(str(other))
            assert device.agreement.get(key) is None
            buried.add(key)
        elif what == "set":
            records, writes = device.agreement.set(f"contact/{other}/there", b"1")
            dial, written = device.agreement.set(key, value.encode())
            assert len(records) + len(dial) == len(writes) + len(written)
            records = [*records, *dial]
            last.setdefault(key, []).append((device.name, value.encode()))
        elif what == "hear" and queue:
            device.agreement.merge(queue.pop(0))
        elif what == "twice" and queue:
            device.agreement.merge(queue[0])
        elif what == "restart":
            restarted(device)
        tell(devices, device, records)
    for device in devices:
        for left in device.waiting.values():
            for portion in left:
                device.agreement.merge(portion)
    for device in devices * 2:  # who has another digest sends everything
        tell_all(devices, device)
    assert len({device.agreement.digest() for device in devices}) == 1
    for key, values in last.items():
        record = devices[0].agreement.get(key)
        assert key in buried if record is None else record.value in {value for _, value in values}


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_merging_is_the_same_in_any_order_and_any_number_of_times(order: list[int], again: list[int]) -> None:
    records = [OwnRecord("k", bytes([number]), number // 2, DEVICES[number % 2]) for number in range(6)]
    agreement = Agreement(DEVICES[2], {})
    for number in [*order, *again]:
        agreement.merge([records[number]])
    assert agreement.all() == [records[5]]


def test_a_device_that_was_restored_and_used_a_counter_twice_agrees_again() -> None:
    one, other = Agreement(DEVICES[0], {}), Agreement(DEVICES[1], {})
    first, _ = one.set("k", b"first")
    other.merge(first)
    restored = Agreement(DEVICES[0], {})
    second, _ = restored.set("k", b"other")
    assert second[0].counter == first[0].counter
    other.merge(second)
    restored.merge(other.all())
    assert restored.digest() == other.digest()
    later, _ = restored.set("k", b"later")
    assert later[0].counter > first[0].counter


def test_a_later_change_wins_over_what_its_device_had_seen() -> None:
    one, other = Agreement(DEVICES[1], {}), Agreement(DEVICES[0], {})
    for value in (b"1", b"2", b"3"):
        records, _ = one.set("k", value)
        other.merge(records)
    late, _ = other.set("k", b"mine")
    one.merge(late)
    found = one.get("k")
    assert found is not None
    assert found.value == b"mine"
    assert one.set("k", b"mine") == ([], [])


def test_who_was_erased_leaves_no_name_and_comes_back_only_by_a_later_decision() -> None:
    one, other = Agreement(DEVICES[1], {}, OLD), Agreement(DEVICES[0], {}, OLD)
    there, _ = one.set("contact/workshop/there", b"1")
    dial, _ = one.set("contact/workshop/dial", b"\x01")
    other.merge([*there, *dial])
    grave, writes = one.bury("workshop")
    assert "workshop" not in repr(one.all()) + repr(grave)
    assert {write.key for write in writes if isinstance(write, Delete)} == {
        "contact/workshop/there",
        "contact/workshop/dial",
    }
    assert one.bury("workshop") == ([], [])
    other.merge(grave)
    assert other.merge([*there, *dial])[0] == []
    assert other.all() == one.all() == grave
    again, _ = other.set("contact/workshop/there", b"1")
    one.merge([*again, *grave])
    assert one.digest() == other.digest()
    assert one.get("contact/workshop/there") == again[0]
    assert Agreement(DEVICES[0], {}, NEW).grave("workshop") != one.grave("workshop"), "nobody else's hash is the same"


def test_a_counter_beyond_reason_is_not_taken() -> None:
    agreement = Agreement(DEVICES[0], {})
    assert agreement.merge([OwnRecord("k", b"", 2**63 - 1, DEVICES[1])]) == ([], [])
    records, _ = agreement.set("k", b"v")
    assert records[0].counter == 1


def test_records_come_back_from_the_store() -> None:
    agreement = Agreement(DEVICES[0], {})
    _, writes = agreement.set("k", b"v")
    loaded = {write.key: write.value for write in writes if isinstance(write, Put) and write.table == TABLE}
    assert Agreement(DEVICES[0], loaded).digest() == agreement.digest()


@given(st.lists(st.integers(0, 30_000), max_size=30))
def test_portions_fit_letters_and_lose_nothing(sizes: list[int]) -> None:
    records = [OwnRecord(f"k{place}", bytes(size), 1, DEVICES[0]) for place, size in enumerate(sizes)]
    portions = letters(records)
    assert [record for portion in portions for record in portion] == records
    assert all(len(msgspec.msgpack.encode(portion)) < 40_000 for portion in portions)


contacts = st.builds(
    Contact,
    name=st.just("anna"),
    permission=st.sampled_from(["blocked", "message", "knock", "ring"]),
    account_key=st.sampled_from([None, OLD, NEW]),
    verified=st.booleans(),
    silenced=st.booleans(),
    dial=st.none() | st.integers(1, 9),
    fingerprint=st.sampled_from(["", "A"]),
    breakthrough=st.booleans(),
    ring_style=st.sampled_from(["full", "rising", "light"]),
    notify=st.booleans(),
    carded=st.booleans(),
    former_keys=st.sampled_from([(), (b"f" * 32,)]),
)


@given(contacts)
def test_a_new_device_has_the_whole_contact(contact: Contact) -> None:
    assert with_fields(Contact("anna"), contact_fields(contact)) == contact
    assert set(default_fields("anna")) == set(contact_fields(contact))


@given(st.booleans(), st.booleans(), st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1439)), max_size=3))
def test_controls_travel_field_by_field(calls: bool, quiet: bool, windows: list[tuple[int, int]]) -> None:
    controls = Controls(calls_enabled=calls, do_not_disturb=quiet, quiet=tuple(windows))
    assert with_controls(Controls(), controls_fields(controls)) == controls


def test_a_request_is_nobodys_decision() -> None:
    assert contact_fields(Contact("anna", permission="request")) == {}


def test_what_this_version_cannot_read_changes_nothing() -> None:
    contact, controls = Contact("anna", permission="ring"), Controls(do_not_disturb=True)
    odd = {
        "permission": b"\xc1",
        "dial": msgspec.msgpack.encode("one"),
        "colour": b"\x01",
        "keys": b"\x01",
        "name": b"",
    }
    assert with_fields(contact, odd) == contact
    assert with_controls(controls, {"quiet": b"\xc1", "colour": b"\x01"}) == controls


def test_a_key_that_somebody_vouched_for_counts_and_the_one_met_here_shows() -> None:
    met = Contact("anna", permission="ring", account_key=OLD)
    vouched = msgspec.msgpack.encode(Keys(NEW, verified=True))
    after = with_fields(met, {"keys": vouched})
    assert (after.account_key, after.verified, after.changed_key) == (NEW, True, OLD)


def test_a_first_key_never_displaces_another() -> None:
    came = {"keys": msgspec.msgpack.encode(Keys(NEW))}
    for contact in (Contact("anna", account_key=OLD), Contact("anna", account_key=OLD, verified=True)):
        assert with_fields(contact, came) == contact
    carded = Contact("anna", carded=True, fingerprint="A")
    assert with_fields(carded, came) == carded
    assert with_fields(Contact("anna"), came).account_key == NEW
    compared = Contact("anna", account_key=NEW, verified=True)
    assert with_fields(compared, came) == compared


def test_a_new_box_that_was_confirmed_elsewhere_is_confirmed_here() -> None:
    here = Contact("anna", account_key=OLD, changed_key=NEW)
    there = Contact("anna", account_key=NEW, former_keys=(OLD,))
    after = with_fields(here, {"keys": msgspec.msgpack.encode(keys_of(there))})
    assert (after.account_key, after.changed_key, after.former_keys) == (NEW, None, (OLD,))
