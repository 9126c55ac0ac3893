"""The people desk: contacts and controls of this box, kept in its store and told to the server.

The server enforces the coarse row (`ring`, `knock`, `message`, `request`, `blocked`) and calls on or off for the whole
account; the box asks `conversations.admission` again for every call that comes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from callbox.app.core import Core, Reply
from callbox.app.facts import contact_facts
from callbox.base.admission import Admission
from callbox.base.errors import WrongUse
from callbox.conversations import admission
from callbox.conversations.contacts import Consent, Contact, Contacts
from callbox.conversations.controls import (
    MINUTES_PER_DAY,
    MINUTES_PER_WEEK,
    Controls,
    format_quiet,
    keep_controls,
    parse_quiet,
)
from callbox.conversations.stores import Write
from callbox.crypto.records import card_fingerprint, safety_number
from callbox.wire.names import valid_name
from callbox.wire.records import ROWS, DeviceRecord, Row
from callbox.wire.signals import Accepted, ServerMessage, SetCalls, SetRow, Welcome

MOST_DIAL_SLOTS = 9
MOST_QUIET_SPANS = 8
STYLES = ("full", "rising", "light")
EPOCH_DAY = 3  # the first of January 1970 was a Thursday
MAY_CALL: tuple[Row, ...] = ("ring", "knock")


class People:
    """Contacts, controls, and what the server does not know of them yet."""

    def __init__(self, core: Core, contacts: Contacts, controls: Controls) -> None:
        self._core = core
        self._contacts = contacts
        self.controls = controls
        self._recent = admission.RecentRings()
        self._untold_rows: dict[str, Row] = {}
        self._untold_calls: bool | None = None
        self.clock_trusted = False
        self.on_confirmed: Callable[[str], None] = lambda contact: None
        self.on_gone: Callable[[str], list[Write]] = lambda contact: []
        self.utc_offset_s = 0

    # --- what is so -------------------------------------------------------------------------------------------

    def get(self, name: str) -> Contact | None:
        """Return a contact by name, however its letters are written."""
        return self._contacts.get(name)

    def known(self, name: str) -> str:
        """Return the contact's name as it is kept. Raises WrongUse for somebody who is not a contact."""
        contact = self._contacts.get(name)
        if contact is None:
            raise self.no_contact(name, " --ring")
        if contact.changed_key is not None:
            raise WrongUse(f"{name} has a new box that is not confirmed; calls to it wait for that.")
        return contact.name

    def no_contact(self, name: str, how: str = "") -> WrongUse:
        """Return the error for a name that is nobody's here: the box itself, or somebody to allow first."""
        if name == self._core.identity.account:
            return WrongUse("This is the box's own name.")
        return WrongUse(f"{name} is not among your contacts.", f"Add them first: callbox allow {name}{how}")

    def is_taken_in(self, name: str) -> bool:
        """Say whether this is somebody whom the person has let in: no stranger, no mere request, nobody blocked."""
        contact = self._contacts.get(name)
        return contact is not None and contact.permission not in ("request", "blocked")

    def by_dial(self, slot: int) -> str | None:
        """Return whom dial button `slot` calls."""
        contact = self._contacts.by_dial(slot)
        return contact.name if contact else None

    def may_call(self, name: str) -> bool:
        """Say whether an offer of this account is taken up at all; anybody else's meets silence."""
        contact = self._contacts.get(name)
        return contact is not None and contact.permission in MAY_CALL

    def confirmed(self, record: DeviceRecord) -> bool:
        """Say whether a device has the account key that a contact is known by: not a new one, nobody's else."""
        contact = self._contacts.get(record.account)
        return contact is not None and contact.account_key == record.account_key

    @property
    def requests(self) -> int:
        """How many strangers wait to be accepted or blocked."""
        return sum(contact.permission == "request" for contact in self._contacts.all())

    @property
    def minute_of_week(self) -> int | None:
        """Minute of the local week, counted from Monday's midnight; None while the clock cannot be trusted."""
        if not self.clock_trusted:
            return None
        return (self._core.wall_ms // 60_000 + self.utc_offset_s // 60 + EPOCH_DAY * MINUTES_PER_DAY) % MINUTES_PER_WEEK

    def admit(self, name: str, knock: bool, dialling: bool) -> Admission:
        """Decide about a call that has proven to be live, and remember that it came."""
        contact, now = self._contacts.get(name), self._core.now
        decided = admission.admit(
            contact,
            self.controls,
            now,
            self.minute_of_week,
            self._recent.of(name),
            knock=knock,
            dialling=dialling,
        )
        self._recent.note(name, now)
        return decided

    def quiet_now(self) -> bool:
        """Say whether do not disturb or a quiet hour holds at this moment."""
        minute = self.minute_of_week
        return self.controls.do_not_disturb or (minute is not None and self.controls.is_quiet_hour(minute))

    def all(self) -> list[Contact]:
        """Return all contacts, by name."""
        return self._contacts.all()

    def listed(self) -> list[dict[str, Any]]:
        """Return all contacts as plain facts."""
        return [contact_facts(contact) for contact in self._contacts.all()]

    @property
    def consents(self) -> list[Consent]:
        """The record of who was allowed what, oldest first."""
        return self._contacts.consents

    def controls_facts(self) -> dict[str, Any]:
        """Return what was set for the whole box."""
        controls = self.controls
        quiet = format_quiet(controls.quiet)
        return {"calls_enabled": controls.calls_enabled, "do_not_disturb": controls.do_not_disturb, "quiet": quiet}

    def forget(self, name: str) -> list[Write]:
        """Drop a contact. Raises WrongUse when unknown."""
        self._untold_rows.pop(name, None)
        return self._contacts.forget(name)

    # --- what another device of this account decided ------------------------------------------------------------

    @property
    def revision(self) -> int:
        """Grows with every change of a contact."""
        return self._contacts.revision

    def agreed(self, contact: Contact) -> list[Write]:
        """Take a contact as another device of ours has it; the server hears of it from both."""
        known = self._contacts.get(contact.name)
        writes = self._contacts.agreed(contact, self._core.wall_ms)
        if writes and (known is None or known.permission != contact.permission):
            self._untold_rows[contact.name] = contact.permission
            self._tell()
        if known is not None and known.account_key != contact.account_key:
            self.on_confirmed(contact.name)
        return writes

    def agreed_gone(self, name: str) -> list[Write]:
        """Another device of ours erased a contact."""
        if self._contacts.get(name) is None:
            return []
        self._untold_rows.pop(name, None)
        writes = self._contacts.forget(name)
        return [*self.on_gone(name), *writes]

    def agreed_controls(self, controls: Controls) -> list[Write]:
        """Take the controls that another device of ours has set."""
        if controls == self.controls:
            return []
        if controls.calls_enabled != self.controls.calls_enabled:
            self._untold_calls = controls.calls_enabled
        self.controls = controls
        self._tell()
        return keep_controls(controls)

    # --- what a person decides --------------------------------------------------------------------------------

    def allow(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """Set what a contact may do; one who may call gets the next free dial button unless one was named."""
        name, row = valid_name(str(words["contact"])), words["row"]
        if row not in ROWS:
            raise WrongUse(f"{row!r} is not something that a contact may do.", f"Allowed: {', '.join(ROWS)}.")
        if name == self._core.identity.account:
            raise WrongUse("This is the box's own name.")
        dial = words.get("dial")
        if dial is not None and not 1 <= int(dial) <= MOST_DIAL_SLOTS:
            raise WrongUse(f"There is no dial button {dial}.", f"They are numbered 1 to {MOST_DIAL_SLOTS}.")
        known = self._contacts.get(name)
        if dial is None and row in MAY_CALL and (known is None or known.dial is None):
            dial = next((slot for slot in range(1, MOST_DIAL_SLOTS + 1) if not self._contacts.by_dial(slot)), None)
        fingerprint = str(words.get("fingerprint") or "") or None
        self._untold_rows[name] = row
        # Told only when it is on the card: a server that knew a wish which no box remembers would keep it for ever.
        self._core.commit(self._contacts.allow(name, row, self._core.wall_ms, dial, fingerprint), then=self._tell)
        contact = self._contacts.get(name)
        return {
            "ok": True,
            "contact": name,
            "row": row,
            "dial": contact and contact.dial,
            "verified": contact and contact.verified,
        }

    def requested(self, record: DeviceRecord) -> list[Write]:
        """A stranger wrote: keep them as a request, their key pinned."""
        writes = self._contacts.requested(record.account, self._core.wall_ms)
        _, pinned = self._contacts.pin(record.account, record.account_key, card_fingerprint(record.account_key))
        return [*writes, *pinned]

    def silence(self, name: str, silenced: bool) -> dict[str, Any]:
        """Let the calls of a contact pass without a sign, or ring again."""
        self._core.commit(self._contacts.silence(name, silenced, self._core.wall_ms))
        return {"ok": True, "contact": valid_name(name), "silenced": silenced}

    def prefer(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """Set how a contact rings, whether its messages sound, whether it breaks through quiet hours.

        What is not named stays as it is. Raises WrongUse when unknown.
        """
        contact = self._contacts.get(str(words["contact"]))
        if contact is None:
            raise self.no_contact(str(words["contact"]))
        style, notify, through = words.get("style"), words.get("notify"), words.get("breakthrough")
        if style is not None and style not in STYLES:
            raise WrongUse(f"{style!r} is not a way to ring.", f"Allowed: {', '.join(STYLES)}.")
        writes: list[Write] = []
        if style is not None or notify is not None:
            notify = contact.notify if notify is None else bool(notify)
            writes += self._contacts.set_style(contact.name, style or contact.ring_style, notify)
        if through is not None:
            writes += self._contacts.set_breakthrough(contact.name, bool(through), self._core.wall_ms)
        self._core.commit(writes)
        return {"ok": True, **contact_facts(self._contacts.get(contact.name) or contact)}

    def safety_number(self, name: str) -> dict[str, Any]:
        """Return the number that both people compare, and whether they have."""
        contact = self._contacts.get(name)
        if contact is None:
            raise self.no_contact(name)
        if contact.current_key is None:
            raise WrongUse(f"No key of {name} is known yet.", "It comes with the first message or call.")
        number = safety_number(self._core.identity.account_public, contact.current_key)
        facts = {"contact": contact.name, "number": number, "verified": contact.verified}
        return {"ok": True, "changed": contact.changed_key is not None, **facts}

    def verify(self, name: str, number: str | None = None) -> dict[str, Any]:
        """The numbers were compared: a changed key is confirmed by that.

        `number`: the one that was compared. Raises WrongUse if it is another one by now.
        """
        if number not in (None, self.safety_number(name)["number"]):
            raise WrongUse(f"The number of {name} has changed while you compared it.", "Compare the new one.")
        self._core.commit(self._contacts.verify(name, self._core.wall_ms))
        self.on_confirmed(valid_name(name))
        return self.safety_number(name)

    def confirm_new_box(self, name: str) -> None:
        """Take the new key of a contact as theirs, without numbers compared. Raises WrongUse when there is none."""
        self._core.commit(self._contacts.confirm_new_key(name, self._core.wall_ms))
        self.on_confirmed(valid_name(name))

    def set_quiet_hours(self, span: str | None) -> dict[str, Any]:
        """Keep spans of the day or week quiet (see `parse_quiet`), or none. Raises WrongUse."""
        spans = parse_quiet(span) if span else ()
        if len(spans) > MOST_QUIET_SPANS:
            raise WrongUse(f"There may be {MOST_QUIET_SPANS} quiet spans.", "Join some of them.")
        self._keep(msgspec.structs.replace(self.controls, quiet=spans))
        return {"ok": True, "quiet": format_quiet(self.controls.quiet)}

    def set_calls(self, enabled: bool) -> None:
        """Take calls, or none, on all devices of this account."""
        self._keep(msgspec.structs.replace(self.controls, calls_enabled=enabled))
        self._untold_calls = enabled
        self._tell()

    def set_do_not_disturb(self, on: bool) -> None:
        """Let calls pass without sound, or ring again."""
        self._keep(msgspec.structs.replace(self.controls, do_not_disturb=on))

    def _keep(self, controls: Controls) -> None:
        self.controls = controls
        self._core.commit(keep_controls(controls))

    # --- what the server knows --------------------------------------------------------------------------------

    @property
    def told_everything(self) -> bool:
        """True once the server has heard of every permission and of calls on or off."""
        return self._core.link.up and not self._untold_rows and self._untold_calls is None

    def session_up(self, welcome: Welcome) -> None:
        """Compare what the server knows with what holds here, and tell it the difference."""
        self._untold_rows = dict(self._contacts.rows_to_set(welcome.rows))
        self._untold_calls = (
            None if welcome.calls_enabled == self.controls.calls_enabled else self.controls.calls_enabled
        )
        self._tell()

    def _tell(self) -> None:
        if not self._core.link.up:
            return
        for name, row in list(self._untold_rows.items()):
            self._tell_row(name, row)
        enabled = self._untold_calls
        if enabled is not None:
            self._core.request(lambda number: SetCalls(number, enabled), self._calls_told(enabled))

    def _tell_row(self, name: str, row: Row) -> None:
        def told(message: ServerMessage | None) -> None:
            if self._core.put_off(message, self._tell):
                return
            if message is not None and self._untold_rows.get(name) == row:
                del self._untold_rows[name]
                if not isinstance(message, Accepted):
                    self._core.warn(f"the server does not take the permission of {name}: is the name right?")

        self._core.request(lambda number: SetRow(number, name, row), told)

    def _calls_told(self, enabled: bool) -> Reply:
        def told(message: ServerMessage | None) -> None:
            if self._core.put_off(message, self._tell):
                return
            if isinstance(message, Accepted) and self._untold_calls == enabled:
                self._untold_calls = None

        return told
