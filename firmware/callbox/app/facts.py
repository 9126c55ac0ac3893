"""What a box tells of itself as plain facts: for `--json`, and for the words that `commands.shown` makes of them."""

from typing import Any

from callbox.audio.facts import Meter
from callbox.base.time import Instant
from callbox.calls.state import CallView
from callbox.conversations.contacts import Consent, Contact
from callbox.conversations.items import CallItem, Item, VoiceItem, sound_is_here, trouble_with


def call_facts(call: CallView, code: str, now: Instant) -> dict[str, Any]:
    """Return the present call; `code` is what both people may compare by voice, once it is known."""
    return {
        "contact": call.contact,
        "outgoing": call.outgoing,
        "knock": call.knock,
        "duration_s": round(now - call.talking_since, 1) if call.talking_since is not None else None,
        "code": code or None,
    }


def media_facts(meter: Meter) -> dict[str, Any]:
    """Return the voice figures of a call."""
    stats = meter.stats
    return {
        "level_in_db": round(meter.level_in, 1),
        "level_out_db": round(meter.level_out, 1),
        **{name: getattr(stats, name) for name in stats.__slots__},
    }


def contact_facts(contact: Contact) -> dict[str, Any]:
    """Return what a person may know of a contact; keys are told by their numbers (`callbox verify`)."""
    return {
        "name": contact.name,
        "permission": contact.permission,
        "dial": contact.dial,
        "breakthrough": contact.breakthrough,
        "ring_style": contact.ring_style,
        "notify": contact.notify,
        "silenced": contact.silenced,
        "verified": contact.verified,
        "known": contact.account_key is not None,
        "key_changed": contact.changed_key is not None,
    }


def consent_facts(consent: Consent) -> dict[str, Any]:
    """Return one line of the record of consent."""
    return {"at_ms": consent.at_ms, "name": consent.name, "what": consent.what}


def item_facts(item: Item) -> dict[str, Any]:
    """Return an item of a conversation."""
    facts = {
        "kind": item.__struct_config__.tag,
        "id": item.id.hex(),
        "contact": item.contact,
        "outgoing": item.outgoing,
        "at_ms": item.at_ms,
    }
    if isinstance(item, CallItem):
        return facts | {
            "reason": item.reason.value,
            "answered": item.answered,
            "knock": item.knock,
            "duration_s": round(item.duration_s, 1),
            "chain": list(item.chain),
            "heard": item.heard,
        }
    if isinstance(item, VoiceItem):
        return facts | {
            "duration_s": round(item.duration_ms / 1000, 1),
            "state": item.state,
            "problem": trouble_with(item),
            "here": sound_is_here(item),
        }
    return facts | {"text": item.text, "state": item.state, "ready_made": item.ready_made, "problem": item.problem}
