"""The calling desk: what must hold of keys and letters, whatever the call machine asks for."""

from callbox.calls.effects import SendAck
from callbox.testing.world import World


def test_a_repeated_ack_never_starts_the_frame_counter_anew(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.call(kitchen, workshop)
    world.run(1.0)
    media = kitchen.box.calling.media.current
    assert media is not None
    sealer, counter = media.proven.sealer, media.proven.sealer.counter
    again = SendAck(media.call_id, media.proven.record.device, "workshop")
    kitchen.box.calling.carry_out(again)
    world.run(0.5)
    assert kitchen.box.calling.media.current is not None
    assert kitchen.box.calling.media.current.proven.sealer is sealer
    assert sealer.counter > counter
    assert workshop.hears(kitchen)
    assert not any("proves nothing" in line for line in workshop.logged)


def test_call_says_why_nobody_was_reached(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("calls", on=False)
    world.run(0.2)
    reply = kitchen.ask("call", contact="workshop")
    assert not reply["ok"]
    assert reply["reason"] == "calls_disabled", reply
    assert "send a text" in reply["cure"]
