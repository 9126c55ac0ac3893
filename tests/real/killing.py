"""Stories of sudden death: a call between two real boxes, and at a seeded moment of it one process is killed.

    kitchen calls workshop: dialling -> ringing -> answered -> talking -> hanging up
                                 ^ at one of these, and a moment later, server, kitchen or workshop is killed

Texts are sent before, at and after the death. What must hold then is in `Theatre.play`.
"""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callbox.app import client
from callbox.app.home import Home
from callbox.base.errors import CallboxError
from real.processes import KITCHEN, MANY_RINGS, WORKSHOP, Place, wait_for

SERVER = "server"
BOXES = (KITCHEN, WORKSHOP)
PHASES = ("dialling", "ringing", "answered", "talking", "hanging up")
MOMENT_S = {"dialling": 0.15, "ringing": 0.8, "answered": 0.15, "talking": 0.8, "hanging up": 0.1}
NOTED_S = 0.3  # after this long in a call a box has surely noted on disk that it is in one
SETTLED_S = 40.0  # the grace of 30 s and a connection's ten
PHANTOM_S = 5.0  # a ring that the caller knows nothing of, for so long after the caller is back
TEXT_S = 15.0
TWO_DEATHS_FROM = 1000  # seeds below have one death each
Pair = tuple[str, str]
RESTS: tuple[Pair, ...] = (("idle", "idle"), ("talking", "talking"), ("dialing", "ringing"))


@dataclass(frozen=True)
class Story:
    """What one seed stands for."""

    seed: int
    phase: str
    victim: str
    after_s: float
    down_s: float
    muted: bool
    ended_by: str
    second: str = ""  # who dies, too, while the first comes back

    @classmethod
    def of(cls, seed: int) -> "Story":
        chance = random.Random(seed)
        phase = PHASES[seed % len(PHASES)]  # neighbours cover every pair of phase and victim
        victims = (SERVER, *BOXES)
        return cls(
            seed,
            phase,
            victims[seed // len(PHASES) % 3],
            chance.uniform(0.0, MOMENT_S[phase]),
            chance.choice((0.0, 0.3, 1.5)),
            chance.random() < 0.5,
            chance.choice(BOXES),
            chance.choice(victims) if seed >= TWO_DEATHS_FROM and chance.random() < 0.3 else "",
        )


@dataclass
class Follower:
    """Notes every state of one box as it says it, over its deaths."""

    place: Place
    name: str
    states: list[tuple[float, str]] = field(default_factory=list)
    ending: bool = False

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        home = Home(Path(self.place.home(self.name)))
        while not self.ending:
            with contextlib.suppress(CallboxError, OSError, ValueError):
                for facts in client.ask(home, "watch", patience_s=0.2):
                    self._note(str(facts["state"]))
            self._note("gone")
            time.sleep(0.05)

    def _note(self, state: str) -> None:
        if not self.states or self.states[-1][1] != state:
            self.states.append((time.monotonic(), state))

    def since(self, moment: float) -> list[str]:
        return [state for at, state in self.states if at >= moment]


class Theatre:
    """A server and two boxes that may ring one another, with what was said between them."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder)
        self.texts: dict[Pair, dict[str, bool]] = {(KITCHEN, WORKSHOP): {}, (WORKSHOP, KITCHEN): {}}
        self.followers: dict[str, Follower] = {}
        try:
            self.place.start_server(MANY_RINGS)
            self.place.enrol(*BOXES)
            self._start(BOXES)
        except BaseException:
            self.close()
            raise
        self.followers = {name: Follower(self.place, name) for name in BOXES}

    def close(self) -> None:
        for follower in self.followers.values():
            follower.ending = True
        with self.place:
            pass

    def _begin(self, name: str) -> None:
        if name == SERVER:
            self.place.start_server()
        else:
            self.place.start_box(name)

    def _start(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._begin(name)
        wait_for(lambda: all(self.place.connected(name) for name in BOXES), "connecting", SETTLED_S)

    # --- the play -------------------------------------------------------------------------------------------------

    def play(self, story: Story) -> None:
        """One call, one death. Raises AssertionError when something that must hold does not."""
        self._text(story, "before", BOXES)
        lines = self._call_lines()
        self._bring_to(story)
        dead_at = self._kill(story)
        alive = tuple(name for name in BOXES if name != story.victim)
        self._text(story, "meanwhile", alive)
        time.sleep(story.down_s)
        self._restart(story)
        self._text(story, "after", BOXES)
        rest = self._settle()
        self._judge(story, rest, dead_at)
        self._end_call(story, rest)
        if (story.phase, story.victim) != ("dialling", KITCHEN):  # it may have died before it dialled
            assert len(self._call_lines() - lines) == 1, "the call's one line in the caller's thread"
        self._count_texts()
        self.place.no_traceback()

    def _bring_to(self, story: Story) -> None:
        """Act up to the phase in which somebody dies; its last act is under way when this returns."""
        place, at = self.place, PHASES.index(story.phase)
        acts: list[Callable[[], Any]] = [
            lambda: place.ask(KITCHEN, "call", contact=WORKSHOP),
            lambda: wait_for(lambda: place.state(WORKSHOP) == "ringing", "ringing"),
            lambda: place.ask(WORKSHOP, "answer"),
            self._talk(story),
            lambda: place.ask(story.ended_by, "hangup"),
        ]
        for act in acts[:at]:
            act()
        if story.phase in ("ringing", "talking"):
            acts[at]()
        else:
            threading.Thread(target=_unheeded(acts[at]), daemon=True).start()

    def _talk(self, story: Story) -> Callable[[], None]:
        def talk() -> None:
            wait_for(lambda: self.states() == ("talking", "talking"), "talking")
            if story.muted:
                for name in BOXES:
                    self.place.ask(name, "mute", on=True)
            time.sleep(NOTED_S)

        return talk

    def _kill(self, story: Story) -> float:
        """Kill the victim at its moment, while a text of it (or through it) is on its way."""
        sender = story.ended_by if story.victim == SERVER else story.victim
        time.sleep(story.after_s)
        threading.Thread(target=lambda: self._text(story, "dying", (sender,)), daemon=True).start()
        time.sleep(story.after_s % 0.03)
        self.place.running[story.victim].end(signal.SIGKILL)
        return time.monotonic()

    def _restart(self, story: Story) -> None:
        """Start the dead one again; a second one may die while it comes back."""
        if not story.second:
            self._start((story.victim,))
            return
        self._begin(story.victim)
        time.sleep(story.after_s)
        self.place.running[story.second].end(signal.SIGKILL)
        self._start((story.second,))

    def _settle(self) -> Pair:
        """Wait until both boxes rest together for a second; return in which states."""
        began = rested_at = time.monotonic()
        rest: Pair | None = None
        while time.monotonic() - began < SETTLED_S:
            states = self.states()
            if states != rest:
                rest, rested_at = states, time.monotonic()
            elif states in RESTS and time.monotonic() - rested_at > 1.0:
                return states
            phantom = states[1] == "ringing" and states[0] not in ("dialing", "connecting")
            assert not phantom or time.monotonic() - rested_at < PHANTOM_S, f"a phantom rings: {states}"
            time.sleep(0.05)
        raise AssertionError(f"still {self.states()} after {SETTLED_S:.0f} s")

    def _judge(self, story: Story, rest: Pair, dead_at: float) -> None:
        if story.second:
            return
        if story.phase == "talking":
            assert rest == ("talking", "talking"), f"the call did not go on: {rest}"
            for name, follower in self.followers.items():
                assert "ringing" not in follower.since(dead_at), f"{name} rang: {follower.states[-8:]}"
                assert self.place.status(name)["muted"] == story.muted, f"{name} forgot whether it was muted"
        elif story.phase == "ringing" and story.victim != KITCHEN:
            assert rest == ("dialing", "ringing"), f"the ring was lost: {rest}"
        elif story.phase == "hanging up" and rest == ("talking", "talking"):
            assert story.victim == story.ended_by, "who hung up lives, and yet the call goes on"

    def _end_call(self, story: Story, rest: Pair) -> None:
        if rest == ("dialing", "ringing"):
            self.place.ask(WORKSHOP, "answer")
            wait_for(lambda: self.states() == ("talking", "talking"), "talking after a late answer")
        if self.states() == ("talking", "talking"):
            self.place.ask(story.ended_by, "hangup")
        wait_for(lambda: self.states() == ("idle", "idle"), "the end of the call")
        assert not any(self.place.status(name)["lights"]["live"] for name in BOXES)

    def states(self) -> Pair:
        return self.place.state(KITCHEN), self.place.state(WORKSHOP)

    # --- texts ----------------------------------------------------------------------------------------------------

    def _text(self, story: Story, moment: str, senders: tuple[str, ...]) -> None:
        """Send a text from each sender. One that a box has taken counts as sent; one that it died over may be."""
        for sender in senders:
            receiver = WORKSHOP if sender == KITCHEN else KITCHEN
            text, taken = f"{story.seed} {moment} from {sender} {time.monotonic_ns()}", False
            self.texts[sender, receiver][text] = False
            with contextlib.suppress(CallboxError, OSError, ValueError):
                taken = bool(self.place.ask(sender, "message", contact=receiver, text=text)["ok"])
            self.texts[sender, receiver][text] = taken

    def _count_texts(self) -> None:
        wait_for(lambda: not self._missing(), "the arrival of all texts", TEXT_S)
        for (sender, receiver), texts in self.texts.items():
            arrived = self._arrived(receiver, sender)
            doubled = [text for text in texts if arrived.count(text) > 1]
            assert not doubled, f"doubled at {receiver}: {doubled}"
            texts.clear()

    def _missing(self) -> list[str]:
        return [
            text
            for (sender, receiver), texts in self.texts.items()
            for text, taken in texts.items()
            if taken and text not in self._arrived(receiver, sender)
        ]

    def _call_lines(self) -> set[str]:
        """Return the ids of the calls in kitchen's thread, each with its reason."""
        items = self.place.ask(KITCHEN, "messages", contact=WORKSHOP, last=40, read=False)["items"]
        return {str(item["id"]) for item in items if item["kind"] == "call" and item["reason"]}

    def _arrived(self, receiver: str, sender: str) -> list[str]:
        items = self.place.ask(receiver, "messages", contact=sender, last=40, read=False)["items"]
        return [str(item["text"]) for item in items if item["kind"] == "text" and not item["outgoing"]]


def _unheeded(act: Callable[[], Any]) -> Callable[[], None]:
    """Return the act without its complaint: its box may die over it."""

    def run() -> None:
        with contextlib.suppress(CallboxError, OSError, ValueError):
            act()

    return run
