"""The reading desk: messages and missed calls are read aloud or played, one for each press, oldest first.

    PlayNext -> the oldest unread item -> "Kitchen, 10 minutes ago" -> the player of its kind -> heard, and its mark

An item is heard when it was played to its end, not when that began. Each kind of item has a player; texts and calls
are read here, other kinds bring their own.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from callbox.app.core import Core
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.speaking import Piece, Speaking
from callbox.audio.facts import Play
from callbox.audio.tones import Tone
from callbox.base.time import Instant
from callbox.conversations.items import CallItem, Item, TextItem

READ_AT_ONCE = 1000  # characters, about a minute; the rest is read at the next press
PIECE = 250  # characters that are made into sound at once
MOST_REMEMBERED = 32

Ended = Callable[[bool], None]


class Player(Protocol):
    """Plays items of one kind."""

    def play(self, item: Item, ended: Ended) -> None:
        """Begin. Call `ended(True)` once it was heard to its end, `ended(False)` if it cannot be."""
        ...

    def stop(self) -> None:
        """Be silent at once, without calling `ended`."""
        ...


class Reading:
    """Plays what is unread, and the last message again. `players`: by kind of item."""

    def __init__(self, core: Core, people: People, post: Post, speaking: Speaking) -> None:
        self._core = core
        self._people = people
        self._post = post
        self._speaking = speaking
        aloud = Aloud(core, people, speaking)
        self.players: dict[type[Item], Player] = {TextItem: aloud, CallItem: aloud}
        self._item: Item | None = None
        self._player: Player | None = None
        self._stopped: tuple[Instant, str] | None = None  # the press that stopped it, and whose message it was
        self._last: bytes | None = None

    @property
    def contact(self) -> str | None:
        """Whose message is being played now."""
        return None if self._item is None else self._item.contact

    def contact_at(self, pressed_at: Instant) -> str | None:
        """Whose message is being played, or was until the press at `pressed_at` stopped it."""
        if self._stopped is not None and self._stopped[0] == pressed_at:
            return self._stopped[1]
        return self.contact

    def play_next(self) -> None:
        """Play the oldest unread item."""
        unread = self._post.threads.unread()
        if unread:
            self._play(unread[0], mark=True)
        else:
            self._core.emit(Play(Tone.TICK, False))
            self._speaking.say("unread_none")

    def read_again(self, item: Item) -> None:
        """Play an item whose words were held back until now."""
        self._play(item, mark=False)

    def repeat(self, ended: Ended) -> None:
        """Play the last message again; no mark comes of it."""
        item = self.last_message
        if item is None:
            self._speaking.say("no_message", ended)
        else:
            self._play(item, mark=False, then=ended)

    @property
    def last_message(self) -> Item | None:
        """The message that was played last; or else the newest one that was received."""
        played = self._post.threads.get(self._last) if self._last is not None else None
        received = (
            item
            for item in self._post.threads.items(limit=1000)
            if not item.outgoing and not isinstance(item, CallItem) and self._people.is_taken_in(item.contact)
        )
        return played or next(received, None)

    def stop(self, pressed_at: Instant | None = None) -> None:
        """Be silent at once. `pressed_at`: the press that asks for it, which may go on to call the sender."""
        if self._item is None:
            return
        if pressed_at is not None:
            self._stopped = (pressed_at, self._item.contact)
        player, self._item, self._player = self._player, None, None
        if player is not None:
            player.stop()
        self._speaking.hush()

    def _play(self, item: Item, mark: bool, then: Ended | None = None) -> None:
        self.stop()
        self._stopped = None
        player = self.players.get(type(item))
        if player is None or (isinstance(player, Aloud) and not self._speaking.says):
            self._only_mark(item, mark)
            if then is not None:
                then(False)
            return
        self._item, self._player = item, player
        if not isinstance(item, CallItem):
            self._last = item.id

        def ended(whole: bool) -> None:
            if self._item is not item:
                return
            self._item = self._player = None
            if whole and mark:
                self._post.heard([item])
            if then is not None:
                then(whole)

        if isinstance(item, CallItem) or not self._speaking.says:
            player.play(item, ended)
        else:
            intro = introduction(item, self._core, self._people, self._speaking)
            self._speaking.speak([intro], lambda whole: player.play(item, ended) if whole else ended(False))

    def _only_mark(self, item: Item, mark: bool) -> None:
        """A box without a voice: the press says that its person saw the light; `callbox messages` has the words."""
        if mark:
            self._post.heard([item])
        self._core.emit(Play(Tone.MESSAGE, False))


class Aloud:
    """Reads texts and missed calls. Where a long text was left off, the next press goes on."""

    def __init__(self, core: Core, people: People, speaking: Speaking) -> None:
        self._core = core
        self._people = people
        self._speaking = speaking
        self._read: dict[bytes, int] = {}  # characters of long texts that have been read

    def play(self, item: Item, ended: Ended) -> None:
        """Read an item aloud."""
        if isinstance(item, CallItem):
            self._speaking.speak(self._call(item), ended)
        elif isinstance(item, TextItem):
            self._text(item, ended)
        else:
            ended(False)

    def stop(self) -> None:
        """Nothing: the speaking desk is hushed."""

    def _call(self, item: CallItem) -> list[Piece]:
        say = self._speaking.piece
        key = "knocked" if item.knock else "called"
        when = moment(item.at_ms, self._core, self._people, self._speaking)
        who = say(f"{key}_at", name=item.contact, when=when) if when else say(key, name=item.contact)
        return [who, say(f"reason_{item.reason.value}")]

    def _text(self, item: TextItem, ended: Ended) -> None:
        say, language = self._speaking.piece, self._speaking.phrases.language
        contact = self._people.get(item.contact)
        if contact is None or contact.permission == "request":  # what a stranger wrote is read once they are let in
            self._speaking.speak([say("menu_request", name=item.contact), say("answer_in_menu")], ended)
            return
        begin = self._read.get(item.id, 0)
        end = min(len(item.text), cut(item.text, begin, READ_AT_ONCE))
        part = item.text[begin:end]
        pieces = [say("unconfirmed")] if item.problem and not begin else []
        if any(character.isalnum() for character in part):
            pieces += [Piece(text, language) for text in split(part)]
        else:
            pieces.append(say("without_words"))
        last = end == len(item.text)
        if not last:
            pieces.append(say("goes_on"))

        def read(whole: bool) -> None:
            self._read.pop(item.id, None)
            if not last and whole:
                self._read = dict([*self._read.items(), (item.id, end)][-MOST_REMEMBERED:])
            elif not whole and begin:
                self._read[item.id] = begin
            ended(whole and last)

        self._speaking.speak(pieces, read)


def introduction(item: Item, core: Core, people: People, speaking: Speaking) -> Piece:
    """Return who an item is from, and when it came if the clock was right."""
    when = moment(item.at_ms, core, people, speaking)
    if when is None:
        return speaking.piece("name", name=item.contact)
    return speaking.piece("from_at", name=item.contact, when=when)


def moment(at_ms: int, core: Core, people: People, speaking: Speaking) -> str | None:
    """Return how one says when something was; None while the clock cannot be trusted."""
    if not people.clock_trusted:
        return None
    local_ms = people.utc_offset_s * 1000
    return speaking.phrases.when(at_ms + local_ms, core.wall_ms + local_ms)


def split(text: str) -> Iterator[str]:
    """Cut a text into pieces of up to PIECE characters, at the end of a sentence or a word where there is one."""
    begin = 0
    while begin < len(text):
        end = cut(text, begin, PIECE)
        yield text[begin:end]
        begin = end


def cut(text: str, begin: int, most: int) -> int:
    """Return where to end a piece that begins at `begin` and has up to `most` characters."""
    limit = begin + most
    if limit >= len(text):
        return len(text)
    for marks in (".!?\n。！？", ",;:، 、"):
        found = max(text.rfind(mark, begin + most // 2, limit) for mark in marks)
        if found >= 0:
            return found + 1
    return limit
