"""The records desk: what this box keeps, for how long, and how a person sees it, takes it along and destroys it.

Once an hour everything that is older than `[keep]` in box.toml allows goes (see `conversations.retention`). And when a
newer program has been connected for ten minutes, the copy of the store that an earlier one would need goes too.

    privacy            what is held: how many of each kind, the oldest, for how long; who may what; devices
    export             all of it, as facts; the command line makes files of them
    erase, contact     a contact, its thread's key first; the server is told as soon as it can be
    erase, all         the server deletes the account and signs that; the command line then destroys the folder
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from callbox.app import effects as do
from callbox.app.control import PATIENCE_S, Control, Facts, failure
from callbox.app.core import DAY_MS, Core
from callbox.app.directory import Directory
from callbox.app.facts import consent_facts, contact_facts, item_facts
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.saved import FORGOTTEN, Saved
from callbox.base.errors import WrongUse
from callbox.base.time import TRUSTED_AFTER_MS, Instant
from callbox.conversations.items import CallItem, TextItem, VoiceItem
from callbox.conversations.seen import KEPT_DAYS as SEEN_DAYS
from callbox.conversations.stores import Delete, Put, Write
from callbox.crypto.erasure import verify_statement
from callbox.crypto.errors import Untrusted
from callbox.wire.codec import erasure_transcript
from callbox.wire.signals import Accepted, Erase, Erased, ServerMessage, SetRow, Welcome

RETENTION_EVERY_S = 3600.0
CLOCK_AGAIN_S = 60.0
PROVEN_S = 600.0
LETTER_DAYS = 30


class Records:
    """What is kept, and until when."""

    def __init__(self, core: Core, people: People, directory: Directory, post: Post, saved: Saved) -> None:
        self._core = core
        self._people = people
        self._directory = directory
        self._post = post
        self._membership = saved.membership
        self._forgotten = set(saved.store.load(FORGOTTEN))
        self._session = b""
        self._retention_at: Instant | None = None
        self._server_clock: int | None = None  # its wall time, less our steady one
        self._clock_doubted = False
        self._proven_at: Instant | None = None
        self._proven = False
        self._control: Control | None = None
        self.on_contact_gone: Callable[[str], None] = lambda contact: None
        self.own_devices: Callable[[], list[dict[str, Any]]] = list
        self.trouble: Callable[[], str] = str
        self.stop: Callable[[], None] = lambda: None
        people.on_gone = self._gone_elsewhere

    def join(self, control: Control) -> None:
        """Let the command line ask this desk."""
        self._control = control
        control.learn(
            {
                "privacy": lambda ask, words: {"ok": True, **self.held()},
                "export": lambda ask, words: {"ok": True, **self.exported()},
                "delete": lambda ask, words: self.delete(words),
                "erase contact": lambda ask, words: self.erase_contact(str(words["contact"])),
                "forgotten": self._await_forgotten,
                "erase": self._erase,
                "stop": lambda ask, words: self._stop(),
            },
            kept=("delete", "erase contact"),
        )

    @property
    def deadline(self) -> Instant | None:
        """When something is due that nothing else will bring about. Retention waits for any other event."""
        return self._proven_at

    def session_up(self, welcome: Welcome) -> None:
        """The server takes this program: the clock of its good start runs. It hears whom we have forgotten."""
        self._session = welcome.session
        self._server_clock = welcome.server_time_ms - round(self._core.now * 1000)
        if not self._proven and self._proven_at is None:
            self._proven_at = self._core.now + PROVEN_S
        for name in sorted(self._forgotten):
            self._tell_forgotten(name)

    def tick(self) -> None:
        """Do what is due."""
        now = self._core.now
        if self._proven_at is not None and now >= self._proven_at:
            self._proven, self._proven_at = True, None
            self._core.emit(do.SettleStore())
        if self._retention_at is None or now >= self._retention_at:
            believed = self._clock_believed()
            self._retention_at = now + (RETENTION_EVERY_S if believed else CLOCK_AGAIN_S)
            if believed:
                self._post.retire(self._core.settings.keep)

    def _clock_believed(self) -> bool:
        """Say whether the wall clock is good enough to delete by: a wrong year would delete everything.

        The server's clock has to name the same day. Without a server, it has to have stood still for a day.
        """
        core = self._core
        if core.wall_ms < TRUSTED_AFTER_MS:
            return False
        if self._server_clock is None:
            return core.wall_moved_at is not None and core.now - core.wall_moved_at >= DAY_MS / 1000
        apart_ms = abs(self._server_clock - (core.wall_ms - round(core.now * 1000)))
        doubted, self._clock_doubted = self._clock_doubted, apart_ms > DAY_MS
        if self._clock_doubted and not doubted:
            core.tell(
                f"The clocks of this box and of its server are {apart_ms // DAY_MS} days apart: nothing is deleted "
                "for its age until they agree."
            )
        return not self._clock_doubted

    # --- to see -------------------------------------------------------------------------------------------------

    def held(self) -> dict[str, Any]:
        """Return how much is kept of each kind, the oldest of it, and for how many days; who may what."""
        keep, post, people = self._core.settings.keep, self._post, self._people
        items = post.threads.items(limit=1_000_000)
        kinds = (("text messages", TextItem, keep.text_days), ("voice messages", VoiceItem, keep.voice_days))
        rows = []
        for what, kind, days in (*kinds, ("lines of calls", CallItem, keep.call_days)):
            dates = [item.at_ms for item in items if isinstance(item, kind)]
            rows.append(_kind(what, len(dates), min(dates, default=None), days))
        consents = people.consents
        seen_ms = post.inbox.seen.oldest_ms
        rows += [
            _kind("contacts and requests", len(people.listed()), None, None),
            _kind("lines of what you allowed", len(consents), consents[0].at_ms if consents else None, None),
            _kind("letters on their way", post.waiting, None, LETTER_DAYS),
            _kind("numbers of letters that came", len(post.inbox.seen), seen_ms, SEEN_DAYS),
            _kind("devices of others, with keys", self._directory.known, None, None),
        ]
        return {
            "name": self._core.identity.account,
            "server": self._membership.address,
            "held": rows,
            "contacts": [_reach(contact) for contact in people.listed()],
            "devices": self.own_devices(),
            "consents": [consent_facts(consent) for consent in consents],
        }

    def exported(self) -> dict[str, Any]:
        """Return everything that is kept, secrets left out: those are for `callbox backup`."""
        people, identity = self._people, self._core.identity
        return {
            "name": identity.account,
            "server": self._membership.address,
            "devices": self.own_devices(),
            "contacts": [contact_facts(contact) for contact in people.all()],
            "consents": [consent_facts(consent) for consent in people.consents],
            "controls": people.controls_facts(),
            "items": [item_facts(item) for item in reversed(self._post.threads.items(limit=1_000_000))],
        }

    # --- to delete ----------------------------------------------------------------------------------------------

    def delete(self, words: Facts) -> dict[str, Any]:
        """Delete one line of a thread, the newest ones, or all of it; here, for good. Raises WrongUse."""
        threads = self._post.threads
        if words.get("id"):
            item = threads.get(_id(str(words["id"])))
            if item is None:
                raise WrongUse("There is no such message.", "`callbox messages --json` shows their ids.")
            items = [item]
        else:
            name = str(words["contact"])
            last = int(words.get("last") or 1_000_000)
            items = threads.items(name, limit=last)
            if not items and self._people.get(name) is None:
                raise self._people.no_contact(name)
        if words.get("all"):
            self._core.commit(threads.forget(str(words["contact"])))
        else:
            for item in items:
                self._post.delete(item.id)
        return {"ok": True, "deleted": len(items)}

    def erase_contact(self, name: str) -> dict[str, Any]:
        """Destroy a contact and everything said with it, the thread's key first. Raises WrongUse when unknown."""
        contact = self._people.get(name)
        if contact is None:
            raise self._people.no_contact(name)
        name = contact.name
        lines = len(self._post.threads.items(name, limit=1_000_000))
        self.on_contact_gone(name)
        thread = self._post.forget(name)
        self._core.commit([*thread, *self._people.forget(name), Put(FORGOTTEN, name, b"")])
        self._directory.forget(name)
        self._core.emit(do.SettleStore())  # the copy for an earlier program still has what was said
        self._forgotten.add(name)
        self._tell_forgotten(name)
        return {"ok": True, "contact": name, "lines": lines, "blocked": contact.permission == "blocked"}

    def _gone_elsewhere(self, name: str) -> list[Write]:
        """Another device of this account has erased a contact: what was said with them goes here, too.

        The server hears it from here as well: it may have heard of this contact from here after it had heard of that.
        """
        self.on_contact_gone(name)
        self._directory.forget(name)
        self._forgotten.add(name)
        self._tell_forgotten(name)
        return [*self._post.forget(name), Put(FORGOTTEN, name, b"")]

    def _tell_forgotten(self, name: str) -> None:
        """Have the server drop what it keeps of our wishes about somebody, unless they are a contact again."""

        def told(message: ServerMessage | None) -> None:
            if isinstance(message, Accepted):
                self._settle_forgotten(name)
            else:
                self._core.put_off(message, lambda: self._tell_forgotten(name))

        if self._people.get(name) is not None:
            self._settle_forgotten(name)
        elif self._core.link.up:
            self._core.request(lambda number: SetRow(number, name, "request"), told)

    def _settle_forgotten(self, name: str) -> None:
        self._forgotten.discard(name)
        self._core.commit([Delete(FORGOTTEN, name)])

    def _await_forgotten(self, ask: int, words: Facts) -> Facts | None:
        """Answered once the server has dropped everybody who was erased here."""
        assert self._control is not None
        late = failure("The server cannot be reached now.")
        self._control.wait(ask, lambda: None if self._forgotten else {"ok": True}, late)
        return None

    # --- to end -------------------------------------------------------------------------------------------------

    def _erase(self, ask: int, words: Facts) -> Facts | None:
        """Have the server delete the account; answered by its receipt. What lies here is the command line's to wipe."""
        core, control = self._core, self._control
        assert control is not None
        replies: list[ServerMessage | None] = []
        asked_in: list[bytes] = []

        def check() -> Facts | None:
            if not asked_in or (replies and replies[-1] is None):
                if not core.link.up or not self._session:
                    return None
                asked_in.append(self._session)
                replies.clear()
                signature = core.identity.sign_erasure(
                    erasure_transcript(self._membership.server_id, self._session, core.identity.account)
                )
                core.request(lambda number: Erase(number, signature), replies.append)
            if not replies or replies[-1] is None:
                return None
            return self._receipt(replies[-1], asked_in[-1])

        def answer() -> Facts | None:
            late = core.now >= give_up_at
            trouble = self.trouble() if late else ""
            unreachable = failure(f"The server cannot be reached now, so it erases nothing. {trouble}".strip())
            return check() or ({**unreachable, "unreachable": True} if late else None)

        give_up_at = core.now + PATIENCE_S
        control.wait(ask, answer, failure("The server does not answer."), PATIENCE_S + 1.0)
        return None

    def _receipt(self, answer: ServerMessage | None, session: bytes) -> Facts:
        if not isinstance(answer, Erased):
            return failure(f"The server erased nothing: {getattr(answer, 'why', 'it did not understand')}.")
        facts = dict(line.partition(": ")[::2] for line in answer.statement.splitlines())
        try:
            verify_statement(self._membership.authority, answer.statement, answer.proof)
            ours = (facts.get("session"), facts.get("account")) == (session.hex(), self._core.identity.account)
            doubt = "" if ours else "It is about another account, or of an earlier time."
        except Untrusted as error:
            doubt = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return {
            "ok": True,
            "statement": answer.statement,
            "proof": answer.proof.hex(),
            "authority": self._membership.authority.hex(),
            "doubt": doubt,
        }

    def _stop(self) -> Facts:
        self.stop()
        return {"ok": True}


def _id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise WrongUse(f"{text!r} is not the id of a message.", "`callbox messages --json` shows them.") from None


def _kind(what: str, count: int, oldest_ms: int | None, days: int | None) -> dict[str, Any]:
    return {"what": what, "count": count, "oldest_ms": oldest_ms, "days": days}


def _reach(contact: Mapping[str, Any]) -> dict[str, Any]:
    names: Iterable[str] = ("name", "permission", "silenced", "breakthrough", "verified")
    return {name: contact[name] for name in names}
