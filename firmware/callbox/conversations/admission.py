"""Who may ring: one pure answer per incoming call, with the chain of reasons that `callbox why` prints.

What stands in parentheses in a link of the chain is for the eye: spoken, it is left out.

The order of the questions matters. A blocked or unknown caller learns nothing from our controls; a person whom we
are dialling ourselves is not kept out by controls that are meant for being called.
"""

from collections import deque
from collections.abc import Iterable
from typing import Literal

from callbox.base.admission import Admission
from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls, format_quiet

BREAKTHROUGH_S = 180.0
MAX_REQUEST_BYTES = 1024
TextWelcome = Literal["read", "quietly", "request", "drop"]


def admit(
    contact: Contact | None,
    controls: Controls,
    now: Instant,
    week_minute: int | None,
    recent_rings: Iterable[Instant] = (),
    *,
    knock: bool = False,
    dialling: bool = False,
) -> Admission:
    """Decide how a proven call from `contact` may make itself known.

    `week_minute`: minute of the local week, counted from Monday's midnight; None while the clock is not trusted (quiet
    hours then do not apply).
    `recent_rings`: when this contact rang before. `knock`: the caller only knocks. `dialling`: we are calling this
    contact at this moment.
    """
    if contact is None:
        return Admission("refuse", Reason.NOT_ALLOWED, ("not among your contacts",))
    if contact.permission == "blocked":
        return Admission("refuse", Reason.BLOCKED, ("blocked",))
    if contact.permission in ("request", "message"):
        return Admission("refuse", Reason.NOT_ALLOWED, (f"may {_MAY[contact.permission]}, not ring",))
    if contact.changed_key is not None:
        return Admission("refuse", Reason.KEY_CHANGED, ("has a new box that is not confirmed",))
    if dialling:
        return Admission("ring", None, ("you are calling each other",))
    if not controls.calls_enabled:
        return Admission("refuse", Reason.CALLS_DISABLED, ("calls are disabled",))
    if contact.silenced:
        return Admission("silent", Reason.SILENCED, ("calls are enabled", "silenced"))
    quiet, chain = _quiet(contact, controls, now, week_minute, recent_rings)
    if quiet:
        return Admission("refuse", Reason.QUIET, chain)
    if knock or contact.permission == "knock":
        why = "may knock, not ring" if contact.permission == "knock" else "only knocked"
        return Admission("light", Reason.KNOCKED, (*chain, why))
    return Admission("ring", None, (*chain, "may ring"))


def welcome_text(
    contact: Contact | None,
    controls: Controls,
    week_minute: int | None,
    size_bytes: int,
    *,
    only_contacts: bool = False,
) -> TextWelcome:
    """Decide what becomes of a text of `size_bytes`.

    read: it lands in the thread and makes itself heard. quietly: the light alone. request: a stranger's first;
    it is kept, and read only once the stranger is accepted. drop: acknowledged, and nothing else. `only_contacts`:
    nobody may ask either.
    """
    if contact is None and only_contacts:
        return "drop"
    if contact is None:
        return "request" if size_bytes <= MAX_REQUEST_BYTES else "drop"
    if contact.permission in ("blocked", "request"):
        return "drop"
    quiet_hour = week_minute is not None and controls.is_quiet_hour(week_minute)
    if contact.silenced or not contact.notify or controls.do_not_disturb or quiet_hour:
        return "quietly"
    return "read"


class RecentRings:
    """Remembers when each contact rang, as long as that can matter. In memory only."""

    def __init__(self, kept_per_contact: int = 8) -> None:
        self._kept = kept_per_contact
        self._rings: dict[str, deque[Instant]] = {}

    def of(self, name: str) -> tuple[Instant, ...]:
        return tuple(self._rings.get(name, ()))

    def note(self, name: str, now: Instant) -> None:
        """Remember one ring; call it after `admit`, once per call. Contacts whose rings are too old are dropped."""
        self._rings = {who: rings for who, rings in self._rings.items() if now - rings[-1] <= BREAKTHROUGH_S}
        self._rings.setdefault(name, deque(maxlen=self._kept)).append(now)


_MAY = {"request": "send one request", "message": "send messages"}


def _quiet(
    contact: Contact, controls: Controls, now: Instant, week_minute: int | None, recent_rings: Iterable[Instant]
) -> tuple[bool, tuple[str, ...]]:
    if controls.do_not_disturb:
        cause = "do not disturb"
    elif controls.quiet and week_minute is None:
        return False, ("calls are enabled", "quiet hours do not apply while the clock is not set")
    else:
        span = controls.quiet_span(week_minute) if week_minute is not None else None
        if span is None:
            return False, ("calls are enabled",)
        cause = f"quiet hours ({format_quiet([span])})"
    if not contact.breakthrough:
        return True, ("calls are enabled", cause, "may not break through")
    if any(0 <= now - ring <= BREAKTHROUGH_S for ring in recent_rings):
        return False, ("calls are enabled", cause, "broke through at the second call within 3 minutes")
    return True, ("calls are enabled", cause, "first call: a second within 3 minutes breaks through")
