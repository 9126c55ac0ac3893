"""What a box keeps: seen, taken along, deleted, erased; here, at the server, and under a server that lies."""

import base64
from collections.abc import Iterable
from typing import Any

import pytest

from callbox.conversations.stores import StoreFault
from callbox.testing.box import SimulatedBox
from callbox.testing.world import WALL_START_MS, World
from callbox.wire.signals import Erased, ServerMessage
from scenarios.lies import LyingServer

DAY_MS = 24 * 3600 * 1000


def texts(box: SimulatedBox, contact: str) -> list[str]:
    return [item["text"] for item in box.thread(contact) if item["kind"] == "text"]


def held(box: SimulatedBox) -> dict[str, int]:
    return {row["what"]: row["count"] for row in box.ask("privacy")["held"]}


@pytest.fixture
def pair(world: World) -> tuple[SimulatedBox, SimulatedBox]:
    """Return two friends with a line of a call and some texts."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("calls", on=False)
    kitchen.ask("call", contact="workshop")  # refused by the server: a line, without the cost of a call
    workshop.ask("calls", on=True)
    for number in range(3):
        kitchen.ask("message", contact="workshop", text=f"text {number}")
    workshop.ask("message", contact="kitchen", text="answer")
    world.run(1.0)
    return kitchen, workshop


def test_privacy_counts_what_is_there(pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, _ = pair
    counts = held(kitchen)
    assert (counts["text messages"], counts["voice messages"], counts["lines of calls"]) == (4, 0, 1)
    assert counts["contacts and requests"] == counts["devices of others, with keys"] == 1
    assert counts["letters on their way"] == 0
    facts = kitchen.ask("privacy")
    assert [(contact["name"], contact["permission"]) for contact in facts["contacts"]] == [("workshop", "ring")]
    assert [device["this"] for device in facts["devices"]] == [True]
    assert [(line["name"], line["what"]) for line in facts["consents"]] == [("workshop", "ring")]


def test_an_export_holds_every_line_and_no_key(pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, _ = pair
    exported = kitchen.ask("export")
    assert [item["kind"] for item in exported["items"]] == ["call", "text", "text", "text", "text"]
    identity = kitchen.box.core.identity
    assert identity.account_seed.hex() not in repr(exported)
    assert identity.account_public.hex() not in repr(exported)


def test_things_go_when_their_days_are_over(
    world: World, pair: tuple[SimulatedBox, SimulatedBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen, _ = pair
    for days, left in ((29, (4, 1)), (31, (4, 0)), (89, (4, 0)), (91, (0, 0))):
        kitchen.kill()
        monkeypatch.setattr("callbox.testing.world.WALL_START_MS", WALL_START_MS + days * DAY_MS)
        kitchen.start()
        world.run(1.0)
        kitchen.box.records._retention_at = None  # it looks again after a minute, for the server knows the date
        kitchen.ask("status")
        counts = held(kitchen)
        assert (counts["text messages"], counts["lines of calls"]) == left


# --- deleting ---------------------------------------------------------------------------------------------------


def test_a_deleted_line_is_gone_here_and_stays_there(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    newest = kitchen.thread("workshop")[-1]
    assert kitchen.ask("delete", id=newest["id"]) == {"ok": True, "deleted": 1}
    assert kitchen.ask("delete", contact="workshop", last=1)["deleted"] == 1
    kitchen.kill()
    kitchen.start()
    world.run(1.0)
    assert texts(kitchen, "workshop") == ["text 0", "text 1"]
    assert len(texts(workshop, "kitchen")) == 4


def test_a_whole_conversation_goes_and_may_begin_anew(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    assert kitchen.ask("delete", contact="workshop", all=True)["deleted"] == 5
    assert kitchen.thread("workshop") == []
    workshop.ask("message", contact="kitchen", text="still there?")
    world.run(1.0)
    assert texts(kitchen, "workshop") == ["still there?"]


def test_a_text_that_has_not_left_is_never_sent(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    world.network.cut("kitchen")
    world.run(1.0)
    kitchen.ask("message", contact="workshop", text="in anger")
    kitchen.ask("delete", contact="workshop", last=1)
    world.network.restore("kitchen")
    world.run(40.0)
    assert "in anger" not in texts(workshop, "kitchen")


@pytest.mark.parametrize("words", [{"id": "zz"}, {"id": "00" * 16}, {"contact": "nobody", "last": 1}])
def test_what_is_not_there_is_told(pair: tuple[SimulatedBox, SimulatedBox], words: dict[str, Any]) -> None:
    kitchen, _ = pair
    reply = kitchen.ask("delete", **words)
    assert not reply["ok"]
    assert reply["error"]
    assert held(kitchen)["text messages"] == 4


@pytest.mark.parametrize("what", ["delete", "erase contact"])
def test_on_a_full_card_nothing_is_said_to_be_gone_that_is_not(
    world: World, pair: tuple[SimulatedBox, SimulatedBox], what: str
) -> None:
    kitchen, _ = pair
    store: Any = kitchen.store
    store.fail_with = StoreFault("full", "There is no room left on the card.", "Free some space.")
    reply = kitchen.ask(what, contact="workshop", all=True)
    assert not reply["ok"]
    assert "not stored yet" in reply["error"]
    assert "no room left" in reply["error"]
    assert len(kitchen.store.items()) == 5, "all or nothing"
    store.fail_with = None
    world.run(70.0)
    assert kitchen.store.items() == [], "it is done as soon as there is room"


# --- erasing a contact ------------------------------------------------------------------------------------------


def test_an_erased_contact_is_a_stranger_who_may_ask_again(
    world: World, pair: tuple[SimulatedBox, SimulatedBox]
) -> None:
    kitchen, workshop = pair
    reply = kitchen.ask("erase contact", contact="workshop")
    assert (reply["ok"], reply["lines"]) == (True, 5)
    assert kitchen.ask("forgotten")["ok"]
    facts = kitchen.ask("privacy")
    assert facts["contacts"] == facts["consents"] == []
    assert held(kitchen)["devices of others, with keys"] == 0
    assert "workshop" not in repr(kitchen.store.load("contacts")) + repr(kitchen.store.load("consents"))
    assert not kitchen.store.items()
    assert not kitchen.store.load("forgotten")
    assert not [row for row in world.server.store.open().rows if row[0] == "kitchen"]
    refused = workshop.ask("call", contact="kitchen")
    assert refused["reason"] == "not_allowed"
    assert not kitchen.hears_sound()
    workshop.ask("message", contact="kitchen", text="who are you?")
    world.run(2.0)
    assert kitchen.ask("contacts")["contacts"][0]["permission"] == "request"


def test_a_call_with_an_erased_contact_ends(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    world.call(kitchen, workshop)
    kitchen.ask("erase contact", contact="workshop")
    world.until(lambda: kitchen.state == workshop.state == "idle", 3.0)
    world.run(1.0)
    assert kitchen.thread("workshop") == [] or [item["kind"] for item in kitchen.thread("workshop")] == ["call"]


def test_offline_the_server_hears_of_it_later(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, _ = pair
    world.network.cut("kitchen")
    world.run(60.0)
    assert kitchen.ask("erase contact", contact="workshop")["ok"]
    assert not kitchen.ask("forgotten")["ok"]
    kitchen.kill()
    world.network.restore("kitchen")
    kitchen.start()
    world.until(lambda: not kitchen.store.load("forgotten"), 60.0)
    assert not [row for row in world.server.store.open().rows if row[0] == "kitchen"]


def test_who_is_allowed_again_meanwhile_keeps_that(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    world.network.cut("kitchen")
    world.run(1.0)
    kitchen.ask("erase contact", contact="workshop")
    kitchen.ask("allow", contact="workshop", row="ring")
    world.network.restore("kitchen")
    world.until(lambda: kitchen.box.core.link.up, 60.0)
    world.run(1.0)
    assert not kitchen.store.load("forgotten")
    assert workshop.ask("call", contact="kitchen")["ok"]


def test_what_one_box_erases_goes_on_the_other_one_too(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    hall = world.second(kitchen, "hall")
    world.run(5.0)
    workshop.ask("message", contact="kitchen", text="for both of you")
    world.run(2.0)
    assert texts(hall, "workshop") == ["for both of you"]
    assert [device["this"] for device in hall.ask("privacy")["devices"]] == [False, True]
    kitchen.ask("erase contact", contact="workshop")
    world.until(lambda: hall.ask("contacts")["contacts"] == [], 30.0)
    world.run(1.0)
    for box in (kitchen, hall):
        assert box.thread("workshop") == []
        assert box.ask("privacy")["consents"] == []
        world.until(lambda box=box: "workshop" not in everything(box), 5.0, "no name is left")  # type: ignore[misc]
    assert workshop.ask("call", contact="kitchen")["reason"] == "not_allowed"
    kitchen.ask("allow", contact="workshop", row="ring")
    world.until(lambda: len(hall.ask("contacts")["contacts"]) == 1, 30.0, "a later decision counts")


def test_a_box_that_was_off_hears_of_an_erased_contact_and_does_not_bring_it_back(
    world: World, pair: tuple[SimulatedBox, SimulatedBox]
) -> None:
    kitchen, _ = pair
    hall = world.second(kitchen, "hall")
    world.run(5.0)
    hall.ask("silence", contact="workshop", on=True)
    world.run(0.005)
    hall.kill()
    kitchen.ask("erase contact", contact="workshop")
    kitchen.kill()
    kitchen.start()
    world.run(5.0)
    hall.start()
    world.until(lambda: hall.ask("contacts")["contacts"] == [], 30.0, "the hall has heard")
    world.run(5.0)
    assert kitchen.ask("contacts")["contacts"] == []
    for box in (kitchen, hall):
        assert "workshop" not in everything(box)


def everything(box: SimulatedBox) -> str:
    """Return all that a box has stored, but what concerns letters that are still on their way."""
    store = box.store
    return repr([store._tables, store.items()])


def test_a_linked_box_erases_itself_alone(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    hall = world.second(kitchen, "hall")
    world.run(5.0)
    reply = hall.ask("erase")
    assert reply["doubt"] == ""
    assert f"device: {hall.box.core.identity.device}\n" in reply["statement"]
    hall.kill()
    snapshot = world.server.store.open()
    assert {account.name for account in snapshot.accounts} == {"kitchen", "workshop"}
    assert [device.device for device in snapshot.devices if device.account == "kitchen"] == [
        kitchen.box.core.identity.device
    ]
    world.call(workshop, kitchen)


# --- voice messages -----------------------------------------------------------------------------------------------


def test_voice_messages_are_counted_handed_out_and_erased(
    world: World, pair: tuple[SimulatedBox, SimulatedBox]
) -> None:
    kitchen, workshop = pair
    world.run(4.0)  # the refused call is told and over
    kitchen.hold("dial1")
    world.until(lambda: kitchen.light("live"), 4.0, "it records")
    world.run(1.5)
    kitchen.release("dial1")
    world.until(lambda: any(item["kind"] == "voice" for item in workshop.thread("kitchen")), 10.0)
    world.run(3.0)
    for box in (kitchen, workshop):
        assert held(box)["voice messages"] == 1
        (voice,) = [item for item in box.ask("export")["items"] if item["kind"] == "voice"]
        sound = base64.b64decode(box.ask("sound", id=voice["id"])["sound"])
        assert sound.startswith(b"OggS")
        stored = bytes.fromhex(voice["id"])
        assert box.store.sound(stored)
        if box is workshop:
            box.ask("delete", id=voice["id"])
        else:
            box.ask("erase contact", contact="workshop")
        world.run(0.5)
        assert box.store.sound(stored) == b""


# --- erasing the account ----------------------------------------------------------------------------------------


def test_the_account_is_erased_and_the_receipt_is_good(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, workshop = pair
    reply = kitchen.ask("erase")
    assert reply["ok"]
    assert reply["doubt"] == ""
    assert "account: kitchen\n" in reply["statement"]
    assert [account.name for account in world.server.store.open().accounts] == ["workshop"]
    workshop.ask("call", contact="kitchen")
    world.run(50.0)
    assert workshop.state == "idle"


def test_offline_nothing_is_erased(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, _ = pair
    world.network.cut("kitchen")
    world.run(60.0)
    reply = kitchen.ask("erase")
    assert (reply["ok"], reply["unreachable"]) == (False, True)
    assert held(kitchen)["text messages"] == 4
    world.network.restore("kitchen")
    world.until(lambda: kitchen.box.core.link.up, 60.0)
    assert kitchen.ask("erase")["ok"]


def test_a_server_that_dies_meanwhile_is_asked_again(world: World, pair: tuple[SimulatedBox, SimulatedBox]) -> None:
    kitchen, _ = pair
    ask = kitchen.ask_later("erase")
    world.server.kill()
    world.run(1.0)
    world.server.start()
    world.until(lambda: bool(kitchen.replies[ask]), 15.0)
    assert kitchen.replies[ask][-1]["doubt"] == ""


@pytest.mark.parametrize("lie", ["no proof", "more than was signed", "another time", "another account"])
def test_a_receipt_that_proves_nothing_is_told(world: World, pair: tuple[SimulatedBox, SimulatedBox], lie: str) -> None:
    kitchen, workshop = pair
    receipts: list[Erased] = []
    liar = LyingServer(world)

    def twisted(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if isinstance(message, Erased):
            receipts.append(message)
            last = receipts[0]
            yield {
                "no proof": Erased(message.request, message.statement, b""),
                "more than was signed": Erased(message.request, message.statement + "and: more\n", message.proof),
                "another time": message,
                "another account": Erased(message.request, last.statement, last.proof),
            }[lie]
        else:
            yield message

    liar.lie = twisted
    for box in (kitchen, workshop):  # each has to have come by, so that the liar knows it
        box.kill()
        box.start()
    world.until(lambda: kitchen.box.core.link.up and workshop.box.core.link.up, 5.0)
    if lie == "another account":
        workshop.ask("erase")
    reply = kitchen.ask("erase")
    assert reply["ok"]
    assert bool(reply["doubt"]) == (lie != "another time")
