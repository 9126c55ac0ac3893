"""The call that a restart of this box interrupts: noted on disk while it is on, taken up or given up afterwards.

talking when the process ended     -> ask the other box to be let back in, without ringing, muted as it was
dialling when the process ended    -> nobody could answer it any more: whoever still rings for it is told to stop
"""

import msgspec

from callbox.app.calling import Calling
from callbox.app.core import Core
from callbox.app.front import Front
from callbox.app.post import Post
from callbox.app.saved import UnfinishedCall, keep_call
from callbox.base.reasons import Reason
from callbox.calls.effects import RecordCall
from callbox.calls.events import Resumed

LONGEST_CALL_S = 24 * 3600.0
RESTARTED = "the box restarted while it was calling"
RESTARTED_TALKING = "the box restarted in the call and did not come back to it"


class Interrupted:
    """Knows which call is on, here and on disk. Never its keys."""

    def __init__(self, core: Core, calling: Calling, front: Front, post: Post, found: UnfinishedCall | None) -> None:
        self._core = core
        self._calling = calling
        self._front = front
        self._post = post
        self._found = found  # from before the restart, until it is dealt with
        self._noted = found

    def note(self) -> None:
        """Write down which call is on, if that has changed. It takes the place of one from before the restart."""
        now_on = self._now_on()
        if now_on is not None and self._found is not None:
            self._give_up(self._found)
            self._found = None
        noted = now_on or self._found
        if noted != self._noted:
            self._noted = noted
            self._core.commit([keep_call(noted)])

    def _now_on(self) -> UnfinishedCall | None:
        state, view, media = self._calling.machine.state, self._calling.machine.current, self._calling.media.current
        if view is not None and media is not None and state in ("connecting", "talking", "reconnecting"):
            record, muted = media.proven.record, self._front.muted
            began_ms = 0 if view.talking_since is None else self._core.wall_ms_of(view.talking_since)
            return UnfinishedCall(view.call_id, record.account, record.device, media.proven.outgoing, muted, began_ms)
        if view is not None and view.outgoing and state in ("dialing", "connecting"):
            return UnfinishedCall(view.call_id, view.contact, "", True, self._front.muted)
        if view is not None and self._noted is not None and state == "reconnecting":  # asking to be let back in
            return msgspec.structs.replace(self._noted, muted=self._front.muted)
        return None

    def take_up(self) -> None:
        """There is a session again: go on with what the restart interrupted, once."""
        found, self._found = self._found, None
        if found is None:
            return
        if not found.device or self._calling.machine.state != "idle":
            self._give_up(found)
        else:
            self._front.set_mute(found.muted, tone=False)
            self._calling.feed(
                Resumed(found.call_id, found.contact, found.device, found.outgoing, self._talked_s(found))
            )

    def _talked_s(self, found: UnfinishedCall) -> float:
        """Return for how long the call had been on; a clock that was not set yet, or jumped, says nothing."""
        talked_s = (self._core.wall_ms - found.began_ms) / 1000
        return talked_s if found.began_ms and 0.0 <= talked_s <= LONGEST_CALL_S else 0.0

    def _give_up(self, found: UnfinishedCall) -> None:
        """Nobody will go on with it: take it back if it rings still, and write its line."""
        talked = bool(found.device)
        if not talked:
            self._calling.take_back(found.call_id, found.contact)
        reason, why = (Reason.LOST, RESTARTED_TALKING) if talked else (Reason.FAILED, RESTARTED)
        outgoing = found.outgoing
        self._post.call_recorded(RecordCall(found.call_id, found.contact, outgoing, talked, reason, 0.0, (why,)))
