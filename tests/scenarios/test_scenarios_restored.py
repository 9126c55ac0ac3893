"""Servers and boxes that were set back: restored servers, restored boxes, copied cards, lost boxes, a move."""

import copy
from collections.abc import Callable

import pytest

from callbox.app.backup import read_backup, restored
from callbox.app.keys import PREKEYS
from callbox.base.errors import CallboxError
from callbox.crypto.identity import Identity
from callbox.crypto.sealed_file import Costs, derive
from callbox.server.invites import new_invite
from callbox.server.items import PutInvite
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.cards import Invite
from scenarios.acts import RING_GUARD_S, all_idle, both_hear, mark_of, talk

CHEAP = Costs(memory_kib=64, passes=1, lanes=1)
PASSPHRASE = "correct horse battery"
SERVER = "server.simulated:8443"


def write(box: SimulatedBox, to: str, text: str) -> str:
    return str(box.ask("message", contact=to, text=text)["id"])


def texts(box: SimulatedBox, contact: str) -> list[str]:
    return [item["text"] for item in box.thread(contact) if item["kind"] == "text"]


def restore_server(world: World, change: Callable[[], None]) -> None:
    """Do something, then bring the server back to where it was before, as a restore of its backup does."""
    kept = copy.deepcopy(world.server.store)
    change()
    world.server.kill()
    world.server.store = kept
    kept.store_id = b"restored"
    world.run(0.5)
    world.server.start()


def back_up(box: SimulatedBox, with_messages: bool = False) -> bytes:
    import base64

    salt = bytes(16)
    key = derive(PASSPHRASE, salt, CHEAP)
    costs = (CHEAP.memory_kib, CHEAP.passes, CHEAP.lanes)
    facts = box.ask("backup", key=key.hex(), salt=salt.hex(), costs=costs, with_messages=with_messages)
    assert facts["ok"], facts
    return base64.b64decode(facts["file"])


def restore_box(world: World, name: str, data: bytes) -> SimulatedBox:
    """Make a new box out of a backup; it is switched on."""
    box = SimulatedBox(world, name, "breadboard", 1111.0)
    _, writes = restored(read_backup(data, PASSPHRASE), world.chance, world.wall_ms)
    box.store.commit(writes)
    world.boxes[name] = box
    box.start()
    world.until(lambda: box.box.core.link.up, 5.0, f"{name} connects")
    return box


# --- a server that was restored -----------------------------------------------------------------------------------


def test_nothing_is_lost_or_doubled_when_the_server_was_restored(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "before")
    world.run(1.0)
    sent: list[str] = []

    def meanwhile() -> None:
        sent.append(write(kitchen, "workshop", "delivered meanwhile"))
        world.run(1.0)
        workshop.kill()
        sent.append(write(kitchen, "workshop", "waits at the server"))
        world.run(1.0)
        assert [mark_of(kitchen, one) for one in sent] == ["delivered", "sent"]

    restore_server(world, meanwhile)
    workshop.start()
    world.run(10.0)
    assert texts(workshop, "kitchen") == ["before", "delivered meanwhile", "waits at the server"]
    assert [mark_of(kitchen, one) for one in sent] == ["delivered", "delivered"]
    assert any("restored from a backup" in line for line in kitchen.logged)
    later = write(workshop, "kitchen", "after")
    world.run(2.0)
    assert mark_of(workshop, later) == "delivered"
    talk(world, kitchen, workshop)


def test_a_receipt_that_the_restore_swallowed_comes_again(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "before")
    world.run(1.0)

    def meanwhile() -> None:
        write(kitchen, "workshop", "the one")
        world.run(0.02)
        kitchen.kill()  # the mark waits at the server, and is forgotten there
        world.run(1.0)

    restore_server(world, meanwhile)
    kitchen.start()
    world.run(10.0)
    assert texts(workshop, "kitchen") == ["before", "the one"]
    assert not len(kitchen.box.post._outbox)


def test_used_prekeys_of_a_restored_server_open_no_dead_sessions(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")

    def meanwhile() -> None:
        write(kitchen, "workshop", "uses one of the keys up")
        world.run(1.0)

    restore_server(world, meanwhile)
    world.run(10.0)
    attic = world.box("attic")
    attic.ask("allow", contact="workshop", row="ring")
    workshop.ask("allow", contact="attic", row="ring")
    sent = write(attic, "workshop", "hello")
    world.run(3.0)
    assert mark_of(attic, sent) == "delivered"
    assert texts(workshop, "attic") == ["hello"]
    assert not any("does not open" in line for line in workshop.logged), workshop.logged
    left = world.server.core._desk.directory.prekeys_left(workshop.box.core.identity.device)  # type: ignore[union-attr]
    assert PREKEYS - 5 < left <= PREKEYS


def test_permissions_of_after_the_backup_are_told_again(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")

    def meanwhile() -> None:
        kitchen.ask("block", contact="workshop")
        kitchen.ask("synced")

    restore_server(world, meanwhile)
    world.run(5.0)
    rows = dict(world.server.core._desk.rows.all_of("kitchen"))  # type: ignore[union-attr]
    assert rows == {"workshop": "blocked"}
    workshop.press("dial1")
    world.run(5.0)
    assert kitchen.state == "idle"


def test_devices_of_after_the_backup_come_back_and_revoked_ones_go(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    attics: list[SimulatedBox] = []

    def meanwhile() -> None:
        attics.append(world.second(kitchen, "attic"))
        kitchen.ask("revoke", device=hall.box.core.identity.device)
        world.run(2.0)

    restore_server(world, meanwhile)
    world.run(40.0)
    (attic,) = attics
    assert attic.box.core.link.up
    assert not hall.box.core.link.up
    write(workshop, "kitchen", "who is there?")
    world.run(3.0)
    assert texts(attic, "workshop") == texts(kitchen, "workshop") == ["who is there?"]
    assert texts(hall, "workshop") == []


def test_a_lying_server_that_always_forgets_costs_little(world: World) -> None:
    """It says at each login that it knows none before: prekeys are published once a minute at most."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "hello")
    world.run(1.0)
    import msgspec

    from callbox.server.events import SendTo, ServerEffect
    from callbox.wire.codec import decode_server_message, encode_message
    from callbox.wire.signals import Welcome

    def lie(effect: ServerEffect) -> list[ServerEffect]:
        if isinstance(effect, SendTo):
            message = decode_server_message(effect.data)
            if isinstance(message, Welcome):
                forgot = msgspec.structs.replace(message, known_epoch=0)
                return [SendTo(effect.connection, encode_message(forgot))]
        return [effect]

    world.server.twist = lie
    for _ in range(10):
        world.network.cut("kitchen")
        world.run(0.3)
        world.network.restore("kitchen")
        world.until(lambda: kitchen.box.core.link.up, 40.0, "back")
        world.run(1.0)
    assert len([line for line in kitchen.logged if "restored from a backup" in line]) <= 3
    write(kitchen, "workshop", "still")
    world.run(2.0)
    assert texts(workshop, "kitchen") == ["hello", "still"]


# --- a box that was restored ----------------------------------------------------------------------------------------


def test_a_lost_box_comes_back_from_its_backup(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    write(workshop, "kitchen", "before")
    world.run(1.0)
    number = workshop.ask("number", contact="kitchen")["number"]
    workshop.ask("verify", contact="kitchen", number=number)
    data = back_up(kitchen, with_messages=True)
    kitchen.kill()
    lost = write(workshop, "kitchen", "while it was lost")
    world.run(1.0)
    new = restore_box(world, "new kitchen", data)
    world.run(5.0)
    assert texts(new, "workshop") == ["before", "while it was lost"]
    assert mark_of(workshop, lost) == "delivered"
    assert workshop.ask("number", contact="kitchen")["verified"]
    assert not workshop.ask("number", contact="kitchen")["changed"]
    workshop.press("dial1")
    world.until(lambda: new.state == "ringing", 1.0, "it rings")
    world.run(RING_GUARD_S)
    new.press("talk")
    both_hear(world, new, workshop)
    workshop.press("talk")
    all_idle(world, new, workshop)
    kitchen.start()
    world.run(3.0)
    assert not kitchen.box.core.link.up
    assert any("removed from its account" in line for line in kitchen.logged)


def test_what_a_backup_holds(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(workshop, "kitchen", "hello")
    world.run(1.0)
    kitchen.ask("quiet hours", span="22:00-07:00")
    without, with_messages = read_backup(back_up(kitchen), PASSPHRASE), read_backup(back_up(kitchen, True), PASSPHRASE)
    assert not without.items
    assert [item.contact for item in with_messages.items] == ["workshop"]
    assert [contact.name for contact in without.contacts] == ["workshop"]
    assert without.controls.quiet
    assert without.consents
    assert b"hello" not in back_up(kitchen, True)
    assert without.account_seed not in back_up(kitchen)


@pytest.mark.parametrize("place", [0, 5, 20, 40, 200, -1, -40])
def test_a_damaged_backup_or_a_wrong_passphrase_opens_nothing(world: World, place: int) -> None:
    kitchen = world.box("kitchen")
    data = bytearray(back_up(kitchen))
    with pytest.raises(CallboxError, match="cannot be opened"):
        read_backup(bytes(data), "another passphrase")
    data[place] ^= 1
    for broken in (bytes(data), bytes(data[:place]), b""):
        with pytest.raises(CallboxError, match="cannot be opened"):
            read_backup(broken, PASSPHRASE)


def test_a_restore_before_the_server_is_there_is_told_to_it_later(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    data = back_up(kitchen)
    kitchen.kill()
    world.server.kill()
    new = SimulatedBox(world, "new kitchen", "breadboard", 1111.0)
    _, writes = restored(read_backup(data, PASSPHRASE), world.chance, world.wall_ms)
    new.store.commit(writes)
    world.boxes["new kitchen"] = new
    new.start()
    world.run(1.0)
    new.kill()  # as often as it likes
    new.start()
    world.run(1.0)
    world.server.start()
    world.run(40.0)
    assert [entry["revoked"] for entry in new.ask("devices")["devices"]].count(True) == 1
    sent = write(workshop, "kitchen", "hello")
    world.run(2.0)
    assert mark_of(workshop, sent) == "delivered"


def test_a_copied_card_is_noticed_told_and_heals(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "one")
    world.run(1.0)
    card = copy.deepcopy(kitchen.store)
    for text in ("two", "three"):
        write(kitchen, "workshop", text)
        write(workshop, "kitchen", f"re {text}")
    world.run(2.0)
    for _ in range(2):
        kitchen.kill()
        kitchen.start()
        world.run(1.0)
    kitchen.kill()
    kitchen.store = card
    kitchen.logged.clear()
    kitchen.start()
    world.run(10.0)
    assert any("set back" in line for line in kitchen.logged)
    assert any("set back" in told["text"] for told in kitchen.ask("status")["told"])
    sent, back = write(kitchen, "workshop", "four"), write(workshop, "kitchen", "five")
    world.run(200.0)
    assert mark_of(kitchen, sent) == mark_of(workshop, back) == "delivered"
    assert texts(workshop, "kitchen").count("four") == 1
    assert texts(kitchen, "workshop").count("five") == 1
    talk(world, kitchen, workshop)


# --- a box that is lost without a backup ------------------------------------------------------------------------------


def replace(world: World, name: str) -> SimulatedBox:
    """Join with an invite that replaces a lost box, as `callbox server invite NAME --replace` prints it."""
    world.boxes[name].kill()
    token, kept = new_invite(name, world.chance, world.wall_ms, 7, replaces=True)
    world.server.store.apply([PutInvite(kept)])
    new = SimulatedBox(world, name, "breadboard", 1234.0)
    new.join(Invite(SERVER, name, token, world.server._server_id.hex()))
    world.boxes[f"new {name}"] = new
    new.start()
    world.until(lambda: new.box.core.link.up, 5.0, "the new box connects")
    return new


def test_contacts_of_a_replaced_box_hear_so_and_confirm_it(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    kitchen.stop()
    late = write(workshop, "kitchen", "while it was away")
    world.run(1.0)
    new = replace(world, "kitchen")
    new.ask("allow", contact="workshop", row="ring")
    new.ask("synced")
    world.run(1.0)
    sent = write(workshop, "kitchen", "is that you?")
    world.run(3.0)
    assert any("has a new box" in line for line in workshop.logged)
    assert mark_of(workshop, sent) == mark_of(workshop, late) == "sent", "marks of an unconfirmed key count for nothing"
    assert texts(new, "workshop") == ["while it was away", "is that you?"]
    assert not workshop.ask("call", contact="kitchen")["ok"]
    new.press("dial1")
    world.run(5.0)
    assert workshop.state == "idle"
    number = workshop.ask("number", contact="kitchen")["number"]
    assert number == new.ask("number", contact="workshop")["number"]
    workshop.ask("verify", contact="kitchen", number=number)
    world.run(60.0)
    workshop.press("dial1")
    world.until(lambda: new.state == "ringing", 2.0, "it rings")
    world.run(RING_GUARD_S)
    new.press("talk")
    both_hear(world, new, workshop)


def test_text_to_a_compared_contact_waits_for_the_confirmation(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "hello")
    world.run(1.0)
    number = workshop.ask("number", contact="kitchen")["number"]
    workshop.ask("verify", contact="kitchen", number=number)
    kitchen.stop()
    sent = write(workshop, "kitchen", "for your eyes")
    new = replace(world, "kitchen")
    new.ask("allow", contact="workshop", row="ring")
    write(new, "workshop", "it is me")
    world.run(3.0)
    assert texts(new, "workshop") == ["it is me"]
    assert mark_of(workshop, sent) != "delivered"
    number = workshop.ask("number", contact="kitchen")["number"]
    workshop.ask("verify", contact="kitchen", number=number)
    world.run(130.0)
    assert mark_of(workshop, sent) == "delivered"
    assert sorted(texts(new, "workshop")) == ["for your eyes", "it is me"]


def test_a_replaced_box_is_out_and_its_key_counts_no_more(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "hello")
    world.run(1.0)
    new = replace(world, "kitchen")
    world.run(1.0)
    kitchen.start()
    world.run(3.0)
    assert not kitchen.box.core.link.up
    assert new.box.core.link.up
    assert any("removed from its account" in line for line in kitchen.logged)


def test_whom_a_lost_box_had_blocked_stays_blocked(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    attic = world.box("attic")
    kitchen.ask("block", contact="attic")
    kitchen.ask("synced")
    replace(world, "kitchen")
    assert dict(world.server.core._desk.rows.all_of("kitchen")) in (  # type: ignore[union-attr]
        {"workshop": "request", "attic": "blocked"},
        {"attic": "blocked"},
    )
    assert attic.on
    assert workshop.on


def test_an_invite_that_replaces_is_good_for_nobody_new_and_a_plain_one_replaces_nobody(world: World) -> None:
    world.box("kitchen")
    token, kept = new_invite("nobody", world.chance, world.wall_ms, 7, replaces=True)
    world.server.store.apply([PutInvite(kept)])
    box = SimulatedBox(world, "nobody", "breadboard", 1234.0)
    with pytest.raises(CallboxError, match="belongs to another"):
        box.join(Invite(SERVER, "nobody", token, world.server._server_id.hex()))
    other = SimulatedBox(world, "kitchen", "breadboard", 1234.0)
    with pytest.raises(CallboxError, match="belongs to another"):
        other.join(world.server.invite("kitchen"))
    assert Identity is not None
