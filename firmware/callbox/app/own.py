"""The account's own affairs, put together: its devices, linking, agreement, a server that moves, the backup."""

from collections.abc import Callable, Mapping
from typing import Any

from callbox.app.agreeing import Agreeing
from callbox.app.backup import sealed_backup
from callbox.app.control import Control, Facts, failure
from callbox.app.core import Core
from callbox.app.directory import Directory
from callbox.app.keys import Keys
from callbox.app.linking import Linking
from callbox.app.moving import Moving
from callbox.app.own_devices import TABLE as OWN_DEVICES
from callbox.app.own_devices import OwnDevices
from callbox.app.own_items import AHEAD, OwnItems
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.saved import Saved
from callbox.base.time import Instant, earliest
from callbox.conversations.agreement import TABLE as RECORDS
from callbox.conversations.stores import Write
from callbox.wire.bodies import Body, DeviceList, OwnRecords
from callbox.wire.signals import DevicesChanged, LinkAsked, Moved, Welcome

ASK_AGAIN_S = 30.0


class Own:
    """Joins the desks of this room; the box knows only this one."""

    def __init__(
        self,
        core: Core,
        keys: Keys,
        directory: Directory,
        people: People,
        post: Post,
        saved: Saved,
        busy: Callable[[], bool],
    ) -> None:
        self._core = core
        self._keys = keys
        self._directory = directory
        self._people = people
        self._post = post
        self._saved = saved
        load = saved.store.load
        self.moving = Moving(core, saved.membership, busy)
        self.devices = OwnDevices(core, directory, load(OWN_DEVICES))
        self.agreeing = Agreeing(core, self.devices, people, post, load(RECORDS))
        self.items = OwnItems(core, self.devices, post, load(AHEAD))
        self.linking = Linking(core, self.devices, lambda: self.moving.address, saved.membership.server_id)
        self.devices.on_joined = self.agreeing.joined
        self.devices.tell_contacts = self._tell_contacts
        post.inbox.on_own = self._take
        post.inbox.knows_contacts = lambda: self.agreeing.begun
        keys.on_gap = self._gap
        self.on_gap: Callable[[], None] = lambda: None

    def join(self, control: Control) -> None:
        """Let the command line ask these desks."""
        waits = {"ok": True, "waits": True}
        control.learn(
            {
                "devices": lambda ask, words: self._listed(),
                "revoke": lambda ask, words: self.devices.revoke(str(words["device"])),
                "link": lambda ask, words: self.linking.begin(),
                "link wait": lambda ask, words: control.wait(ask, self.linking.waits, waits, ASK_AGAIN_S),
                "link confirm": lambda ask, words: self.linking.confirm(str(words["numbers"])),
                "link refuse": lambda ask, words: self.linking.refuse(),
                "devices told": lambda ask, words: self._told(control, ask),
                "backup": lambda ask, words: self._backup(words),
            },
            kept=("revoke", "link confirm"),
        )

    def from_server(self) -> dict[type, Callable[[Any], None]]:
        """Return who handles what the server says about these things."""
        return {
            DevicesChanged: self._devices_changed,
            LinkAsked: self.linking.asked,
            Moved: self.moving.moved,
        }

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is due."""
        return earliest(self._keys.deadline, self.moving.deadline, self.linking.deadline, self.agreeing.deadline)

    def session_up(self, welcome: Welcome) -> None:
        """There is a session: what either side forgot is told again, and the server hears what it lacks."""
        self.moving.session_up()
        self._keys.session_up(welcome)
        self.devices.session_up()
        self.agreeing.session_up(welcome)
        self.linking.session_up()

    def session_lost(self) -> None:
        """Nobody to tell."""
        self.agreeing.session_lost()

    def tick(self) -> None:
        """Do what is due, and send on what changed during this event."""
        self._keys.tick()
        self.moving.tick()
        self.linking.tick()
        self.agreeing.tick()
        self.items.tick()

    def _take(self, account: str, body: Body) -> list[Write]:
        """Take a letter about devices: anybody's about their own, all else only of a device of ours."""
        if isinstance(body, DeviceList):
            self._directory.told(account, body.records)
            return []
        if account != self._core.identity.account:
            return []
        return self.agreeing.take(body) if isinstance(body, OwnRecords) else self.items.take(body)

    def _gap(self) -> None:
        """The server was restored, or this box was: letters are handed over again, siblings compare everything."""
        self._post.resubmit()
        self.agreeing.compare()
        self.on_gap()

    def _devices_changed(self, message: DevicesChanged) -> None:
        self._directory.changed(message.account)
        if message.account == self._core.identity.account:
            self.devices.look()
        self._post.devices_changed(message.account)

    def _tell_contacts(self, body: DeviceList) -> None:
        """Whoever wrote to us hears of a change sealed as well: a server that withholds it withholds all our mail."""
        for contact in self._people.all():
            if self._people.is_taken_in(contact.name) and self._post.threads.heard_from(contact.name):
                self._core.commit(self._post.letters_to(contact.name, body), then=self._post.pump)
        if self.devices.others:
            own = self._core.identity.account
            self._core.commit(self._post.letters_to(own, body), then=self._post.pump)

    def _listed(self) -> Facts:
        return {"ok": True, "devices": self.devices.listed(), "holds_key": self.devices.holds_key}

    def _told(self, control: Control, ask: int) -> Facts | None:
        """Answered once the server has every record of this account's devices."""

        def check() -> Facts | None:
            return {"ok": True} if self._core.link.up and self.devices.put and self._keys.published else None

        control.wait(ask, check, failure("The server cannot be reached now."))
        return None

    def _backup(self, words: Mapping[str, Any]) -> Facts:
        return sealed_backup(self._core, self._people, self._post, self.devices, self.agreeing, self.moving, words)
