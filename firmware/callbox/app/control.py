"""The control desk: what the command line asks of a running box, over its Unix socket.

Each ask is a word and arguments; it is answered at once, or when what it waits for has happened: `call` when the far
end rings, `press` when its effects are done. Nothing here waits in the sense of a thread: a `Wait` is looked at after
every event, and at its deadline.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from callbox.app import effects as do
from callbox.app.calling import Calling
from callbox.app.core import Core
from callbox.app.front import Front
from callbox.app.people import People
from callbox.app.post import Post
from callbox.base.errors import CallboxError
from callbox.base.reasons import Reason
from callbox.base.time import Instant, earliest
from callbox.panel import meaning as means
from callbox.panel.intents import Intent

PATIENCE_S = 10.0
PRESS_S = 0.15
SETTLE_S = 0.1
AFTER_GUARD_S = 0.05  # a press during the guard counts for nothing; this one is meant to answer
WATCH_EVERY_S = 0.25
OUTCOMES_KEPT = 16
NOT_REACHED = {
    Reason.NOT_ALLOWED: "Its owner has to allow this box first.",
    Reason.CALLS_DISABLED: "It takes no calls now; send a text: callbox message",
    Reason.UNREACHABLE: "It may be switched off, or its people want quiet; a notice of the call waits for them.",
    Reason.LOST: "`callbox status` says what is wrong with the connection.",
}
TOLD_AT_ONCE = ("state", "lights", "muted")
KEPT = frozenset({"message", "allow", "silence", "prefer", "block", "verify", "calls", "quiet", "quiet hours"})
LONGEST_PRESS_S = 60.0

Facts = Mapping[str, Any]
Check = Callable[[], Facts | None]


@dataclass(slots=True)
class Wait:
    """An ask that is answered later: when `check` returns facts, or at `deadline` with `too_late`."""

    ask: int
    check: Check
    deadline: Instant
    too_late: Facts


@dataclass(slots=True)
class Later:
    """Something to do at a moment."""

    at: Instant
    step: Callable[[], None]


def failure(error: CallboxError | str, cure: str = "") -> dict[str, Any]:
    """Return the reply that the command line prints as an error."""
    what, cure = (error.what, error.cure) if isinstance(error, CallboxError) else (error, cure)
    return {"ok": False, "error": what, "cure": cure}


class Control:
    """Answers asks; pure."""

    def __init__(
        self,
        core: Core,
        people: People,
        calling: Calling,
        front: Front,
        post: Post,
        status: Callable[[], Facts],
        card: Callable[[], str],
    ) -> None:
        self._core = core
        self._people = people
        self._calling = calling
        self._front = front
        self._post = post
        self._status = status
        self._kept = KEPT
        self.on_asker_left: Callable[[int], None] = lambda ask: None
        self._waits: list[Wait] = []
        self._later: list[Later] = []
        self._watchers: dict[int, Facts] = {}
        self._watch_at: Instant | None = None
        self._outcomes: OrderedDict[bytes, Reason] = OrderedDict()
        self._do: dict[str, Callable[[int, Facts], Facts | None]] = {
            "status": lambda ask, words: dict(self._status()),
            "watch": self._watch,
            "press": self._press,
            "call": self._call,
            "hangup": lambda ask, words: self._intent(means.HangUp(), needs_call=True),
            "answer": lambda ask, words: self._reply(means.Answer()),
            "decline": lambda ask, words: self._reply(means.Decline(bool(words.get("with_text")))),
            "mute": lambda ask, words: self._mute(bool(words["on"])),
            "calls": lambda ask, words: self._intent(means.SetCalls(bool(words["on"]))),
            "quiet": lambda ask, words: self._intent(means.SetDoNotDisturb(bool(words["on"]))),
            "message": lambda ask, words: post.write(str(words["contact"]), str(words["text"])),
            "allow": lambda ask, words: people.allow(words),
            "silence": lambda ask, words: people.silence(str(words["contact"]), bool(words["on"])),
            "prefer": lambda ask, words: people.prefer(words),
            "block": lambda ask, words: self._block(str(words["contact"])),
            "contacts": lambda ask, words: {"ok": True, "contacts": people.listed()},
            "quiet hours": lambda ask, words: people.set_quiet_hours(words["span"]),
            "number": lambda ask, words: self._numbers(str(words["contact"])),
            "verify": lambda ask, words: people.verify(str(words["contact"]), words.get("number")),
            "card": lambda ask, words: {"ok": True, "card": card()},
            "messages": self._messages,
            "why": lambda ask, words: post.why(),
            "synced": self._synced,
            "sent": self._sent,
        }

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is due."""
        waits = (wait.deadline for wait in self._waits)
        later = (step.at for step in self._later)
        return earliest(self._watch_at, *waits, *later)

    def asked(self, ask: int, what: str, words: Facts) -> None:
        """Answer an ask, or note what it waits for."""
        step = self._do.get(what)
        try:
            reply = (
                step(ask, words) if step else failure(f"This box does not know {what!r}.", "Is it an older version?")
            )
        except CallboxError as error:
            reply = failure(error)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            reply = failure(f"The request {what!r} was not understood: {error!r}.")
        if reply is not None and reply.get("ok") and what in self._kept:
            self._answer_when_kept(ask, reply)
        elif reply is not None:
            self._core.emit(do.Answer(ask, reply))

    def learn(self, asks: Mapping[str, Callable[[int, Facts], Facts | None]], kept: Iterable[str] = ()) -> None:
        """Let a desk answer asks of its own; those in `kept` are answered once what they did is on disk."""
        self._do.update(asks)
        self._kept |= frozenset(kept)

    def _answer_when_kept(self, ask: int, reply: Facts) -> None:
        """What a person was told is done must outlast a power cut: answer once it is on disk."""
        kept: list[bool] = []
        self._core.commit([], then=lambda: kept.append(True))
        give_up_at = self._core.now + PATIENCE_S

        def check() -> Facts | None:
            if kept or self._core.now < give_up_at:
                return reply if kept else None
            why = self._core.ledger.fault or "The card is too slow."
            return failure(f"This is not stored yet. {why}", "A restart before it is stored loses it.")

        self.wait(ask, check, reply)

    def asker_left(self, ask: int) -> None:
        """Nobody reads the answer any more: forget what it waits for."""
        self.on_asker_left(ask)
        self._watchers.pop(ask, None)
        self._waits = [wait for wait in self._waits if wait.ask != ask]
        if not self._watchers:
            self._watch_at = None

    def call_recorded(self, call_id: bytes, reason: Reason) -> None:
        """Remember how a call ended, for the `call` that waits for it."""
        self._outcomes[call_id] = reason
        while len(self._outcomes) > OUTCOMES_KEPT:
            self._outcomes.popitem(last=False)

    def tick(self) -> None:
        """Do what is due, answer what has come true, tell watchers what changed."""
        now = self._core.now
        due = [step for step in self._later if step.at <= now]
        self._later = [step for step in self._later if step.at > now]
        for later in due:
            later.step()
        waits, self._waits = self._waits, []
        for wait in waits:
            reply = wait.check()
            if reply is None and now >= wait.deadline:
                reply = wait.too_late
            if reply is None:
                self._waits.append(wait)
            else:
                self._core.emit(do.Answer(wait.ask, reply, done="progress" not in reply))
        self._tell_watchers()

    # --- asks that take time ----------------------------------------------------------------------------------------

    def wait(self, ask: int, check: Check, too_late: Facts, patience_s: float = PATIENCE_S) -> None:
        """Answer an ask when `check` returns something, or with `too_late`."""
        self._waits.append(Wait(ask, check, self._core.now + patience_s, too_late))

    def _watch(self, ask: int, words: Facts) -> Facts | None:
        self._watchers[ask] = {}
        self._watch_at = self._core.now
        return None

    def _tell_watchers(self) -> None:
        """Tell watchers at once when the call or the lights changed, and everything else four times a second."""
        if self._watch_at is None:
            return
        facts = dict(self._status())
        due = self._core.now >= self._watch_at
        if due:
            self._watch_at = self._core.now + WATCH_EVERY_S
        for ask, before in self._watchers.items():
            if before != facts and (due or any(before.get(name) != facts[name] for name in TOLD_AT_ONCE)):
                self._watchers[ask] = facts
                self._core.emit(do.Answer(ask, facts, done=False))

    def _intent(self, intent: Intent, needs_call: bool = False) -> Facts:
        if needs_call and self._calling.machine.state == "idle":
            return failure("There is no call.")
        self._front.do(intent)
        return {"ok": True, "state": self._calling.machine.state}

    def _mute(self, on: bool) -> Facts:
        done = self._intent(means.SetMute(on))
        if self._front.muted == on:
            return done
        return failure("The microphone is muted by its switch.", "Move the switch: no command can do that for you.")

    def _reply(self, intent: Intent) -> Facts:
        """Take up or turn down a call that rings; later, an answer would only look as if it did something."""
        if self._calling.machine.state not in ("idle", "ringing"):
            return failure("No call rings.")
        return self._intent(intent, needs_call=True)

    def _messages(self, ask: int, words: Facts) -> Facts:
        contact, last = words["contact"], int(words["last"])
        if not isinstance(contact, str | None):
            raise TypeError("a contact is a name")
        if last < 1:
            return failure("There are no fewer lines than one to show.", "Write --last 20, or leave it away.")
        return self._post.messages(contact, last, bool(words["read"]))

    def _numbers(self, contact: str) -> Facts:
        """Return what can be compared with a contact: the safety number, and the code of a call with them."""
        facts, current = self._people.safety_number(contact), self._calling.machine.current
        with_them = current is not None and current.contact == facts["contact"]
        return {**facts, "code": (self._calling.media.code if with_them else "") or None}

    def _block(self, contact: str) -> Facts:
        """Block, and end the call with that person; one that only rings is taken back by the server."""
        reply = self._people.allow({"contact": contact, "row": "blocked"})
        current = self._calling.machine.current
        if current is not None and current.contact == reply["contact"] and self._calling.machine.state != "ringing":
            self._front.do(means.HangUp())
        return reply

    def _synced(self, ask: int, words: Facts) -> Facts | None:
        """Answered once the server knows everything that was decided here (permissions, calls on or off)."""

        def check() -> Facts | None:
            return {"ok": True} if self._people.told_everything else None

        self.wait(ask, check, failure("The server cannot be reached now."))
        return None

    def _sent(self, ask: int, words: Facts) -> Facts | None:
        """Answered once the server has taken a text that was queued; `words` is the reply of `message`."""
        message_id = bytes.fromhex(str(words["id"]))

        def check() -> Facts | None:
            state = self._post.state_of(message_id)
            return None if state == "queued" else {"ok": True, "state": state}

        self.wait(ask, check, failure("The server cannot be reached now."))
        return None

    def _call(self, ask: int, words: Facts) -> Facts | None:
        contact = self._people.known(str(words["contact"]))
        if self._calling.machine.state not in ("idle", "ending"):
            return failure("This box is in a call already.", "End it first: callbox hangup")
        offline = failure(
            "The box has no connection to its server.", "Is the server running? `callbox status` says what fails."
        )
        self.wait(ask, lambda: self._dial(ask, contact, bool(words.get("knock"))), offline)
        return None

    def _dial(self, ask: int, contact: str, knock: bool) -> Facts | None:
        if not self._core.link.up:
            return None
        call_id = self._calling.dial(contact, knock)

        def outcome() -> Facts | None:
            machine = self._calling.machine
            current = machine.current
            if current is not None and current.contact == contact and current.reason is None:
                reached = current.far_alerting or machine.state in ("connecting", "talking")
                asks = current.knock and machine.state == "dialing"
                return {"ok": True, "state": "asking" if asks else "ringing", "contact": contact} if reached else None
            reason = self._outcomes.get(call_id, Reason.FAILED)
            what = f"{contact} was not reached: {reason.value.replace('_', ' ')}."
            return {**failure(what, NOT_REACHED.get(reason, "")), "reason": reason.value}

        self._waits.append(Wait(ask, outcome, self._core.now + 60.0, failure(f"{contact} did not answer.")))
        return {"progress": f"calling {contact} ..."}

    def _press(self, ask: int, words: Facts) -> Facts | None:
        button, hold_s = str(words["button"]), float(words.get("hold_s") or PRESS_S)
        if self._core.settings.panel.backend != "simulated":
            cure = 'Press the button itself, or set [panel] backend = "simulated" in box.toml.'
            return failure("The panel of this box is real.", cure)
        if button not in self._front.buttons:
            return failure(f"There is no button {button!r}.", f"The board has: {', '.join(self._front.buttons)}.")
        if not 0.0 < hold_s <= LONGEST_PRESS_S:
            return failure("A press cannot be so long.", f"Hold it for up to {LONGEST_PRESS_S:.0f} seconds.")
        current = self._calling.machine.current
        start = self._core.now
        if self._calling.machine.state == "ringing" and current is not None and current.ringing_since is not None:
            start = max(start, current.ringing_since + means.RING_GUARD_S + AFTER_GUARD_S)
        self._later.append(Later(start, lambda: self._core.emit(do.MoveButton(button, True))))
        self._later.append(Later(start + hold_s, lambda: self._core.emit(do.MoveButton(button, False))))
        settled_at = start + hold_s + SETTLE_S

        def settled() -> Facts | None:
            if self._core.now < settled_at or self._calling.machine.state == "connecting":
                return None
            return {"ok": True, "state": self._calling.machine.state}

        self._later.append(Later(settled_at, lambda: None))  # only to look again then
        self.wait(ask, settled, {"ok": True, "state": self._calling.machine.state}, hold_s + PATIENCE_S)
        return None
