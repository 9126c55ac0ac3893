"""Contacts: who may do what, which key is theirs, which dial button calls them. And what was allowed, and when.

A key is pinned at first sight, or by a card's fingerprint before that; it is *verified* once two people compared
numbers. A key that changes is kept beside the old one until the owner confirms it: calls stay blocked, text flows.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from callbox.base.errors import WrongUse
from callbox.conversations.stores import Delete, Put, Write, read_rows
from callbox.wire.names import valid_name
from callbox.wire.records import Row

TABLE = "contacts"
CONSENTS = "consents"
MOST_FORMER_KEYS = 16
Pin = Literal["pinned", "same", "changed", "former"]


class Contact(msgspec.Struct, frozen=True):
    """One person, by account name."""

    name: str
    permission: Row = "message"
    account_key: bytes | None = None
    verified: bool = False  # numbers were compared for `account_key`
    silenced: bool = False
    dial: int | None = None
    changed_key: bytes | None = None  # a new key, not confirmed yet
    fingerprint: str = ""  # of `account_key`; while no key was seen yet, of the card that it must match
    breakthrough: bool = False  # may ring in quiet hours, at the second call within 3 minutes
    ring_style: Literal["full", "rising", "light"] = "full"
    notify: bool = True  # a message from them makes a sound
    carded: bool = False  # `fingerprint` is a card's, not that of the first key that came along
    former_keys: tuple[bytes, ...] = ()  # given up for a confirmed new one: a lost box, which may be in wrong hands

    @property
    def current_key(self) -> bytes | None:
        """The newest key seen: the one whose number is compared."""
        return self.changed_key or self.account_key

    @property
    def text_key(self) -> bytes | None:
        """The key that text is sealed for, None: nobody's.

        A new key gets text before it is confirmed only if nobody ever vouched for the old one. Otherwise whoever runs
        the server could read what is written to a contact whose numbers were compared.
        """
        return self.account_key if self.verified or self.carded else self.current_key


class Consent(msgspec.Struct, frozen=True):
    """One line of the record of who was allowed what, and when."""

    at_ms: int
    name: str
    what: str


class Contacts:
    """All contacts of this box. Every change returns its writes."""

    def __init__(self, loaded: Mapping[str, bytes], consents: Mapping[str, bytes] | None = None) -> None:
        """Take the loaded tables TABLE and CONSENTS. Raises StoreFault."""
        self._contacts = read_rows(Contact, TABLE, loaded.items())
        self._consents = read_rows(Consent, CONSENTS, (consents or {}).items())
        self.revision = 0  # grows with every change

    def get(self, name: str) -> Contact | None:
        """Return the contact, however the name is written, or None."""
        try:
            return self._contacts.get(valid_name(name))
        except WrongUse:
            return None

    def all(self) -> list[Contact]:
        return sorted(self._contacts.values(), key=lambda contact: contact.name)

    @property
    def consents(self) -> list[Consent]:
        """The record of who was allowed what, oldest first."""
        return sorted(self._consents.values(), key=lambda consent: consent.at_ms)

    def by_dial(self, slot: int) -> Contact | None:
        return next((contact for contact in self._contacts.values() if contact.dial == slot), None)

    def rows_to_set(self, server_rows: Iterable[tuple[str, Row]]) -> list[tuple[str, Row]]:
        """Return what the server has otherwise than we do: (account, row) to be set there."""
        known = dict(server_rows)
        return [
            (contact.name, contact.permission)
            for contact in self.all()
            if known.get(contact.name, "request") != contact.permission
        ]

    # --- what a person decides -----------------------------------------------------------------------------

    def allow(
        self, name: str, row: Row, at_ms: int, dial: int | None = None, fingerprint: str | None = None
    ) -> list[Write]:
        """Set what a contact may do, making the contact when it is new. Raises WrongUse for a bad name.

        A dial button that called someone else calls this contact from now on. `fingerprint` is a card's: the next
        key must match it. A key that was pinned at first sight and is not the card's is given up for that.
        """
        name = valid_name(name)
        contact = self._contacts.get(name, Contact(name))
        writes: list[Write] = []
        if dial is not None:
            for other in self.all():
                if other.dial == dial and other.name != name:
                    writes += self._keep(msgspec.structs.replace(other, dial=None))
            contact = msgspec.structs.replace(contact, dial=dial)
        if fingerprint is not None and fingerprint != contact.fingerprint:
            contact = msgspec.structs.replace(contact, fingerprint=fingerprint, account_key=None, verified=False)
        if fingerprint is not None:
            contact = msgspec.structs.replace(contact, carded=True, former_keys=())
        return [*writes, *self._keep(msgspec.structs.replace(contact, permission=row)), self._record(at_ms, name, row)]

    def silence(self, name: str, silenced: bool, at_ms: int) -> list[Write]:
        """Silence or unsilence a contact. Raises WrongUse when there is none of this name."""
        contact = msgspec.structs.replace(self._known(name), silenced=silenced)
        return [*self._keep(contact), self._record(at_ms, contact.name, "silenced" if silenced else "heard again")]

    def set_breakthrough(self, name: str, allowed: bool, at_ms: int) -> list[Write]:
        """Let a contact through quiet hours at the second call, or no longer. Raises WrongUse when unknown."""
        contact = msgspec.structs.replace(self._known(name), breakthrough=allowed)
        what = "may break through quiet hours" if allowed else "may not break through quiet hours"
        return [*self._keep(contact), self._record(at_ms, contact.name, what)]

    def set_style(self, name: str, ring_style: Literal["full", "rising", "light"], notify: bool) -> list[Write]:
        """Set how a contact rings and whether its messages sound. Raises WrongUse when unknown."""
        return self._keep(msgspec.structs.replace(self._known(name), ring_style=ring_style, notify=notify))

    def verify(self, name: str, at_ms: int) -> list[Write]:
        """Mark the contact's key as compared; a changed key is confirmed by that. Raises WrongUse when keyless."""
        contact = self._known(name)
        if contact.current_key is None:
            raise WrongUse(f"No key of {contact.name} is known yet.", "It comes with the first message or call.")
        contact = msgspec.structs.replace(_with_newest_key(contact), verified=True)
        return [*self._keep(contact), self._record(at_ms, contact.name, "numbers compared")]

    def confirm_new_key(self, name: str, at_ms: int) -> list[Write]:
        """Take a changed key as the contact's, its numbers not compared. Raises WrongUse when none changed."""
        contact = self._known(name)
        if contact.changed_key is None:
            raise WrongUse(f"{contact.name} has no new box to confirm.")
        contact = msgspec.structs.replace(_with_newest_key(contact), verified=False)
        return [*self._keep(contact), self._record(at_ms, contact.name, "new box confirmed")]

    def forget(self, name: str) -> list[Write]:
        """Drop a contact, its key and the record of what was allowed to it. Raises WrongUse when unknown."""
        contact = self._contacts.pop(self._known(name).name)
        self.revision += 1
        theirs = [key for key, consent in self._consents.items() if consent.name == contact.name]
        for key in theirs:
            del self._consents[key]
        return [Delete(TABLE, contact.name), *(Delete(CONSENTS, key) for key in theirs)]

    # --- what the network brings ---------------------------------------------------------------------------

    def requested(self, name: str, at_ms: int) -> list[Write]:
        """A stranger asks to reach us: a contact of the row `request`, which the person accepts or blocks."""
        name = valid_name(name)
        if name in self._contacts:
            return []
        return [*self._keep(Contact(name, permission="request")), self._record(at_ms, name, "asked to reach you")]

    def pin(self, name: str, key: bytes, fingerprint: str = "") -> tuple[Pin, list[Write]]:
        """Meet a contact's account key (whose fingerprint is given). A stranger's is not kept: "same", no writes.

        pinned: it is the first one. same: nothing new. changed: it is not the pinned one, or not the card's; it
        waits in `changed_key`, and every call is refused until the owner confirms it. former: one that was given up
        for a confirmed new one; nothing of it counts any more.
        """
        contact = self.get(name)
        if contact is None:
            return "same", []
        if key == contact.account_key:  # an unconfirmed new key stays: a lying server cannot wipe its trace
            told = fingerprint and not contact.fingerprint
            return "same", self._keep(msgspec.structs.replace(contact, fingerprint=fingerprint)) if told else []
        if key in contact.former_keys:
            return "former", []
        if contact.account_key is None:
            first = not contact.fingerprint and contact.changed_key is None
            if first or (contact.fingerprint and contact.fingerprint == fingerprint):
                pinned = msgspec.structs.replace(contact, account_key=key, changed_key=None, fingerprint=fingerprint)
                return "pinned", self._keep(pinned)
        if key == contact.changed_key:
            return "changed", []
        return "changed", self._keep(msgspec.structs.replace(contact, changed_key=key))

    # --- what another device of this account decided ---------------------------------------------------------

    def agreed(self, contact: Contact, at_ms: int) -> list[Write]:
        """Take a contact as another device of ours has it; what was allowed there goes into the record of consent."""
        known = self._contacts.get(contact.name)
        if known == contact:
            return []
        consent: list[Write] = []
        if known is None or known.permission != contact.permission:
            consent = [self._record(at_ms, contact.name, f"{contact.permission}, on another device")]
        return [*self._keep(contact), *consent]

    def _known(self, name: str) -> Contact:
        contact = self.get(name)
        if contact is None:
            raise WrongUse(
                f"There is no contact {name!r}.", "`callbox contacts` lists them; `callbox allow NAME` adds one."
            )
        return contact

    def _record(self, at_ms: int, name: str, what: str) -> Put:
        key, consent = f"{at_ms}/{name}/{what}", Consent(at_ms, name, what)
        self._consents[key] = consent
        return Put(CONSENTS, key, msgspec.msgpack.encode(consent))

    def _keep(self, contact: Contact) -> list[Write]:
        self._contacts[contact.name] = contact
        self.revision += 1
        return [Put(TABLE, contact.name, msgspec.msgpack.encode(contact))]


def _with_newest_key(contact: Contact) -> Contact:
    """Return the contact with its newest key as its own; the one before, if it is another, is given up."""
    if contact.changed_key is None:
        return contact
    former = contact.former_keys
    if contact.account_key is not None:
        former = (*former, contact.account_key)[-MOST_FORMER_KEYS:]
    return msgspec.structs.replace(
        contact, account_key=contact.current_key, changed_key=None, fingerprint="", carded=False, former_keys=former
    )
