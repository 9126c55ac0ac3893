"""The menu desk: what stands in the spoken menu now, how it sounds, and what its choices do.

`panel.menu` knows where one is in it and what a press does there; here is what that means for this box.
"""

from collections.abc import Callable
from typing import Any, Protocol

from callbox.app.announcing import Announcing, local_time
from callbox.app.core import Core
from callbox.app.effects import LookAtSignal
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.reading import Reading, moment
from callbox.app.speaking import Piece, Speaking, nothing
from callbox.audio.facts import Play
from callbox.audio.tones import Tone
from callbox.base.errors import CallboxError
from callbox.base.time import Instant
from callbox.conversations.contacts import Contact
from callbox.panel.gestures import ButtonGesture
from callbox.panel.menu import Closed, Do, Effect, Enter, Item, Menu, SayChoice, SayItem


class LinkAsks(Protocol):
    """What the menu needs of the desk that links further devices: `numbers` is empty while none asks."""

    on_asked: Callable[[str], None]

    @property
    def numbers(self) -> str: ...

    def confirm(self, numbers: str) -> dict[str, Any]: ...

    def refuse(self) -> dict[str, Any]: ...


class Menus:
    """Opens, speaks and carries out the menu of one box."""

    def __init__(
        self,
        core: Core,
        people: People,
        post: Post,
        speaking: Speaking,
        reading: Reading,
        announcing: Announcing,
        server: str,
        one_button: bool,
    ) -> None:
        self._core = core
        self._people = people
        self._post = post
        self._speaking = speaking
        self._reading = reading
        self._announcing = announcing
        self.server: Callable[[], str] = lambda: server
        self.linking: LinkAsks | None = None
        self._menu = Menu(one_button)
        self._number: tuple[str, str] | None = None  # whose number was said ("": of a box to be linked), and which

    @property
    def is_open(self) -> bool:
        """Whether presses belong to the menu."""
        return self._menu.is_open

    @property
    def deadline(self) -> Instant | None:
        """When silence closes the menu."""
        return None if self._speaking.busy else self._menu.deadline

    def open(self) -> None:
        """Open the menu; a box without a voice has none, and says so by the error tone."""
        if not self._speaking.says:
            self._core.emit(Play(Tone.ERROR, False))
            return
        self._reading.stop()
        self._carry_out(self._menu.open(self._items(), self._core.now))

    def took(self, gesture: ButtonGesture) -> bool:
        """Let the menu have a gesture; False: it is not the menu's."""
        if not self._menu.takes(gesture):
            return False
        self._carry_out(self._menu.handle(gesture, self._core.now))
        return True

    def close(self) -> None:
        """Something else is on: close without a word."""
        self._carry_out(self._menu.close(self._core.now))

    def tick(self) -> None:
        """Close after a silence; what the box says itself is none."""
        self._menu.spoke(self._core.now if self._speaking.busy else self._speaking.over_at)
        self._carry_out(self._menu.tick(self._core.now))

    # --- what is in it ----------------------------------------------------------------------------------------------

    def _items(self) -> list[Item]:
        contacts = self._people.all()
        items = [Item("why")]
        if self._reading.last_message is not None:
            items += [Item("repeat"), Item("delete")]
        items += [Item("request", contact.name) for contact in contacts if contact.permission == "request"]
        last = self._people.get(self._post.last_contact or "")
        if last is not None and last.current_key is not None:
            items.append(Item("compare", last.name))
        items += [Item("new_box", contact.name) for contact in contacts if is_changed(contact)]
        if self.linking is not None and self.linking.numbers:
            items.insert(0, Item("link"))  # somebody stands at the other box and waits
        return [*items, Item("network")]

    # --- how it sounds ----------------------------------------------------------------------------------------------

    def _carry_out(self, effects: list[Effect]) -> None:
        say, speak = self._speaking.piece, self._speaking.speak
        for effect in effects:
            match effect:
                case SayItem(item=item, first=first):
                    entry = say(f"menu_{item.name}", name=item.about)
                    self._reading.stop()
                    speak([say("menu"), entry] if first else [entry])
                case Enter(item=item, choice=choice):
                    speak([*self._details(item), say(f"choice_{choice}", name=item.about)])
                case SayChoice(item=item, choice=choice):
                    speak([say(f"choice_{choice}", name=item.about)])
                case Do(item=item, choice=choice):
                    self._do(item, choice)
                case Closed(quietly=quietly):
                    self._number = None
                    if not quietly:
                        self._reading.stop()
                        self._speaking.say("menu_closed")

    def _details(self, item: Item) -> list[Piece]:
        """Return what is said before the first choice of an entry."""
        say, last = self._speaking.piece, self._reading.last_message
        match item.name:
            case "delete":
                return [say("delete_which", name=last.contact) if last else say("no_message")]
            case "compare":
                return [say("numbers", name=item.about), *self._groups(item.about)]
            case "new_box":
                return [say("new_box", name=item.about)]
            case "link" if self.linking is not None:
                self._number = ("", self.linking.numbers)
                return [say("link_numbers"), *self._speaking.digits(self.linking.numbers)]
        return []

    def _groups(self, name: str) -> list[Piece]:
        """Return the safety number, digit by digit, in groups of five and lines of four groups."""
        number = str(self._people.safety_number(name)["number"])
        self._number = (name, number)
        return self._speaking.digits(number)

    # --- what it does -----------------------------------------------------------------------------------------------

    def _do(self, item: Item, choice: str) -> None:
        try:
            match item.name:
                case "why":
                    self._speaking.speak(self._why())
                case "repeat":
                    self._reading.repeat(nothing)
                case "delete":
                    self._delete(choice)
                case "request":
                    self._answer_request(item.about, choice)
                case "compare":
                    self._compared(item.about, choice)
                case "new_box":
                    self._confirm(item.about, choice)
                case "link":
                    self._link(choice)
                case "network":
                    self._core.emit(LookAtSignal())
        except CallboxError as error:
            self._core.warn(f"menu: {error.what}")
            self._core.emit(Play(Tone.ERROR, False))
            self._speaking.say("not_done")

    def _why(self) -> list[Piece]:
        """Return what `callbox why` prints first: the newest call that did not ring, and its chain of reasons."""
        say, speaking = self._speaking.piece, self._speaking
        call = next(iter(self._post.threads.why()), None)
        if call is None:
            return [say("nothing_held_back")]
        when = moment(call.at_ms, self._core, self._people, speaking)
        who = say("did_not_ring", name=call.contact, when=when) if when else say("did_not_ring_once", name=call.contact)
        return [who, Piece(f"{speaking.phrases.chain(call.chain)}.", speaking.phrases.language)]

    def _delete(self, choice: str) -> None:
        last = self._reading.last_message
        if choice == "delete" and last is not None:
            self._post.delete(last.id)
        self._speaking.say("deleted" if choice == "delete" else "kept")

    def _answer_request(self, name: str, choice: str) -> None:
        if choice == "leave":
            self._speaking.say("left")
            return
        self._people.allow({"contact": name, "row": "blocked" if choice == "block" else choice})
        if choice == "block":
            self._speaking.say("blocked", name=name)
            return
        # What they wrote was not read before they were let in; now it is.
        asked = [item for item in self._post.threads.items(name, limit=1) if not item.outgoing]
        self._speaking.say(
            f"may_{choice}", lambda whole: self._reading.read_again(asked[0]) if whole and asked else None, name=name
        )

    def _compared(self, name: str, choice: str) -> None:
        if choice == "leave" or self._number is None or self._number[0] != name:
            self._speaking.say("left")
        elif choice == "same":
            self._people.verify(name, self._number[1])
            self._speaking.say("compared", name=name)
        else:
            self._speaking.say("differ", name=name)

    def _confirm(self, name: str, choice: str) -> None:
        if choice == "confirm":
            self._people.confirm_new_box(name)
            self._speaking.say("confirmed", name=name)
        else:
            self._speaking.say("left")

    def _link(self, choice: str) -> None:
        """The numbers of both boxes were compared: the ones that were said here, or nothing."""
        said = self._number
        if choice == "leave" or self.linking is None or said is None or said[0]:
            self._speaking.say("left")
        elif choice == "same":
            self.linking.confirm(said[1])
            self._speaking.say("linked")
        else:
            self.linking.refuse()
            self._speaking.say("not_linked")

    def signal_seen(self, percent: int | None) -> None:
        """Say how the box is connected, and how well it hears the Wi-Fi."""
        pieces = [self._network()]
        if percent is not None:
            pieces.append(self._speaking.piece("wifi", percent=percent))
        self._speaking.speak(pieces)

    def _network(self) -> Piece:
        say, since_ms = self._speaking.piece, self._announcing.up_since_ms
        if not self._core.link.up:
            return say("not_connected")
        if since_ms is None or not self._people.clock_trusted:
            return say("connected")
        return say(
            "connected_since", server=self.server(), time=local_time(since_ms, self._people, self._speaking.phrases)
        )


def is_changed(contact: Contact) -> bool:
    """Say whether a contact has a new box that waits to be confirmed."""
    return contact.changed_key is not None
