"""Several boxes of one account: linking, ringing all, agreeing, giving one up."""

import pytest

from callbox.base.errors import CallboxError
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import RING_GUARD_S, all_idle, both_hear, mark_of


def texts(box: SimulatedBox, contact: str) -> list[tuple[str, bool]]:
    return [(item["text"], item["outgoing"]) for item in box.thread(contact) if item["kind"] == "text"]


def family(world: World) -> tuple[SimulatedBox, SimulatedBox, SimulatedBox]:
    """Return two boxes of one account, kitchen and hall, and their friend workshop."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    return kitchen, world.second(kitchen, "hall"), workshop


def agree(world: World, *boxes: SimulatedBox) -> None:
    world.until(lambda: len({box.box.own.agreeing._agreement.digest() for box in boxes}) == 1, 10.0, "they agree")
    assert len({str(box.ask("contacts")["contacts"]) for box in boxes}) == 1
    assert len({str(box.box.people.controls) for box in boxes}) == 1


def test_a_second_box_knows_everybody(world: World) -> None:
    kitchen, hall, _ = family(world)
    agree(world, kitchen, hall)
    assert [contact["name"] for contact in hall.ask("contacts")["contacts"]] == ["workshop"]
    listed = kitchen.ask("devices")
    assert [device["this"] for device in listed["devices"]] == [True, False]
    assert listed["holds_key"]
    assert not hall.ask("devices")["holds_key"]
    assert len(hall.ask("devices")["devices"]) == 2


@pytest.mark.parametrize("after_ms", [3, 5, 6, 8, 11, 14])
def test_what_was_heard_is_known_on_all_also_after_a_crash(world: World, after_ms: int) -> None:
    kitchen, hall, workshop = family(world)
    for number in range(4):
        workshop.ask("message", contact="kitchen", text=f"{number}")
    world.run(2.0)
    hall.stop()
    kitchen.ask_later("messages", contact=None, last=9, read=True)
    world.run(after_ms / 1000)
    kitchen.kill()
    kitchen.start()
    world.run(3.0)
    hall.start()
    world.run(5.0)
    assert hall.box.post.unread == kitchen.box.post.unread
    assert hall.box.post.unread in (0, 4)


def test_a_third_box_knows_everybody_too(world: World) -> None:
    kitchen, hall, workshop = family(world)
    kitchen.ask("silence", contact="workshop", on=True)
    attic = world.second(kitchen, "attic")
    agree(world, kitchen, hall, attic)
    attic.ask("silence", contact="workshop", on=False)
    hall.ask("message", contact="workshop", text="from the hall")
    world.run(2.0)
    agree(world, kitchen, hall, attic)
    assert texts(attic, "workshop") == texts(kitchen, "workshop") == [("from the hall", True)]
    workshop.press("dial1")
    world.until(lambda: kitchen.state == hall.state == attic.state == "ringing", 1.0, "all ring")
    world.run(RING_GUARD_S)
    attic.press("talk")
    assert world.until(lambda: kitchen.state == hall.state == "idle", 1.0, "the others are still") <= 0.3


def test_a_call_rings_everywhere_and_an_answer_stops_the_rest_at_once(world: World) -> None:
    kitchen, hall, workshop = family(world)
    workshop.press("dial1")
    world.until(lambda: kitchen.state == hall.state == "ringing", 1.0, "both ring")
    world.run(RING_GUARD_S)
    hall.press("talk")
    took_s = world.until(lambda: kitchen.state == "idle", 1.0, "the kitchen is still")
    assert took_s <= 0.3
    both_hear(world, hall, workshop)
    assert not kitchen.light("message")
    workshop.press("talk")
    all_idle(world, kitchen, hall, workshop)
    world.run(2.0)
    assert hall.call_lines("workshop") == [("hung_up", True)]
    assert kitchen.call_lines("workshop") in ([("hung_up", True)], [("answered_elsewhere", False)])
    assert kitchen.box.post.unread == hall.box.post.unread == 0


def test_a_call_that_is_declined_on_one_is_over_on_all(world: World) -> None:
    kitchen, hall, workshop = family(world)
    workshop.press("dial1")
    world.until(lambda: kitchen.state == hall.state == "ringing", 1.0, "both ring")
    world.run(RING_GUARD_S)
    kitchen.press("calls")
    assert world.until(lambda: hall.state == "idle", 1.0, "the hall is still") <= 0.3
    all_idle(world, kitchen, hall, workshop)
    world.run(2.0)
    assert workshop.call_lines("kitchen") == [("declined", False)]
    assert hall.box.post.unread == kitchen.box.post.unread == 0


def test_a_call_that_one_answered_is_not_missed_on_the_one_that_was_off(world: World) -> None:
    kitchen, hall, workshop = family(world)
    kitchen.stop()
    world.run(1.0)
    workshop.press("dial1")
    world.until(lambda: hall.state == "ringing", 1.0, "the hall rings")
    world.run(RING_GUARD_S)
    hall.press("talk")
    both_hear(world, hall, workshop)
    hall.press("talk")
    all_idle(world, hall, workshop)
    kitchen.start()
    world.run(5.0)
    assert kitchen.box.post.unread == 0
    assert kitchen.call_lines("workshop") == [("hung_up", True)]


def test_a_call_that_nobody_took_is_missed_once_wherever_it_is_heard(world: World) -> None:
    kitchen, hall, workshop = family(world)
    workshop.press("dial1")
    world.until(lambda: kitchen.state == hall.state == "ringing", 1.0, "both ring")
    world.until(lambda: kitchen.state == hall.state == workshop.state == "idle", 60.0, "it is over")
    world.run(3.0)
    assert kitchen.box.post.unread == hall.box.post.unread == 1
    kitchen.ask("messages", contact=None, last=5, read=True)
    world.until(lambda: hall.box.post.unread == 0, 3.0, "the hall knows")


def test_texts_come_to_all_and_own_ones_are_on_all(world: World) -> None:
    kitchen, hall, workshop = family(world)
    workshop.ask("message", contact="kitchen", text="tea?")
    world.run(2.0)
    sent = hall.ask("message", contact="workshop", text="yes!")["id"]
    world.run(2.0)
    assert texts(kitchen, "workshop") == texts(hall, "workshop") == [("tea?", False), ("yes!", True)]
    assert texts(workshop, "kitchen") == [("tea?", True), ("yes!", False)]
    assert mark_of(hall, sent) == mark_of(kitchen, sent) == "delivered"
    workshop.ask("messages", contact=None, last=9, read=True)
    world.until(lambda: mark_of(kitchen, sent) == mark_of(hall, sent) == "heard", 3.0, "both know")


def test_a_text_that_was_refused_says_so_on_all_boxes_of_its_writer(world: World) -> None:
    attic, _ = world.box("attic"), world.box("workshop")
    loft = world.second(attic, "loft")
    attic.ask("allow", contact="workshop", row="ring")
    for text in ("It is me, the new neighbour.", "Are you there?"):  # a stranger has one request
        attic.ask("message", contact="workshop", text=text)
        world.run(2.0)
    for box in (attic, loft):
        marks = [(item["state"], item["problem"]) for item in box.thread("workshop") if item["kind"] == "text"]
        assert marks[1] == ("unsent", "not-allowed"), box.name


def test_what_was_heard_on_one_blinks_on_none(world: World) -> None:
    kitchen, hall, workshop = family(world)
    hall.stop()
    workshop.ask("message", contact="kitchen", text="one")
    workshop.ask("message", contact="kitchen", text="two")
    world.run(2.0)
    assert kitchen.box.post.unread == 2
    kitchen.ask("messages", contact=None, last=9, read=True)
    world.run(2.0)
    hall.start()
    world.run(5.0)
    assert hall.box.post.unread == 0
    assert texts(hall, "workshop") == [("one", False), ("two", False)]


@pytest.mark.parametrize("apart", [False, True])
def test_settings_agree_also_when_both_change_them_apart(world: World, apart: bool) -> None:
    kitchen, hall, _ = family(world)
    attic = world.box("attic")
    attic.ask("allow", contact="kitchen", row="ring")
    if apart:
        world.network.cut("hall")
        world.run(0.5)
    kitchen.ask("silence", contact="workshop", on=True)
    kitchen.ask("allow", contact="attic", row="ring", dial=2)
    kitchen.ask("quiet hours", span="22:00-07:00")
    hall.ask("allow", contact="workshop", row="knock")
    hall.ask("calls", on=False)
    world.run(1.0)
    world.network.restore("hall")
    world.run(40.0 if apart else 3.0)
    agree(world, kitchen, hall)
    contacts = {contact["name"]: contact for contact in hall.ask("contacts")["contacts"]}
    assert contacts["workshop"]["silenced"]
    assert contacts["workshop"]["permission"] == "knock"
    assert contacts["attic"]["permission"] == "ring"
    assert not kitchen.box.people.controls.calls_enabled
    assert hall.ask("status")["quiet_hours"] == "22:00-07:00"
    rows = dict(world.server.core._desk.rows.all_of("kitchen"))  # type: ignore[union-attr]
    assert rows == {"workshop": "knock", "attic": "ring"}


def test_both_give_one_dial_button_away_apart(world: World) -> None:
    kitchen, hall, _ = family(world)
    for name in ("attic", "shed"):
        world.box(name)
    world.network.cut("hall")
    world.run(0.5)
    kitchen.ask("allow", contact="attic", row="ring", dial=5)
    hall.ask("allow", contact="shed", row="ring", dial=5)
    world.network.restore("hall")
    world.run(40.0)
    agree(world, kitchen, hall)
    dials = [contact["dial"] for contact in hall.ask("contacts")["contacts"]]
    assert dials.count(5) == 1


def test_a_verified_contact_is_verified_everywhere(world: World) -> None:
    kitchen, hall, workshop = family(world)
    workshop.ask("message", contact="kitchen", text="hello")
    world.run(2.0)
    number = hall.ask("number", contact="workshop")["number"]
    hall.ask("verify", contact="workshop", number=number)
    world.run(2.0)
    agree(world, kitchen, hall)
    assert kitchen.ask("number", contact="workshop")["verified"]


def test_a_revoked_box_gets_and_says_nothing_more(world: World) -> None:
    kitchen, hall, workshop = family(world)
    workshop.ask("message", contact="kitchen", text="before")
    world.run(2.0)
    device = hall.box.core.identity.device
    assert kitchen.ask("revoke", device=device[:6])["ok"]
    world.run(2.0)
    assert any("was removed from its account" in line for line in hall.logged)
    assert not hall.box.core.link.up
    assert [entry["revoked"] for entry in kitchen.ask("devices")["devices"]] == [False, True]
    workshop.ask("message", contact="kitchen", text="after")
    world.run(2.0)
    assert texts(kitchen, "workshop")[-1] == ("after", False)
    assert ("after", False) not in texts(hall, "workshop")
    assert [record.device for record in workshop.box.directory.devices("kitchen")] == [kitchen.box.core.identity.device]
    workshop.press("dial1")
    world.until(lambda: kitchen.state == "ringing", 1.0, "the kitchen rings")
    world.run(RING_GUARD_S)
    assert hall.state == "idle"
    kitchen.press("talk")
    both_hear(world, kitchen, workshop)


def test_only_who_holds_the_key_links_and_revokes(world: World) -> None:
    kitchen, hall, _ = family(world)
    device = kitchen.box.core.identity.device
    for reply in (hall.ask("link"), hall.ask("revoke", device=device), hall.ask("backup")):
        assert not reply["ok"], reply
        assert "account's key" in reply["error"]


def test_wrong_numbers_link_nothing(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    with pytest.raises(CallboxError, match="said no"):
        hall.link(kitchen, agree=False)
    assert len(kitchen.ask("devices")["devices"]) == 1
    assert not kitchen.ask("link confirm", numbers="1234 5678 9012")["ok"]
    hall.link(kitchen)
    assert len(kitchen.ask("devices")["devices"]) == 2


def test_numbers_of_before_confirm_nothing(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    hall.ask_to_link(str(kitchen.ask("link")["invite"]))
    kitchen.ask("link wait")
    reply = kitchen.ask("link confirm", numbers="0000 0000 0000")
    assert "not the numbers" in reply["error"]
    assert len(kitchen.ask("devices")["devices"]) == 1


def test_an_invite_is_good_for_one_box_and_a_quarter_of_an_hour(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    line = str(kitchen.ask("link")["invite"])
    hall, attic = (SimulatedBox(world, name, "breadboard", 999.0) for name in ("hall", "attic"))
    hall.ask_to_link(line)
    kitchen.ask("link wait")
    late = attic.ask_to_link(line)
    world.until(lambda: late.outcome is not None, 5.0, "the second is sent away")
    assert "not good any more" in str(late.outcome)
    world.run(900.0)
    assert not kitchen.box.own.linking.opened
    assert len(kitchen.ask("devices")["devices"]) == 1


@pytest.mark.parametrize(
    "after_s",
    [
        pytest.param(0.01, marks=pytest.mark.soak),
        0.02,
        pytest.param(0.03, marks=pytest.mark.soak),
        pytest.param(0.05, marks=pytest.mark.soak),
        0.1,
        pytest.param(0.2, marks=pytest.mark.soak),
    ],
)
def test_the_new_box_is_killed_while_it_is_linked(world: World, after_s: float) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    line = str(kitchen.ask("link")["invite"])
    hall.ask_to_link(line)
    facts = kitchen.ask("link wait")
    kitchen.ask_later("link confirm", numbers=facts["numbers"])
    world.run(after_s)
    again = hall.ask_to_link(line)  # the first attempt is forgotten; its keys are kept
    world.until(lambda: again.outcome is not None, 10.0, "linked in the end")
    hall.finish_link()
    world.run(1.0)
    assert len(kitchen.ask("devices")["devices"]) == 2
    world.boxes["hall"] = hall
    hall.start()
    world.until(lambda: hall.box.core.link.up, 5.0, "it connects")
    world.run(3.0)
    agree(world, kitchen, hall)


@pytest.mark.parametrize(
    "after_s",
    [
        pytest.param(0.0, marks=pytest.mark.soak),
        0.004,
        pytest.param(0.008, marks=pytest.mark.soak),
        0.02,
        pytest.param(0.1, marks=pytest.mark.soak),
    ],
)
def test_the_old_box_is_killed_while_it_signs(world: World, after_s: float) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    line = str(kitchen.ask("link")["invite"])
    linking = hall.ask_to_link(line)
    facts = kitchen.ask("link wait")
    kitchen.ask_later("link confirm", numbers=facts["numbers"])
    world.run(after_s)
    kitchen.kill()
    kitchen.start()
    world.run(5.0)
    signed = len(kitchen.ask("devices")["devices"]) == 2
    if not signed:  # nothing was said to anybody: begin anew
        hall = SimulatedBox(world, "hall", "breadboard", 999.0)
        hall.link(kitchen)
    else:
        world.until(lambda: linking.outcome is not None, 20.0, "the new one hears of it")
        hall.finish_link()
    world.boxes["hall"] = hall
    hall.start()
    world.run(5.0)
    agree(world, kitchen, hall)
    workshop.ask("message", contact="kitchen", text="both?")
    world.run(3.0)
    assert texts(hall, "workshop") == [("both?", False)]


def test_the_server_is_killed_while_a_box_is_linked(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    line = str(kitchen.ask("link")["invite"])
    hall.ask_to_link(line)
    kitchen.ask("link wait")
    world.server.kill()
    world.run(1.0)
    world.server.start()
    world.run(5.0)
    again = hall.ask_to_link(line)
    world.run(1.0)
    numbers = hall.link_numbers
    assert numbers == [kitchen.ask("link wait")["numbers"]]
    kitchen.ask("link confirm", numbers=numbers[0])
    world.until(lambda: again.outcome is not None, 5.0, "linked")
    hall.finish_link()
