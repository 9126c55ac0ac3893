"""What scenarios have in common: waiting for what both sides of a call notice."""

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World

RING_GUARD_S = 0.6  # a press sooner than half a second after the ring began was meant for something else
LAST_TONES_S = 5.0  # the longest tone at the end of a call is over


def rings(world: World, caller: SimulatedBox, callee: SimulatedBox, button: str = "dial1") -> float:
    """Dial and wait until the callee rings and would take an answer; return the seconds from press to ring."""
    start = world.now
    caller.hold(button)
    world.run(0.1)
    caller.release(button)
    world.until(lambda: callee.state == "ringing" and callee.box.calling.alerting is not None, 1.0, "it rings")
    took_s = world.now - start
    world.run(RING_GUARD_S)
    return took_s


def talk(world: World, caller: SimulatedBox, callee: SimulatedBox) -> None:
    """Call with buttons and wait until both hear each other."""
    rings(world, caller, callee)
    callee.press("talk")
    both_hear(world, caller, callee, 0.3)


def both_hear(world: World, one: SimulatedBox, other: SimulatedBox, within_s: float = 0.5) -> float:
    """Wait until both talk and hear each other."""

    def happened() -> bool:
        talking = one.state == other.state == "talking"
        return talking and one.hears(other) and other.hears(one)

    return world.until(happened, within_s, f"{one.name} and {other.name} hear each other")


def all_idle(world: World, *boxes: SimulatedBox, within_s: float = LAST_TONES_S) -> None:
    """Wait until nobody is in a call, nothing sounds, and no light is left on but the status."""
    world.until(lambda: all(box.state == "idle" for box in boxes), within_s, "all are idle")
    world.until(lambda: not any(box.box.spoken.speaking.busy for box in boxes), 2.0, "all has been said")
    world.run(0.3)
    for box in boxes:
        assert not box.light("live"), world.story()
        assert not box.light("call"), world.story()
        assert not box.hears_sound(), f"{box.name} still sounds\n{world.story()}"


def mark_of(box: SimulatedBox, message_id: str) -> str | None:
    """Return how far a text of this box came: queued, sent, delivered, heard."""
    return box.box.post.state_of(bytes.fromhex(message_id))
