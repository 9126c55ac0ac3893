"""A server that lies about the devices of an account: adds, revives, withholds, swaps, wants to be linked itself."""

import msgspec

from callbox.base.chance import SeededChance
from callbox.crypto.identity import Candidate, Identity
from callbox.crypto.linking import link_numbers
from callbox.server.events import SendTo, ServerEffect
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.bodies import OwnMarks, OwnRecord, OwnRecords, OwnText
from callbox.wire.cards import parse_invite
from callbox.wire.codec import decode_record, decode_server_message, encode_message, encode_record
from callbox.wire.records import SignedRecord
from callbox.wire.signals import DevicePrekey, Devices, LinkAnswered, LinkAsked, Linked, ServerMessage
from scenarios.lies import LyingServer, Puppet, prekey_of

ANY = bytes(64)


class Between:
    """Changes what the server says to whomever it says it to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.said: list[ServerMessage] = []
        world.server.twist = self._twisted

    def change(self, message: ServerMessage) -> ServerMessage | None:
        return message

    def _twisted(self, effect: ServerEffect) -> list[ServerEffect]:
        if not isinstance(effect, SendTo):
            return [effect]
        message = decode_server_message(effect.data)
        self.said.append(message)
        changed = self.change(message)
        return [] if changed is None else [SendTo(effect.connection, encode_message(changed))]


def devices_of(box: SimulatedBox, account: str) -> set[str]:
    return {record.device for record in box.box.directory.devices(account)}


def id_of(box: SimulatedBox) -> str:
    return box.box.core.identity.device


def family(world: World) -> tuple[SimulatedBox, SimulatedBox, SimulatedBox]:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    workshop.ask("message", contact="kitchen", text="hello")
    kitchen.ask("message", contact="workshop", text="hello")
    world.run(2.0)
    return kitchen, hall, workshop


def test_a_device_that_the_account_did_not_sign_is_nobodys(world: World) -> None:
    kitchen, hall, workshop = family(world)
    puppet = Puppet("kitchen")
    own = decode_record(kitchen.box.core.identity.record.record)
    mine = decode_record(puppet.identity.record.record)
    forged = encode_record(msgspec.structs.replace(mine, account_key=own.account_key))
    lies = (
        puppet.identity.record,  # another account key
        SignedRecord(forged, puppet.identity.record.by_account, puppet.identity.record.by_device),
        SignedRecord(forged, ANY, ANY),
        SignedRecord(encode_record(msgspec.structs.replace(mine, account_key=own.account_key, revoked=True)), ANY, ANY),
    )
    between = Between(world)

    def adding(message: ServerMessage) -> ServerMessage:
        if isinstance(message, Devices) and message.account == "kitchen":
            entries = (*message.devices, *(DevicePrekey(lie, None) for lie in lies))
            return msgspec.structs.replace(message, devices=entries)
        return message

    between.change = adding  # type: ignore[method-assign]
    for box in (kitchen, hall, workshop):
        box.box.directory.changed("kitchen")
        box.box.own.devices.look()
    workshop.ask("message", contact="kitchen", text="again")
    hall.ask("message", contact="workshop", text="again")
    world.run(3.0)
    assert devices_of(workshop, "kitchen") == {id_of(kitchen), id_of(hall)}
    assert devices_of(kitchen, "kitchen") == {id_of(hall)}
    assert devices_of(hall, "kitchen") == {id_of(kitchen)}
    assert len(kitchen.ask("devices")["devices"]) == 2


def test_an_older_record_does_not_revive_a_revoked_device(world: World) -> None:
    kitchen, hall, workshop = family(world)
    alive = hall.box.core.identity.record
    gone = id_of(hall)
    kitchen.ask("revoke", device=gone)
    world.run(3.0)
    assert gone not in devices_of(workshop, "kitchen")
    between = Between(world)

    def reviving(message: ServerMessage) -> ServerMessage:
        if isinstance(message, Devices) and message.account == "kitchen":
            kept = [entry for entry in message.devices if entry.record.record != alive.record]
            others = [entry for entry in kept if decode_record(entry.record.record).device != gone]
            return msgspec.structs.replace(message, devices=(*others, DevicePrekey(alive, None)))
        return message

    between.change = reviving  # type: ignore[method-assign]
    for box in (kitchen, workshop):
        box.box.directory.changed("kitchen")
        box.box.own.devices.look()
    workshop.ask("message", contact="kitchen", text="not for the hall")
    world.run(3.0)
    assert gone not in devices_of(workshop, "kitchen")
    assert [entry["revoked"] for entry in kitchen.ask("devices")["devices"]] == [False, True]


def test_a_withheld_revocation_comes_sealed_to_who_wrote_to_us(world: World) -> None:
    """The server says nothing of it; it would have to withhold all mail of the kitchen to keep it from the workshop."""
    kitchen, hall, workshop = family(world)
    gone = id_of(hall)
    between = Between(world)

    def withholding(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, Devices) and message.account == "kitchen":
            shown = [entry for entry in message.devices if not decode_record(entry.record.record).revoked]
            return msgspec.structs.replace(message, devices=tuple(shown))
        return None if type(message).__name__ == "DevicesChanged" else message

    between.change = withholding  # type: ignore[method-assign]
    kitchen.ask("revoke", device=gone)
    world.run(3.0)
    assert gone not in devices_of(workshop, "kitchen")


def test_a_stranger_with_the_invite_shows_other_numbers(world: World) -> None:
    """Whoever saw the invite may be faster than the new box; the numbers on both then differ, and nothing is signed."""
    kitchen, _ = world.friends("kitchen", "workshop")
    line = str(kitchen.ask("link")["invite"])
    thief, hall = (SimulatedBox(world, name, "breadboard", 999.0) for name in ("thief", "hall"))
    thief.ask_to_link(line)
    shown = str(kitchen.ask("link wait")["numbers"])
    honest = hall.ask_to_link(line)
    world.run(2.0)
    assert hall.link_numbers == []
    assert "another device came with it" in str(honest.outcome)
    kitchen.ask("link refuse")
    world.run(1.0)
    assert thief.link_numbers == [shown]
    assert len(kitchen.ask("devices")["devices"]) == 1


def test_a_server_in_the_middle_of_a_link_cannot_make_the_numbers_agree(world: World) -> None:
    """It shows the old box a record of its own, and the new one the nonce that came back."""
    kitchen, _ = world.friends("kitchen", "workshop")
    line = str(kitchen.ask("link")["invite"])
    account_key = parse_invite(line).account_key
    puppet = Candidate.create("kitchen", account_key, SeededChance("puppet"), 0)
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    between = Between(world)

    def swapping(message: ServerMessage) -> ServerMessage:
        if isinstance(message, LinkAsked):
            return LinkAsked(message.token, puppet.record, puppet.by_device)
        return message

    between.change = swapping  # type: ignore[method-assign]
    hall.ask_to_link(line)
    shown = str(kitchen.ask("link wait")["numbers"])
    world.run(1.0)
    nonce = next(message.nonce for message in between.said if isinstance(message, LinkAnswered))
    assert shown == link_numbers(account_key, puppet.record, nonce)
    assert hall.link_numbers not in ([], [shown])


def test_another_nonce_than_the_invites_links_nothing(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    line = str(kitchen.ask("link")["invite"])
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    between = Between(world)
    between.change = lambda message: (  # type: ignore[method-assign]
        LinkAnswered(bytes(32)) if isinstance(message, LinkAnswered) else message
    )
    linking = hall.ask_to_link(line)
    world.until(lambda: linking.outcome is not None, 5.0, "it notices")
    assert "Somebody else answered" in str(linking.outcome)
    assert hall.link_numbers == []


def test_a_record_that_the_account_did_not_sign_links_nothing(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    line = str(kitchen.ask("link")["invite"])
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    other = Identity.create("kitchen", SeededChance("other"), 0)
    between = Between(world)

    def signing(message: ServerMessage) -> ServerMessage:
        if isinstance(message, LinkAnswered):
            asked = next(said for said in between.said if isinstance(said, LinkAsked))
            return Linked(SignedRecord(asked.record, other.sign_device(asked.record, ANY).by_account, asked.by_device))
        return message

    between.change = signing  # type: ignore[method-assign]
    linking = hall.ask_to_link(line)
    world.until(lambda: linking.outcome is not None, 5.0, "it notices")
    assert "Somebody else answered" in str(linking.outcome)


def test_letters_for_own_devices_from_anybody_else_change_nothing(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    puppet = Puppet("mallory")

    def knowing(box: str, message: ServerMessage) -> list[ServerMessage]:
        from callbox.wire.signals import Denied

        if isinstance(message, Denied) and message.why == "no-such-account":
            return [Devices(message.request, "mallory", (puppet.entry(),))]
        return [message]

    liar.lie = knowing
    from callbox.wire.signals import Deliver

    key = prekey_of(kitchen)
    bodies = (
        OwnRecords((OwnRecord("contact/mallory/permission", msgspec.msgpack.encode("ring"), 2**40, "f" * 16),)),
        OwnText(bytes(16), "workshop", "I never wrote this"),
        OwnMarks((bytes(16),), "heard"),
    )
    for body in bodies:
        liar.tell(kitchen, Deliver(puppet.seal(kitchen, "mail", body, key)))
        key = None  # type: ignore[assignment]
        world.run(1.0)
    assert [contact["name"] for contact in kitchen.ask("contacts")["contacts"]] == ["workshop"]
    assert kitchen.thread("workshop") == []
    assert workshop.on
