"""The media of the present call: its keys, its route at the server, and when samples may flow.

    proven handshake --adopt--> keys ready --open_route--> the server, for both ends --route_opened--> StartMedia

Keys and frame counters stay through a lost link; only the route is asked for anew. A call that is taken up again after
a restart has another handshake, and so other keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

from callbox.app import effects as do
from callbox.app.core import Core
from callbox.app.handshakes import Proven
from callbox.app.settings import CallSettings
from callbox.audio import facts as audio
from callbox.calls import events as happened
from callbox.wire.signals import CloseRoute, Denied, OpenRoute, RouteClosed, RouteOpened, ServerMessage

SAVER_KBPS = 48  # the step `saver` and those below
SAVER_COPIES = 0.25  # enough to send again what a stalled connection owes


@dataclass(slots=True)
class Media:
    """Whose device, which keys, which route of the server."""

    call_id: bytes
    proven: Proven
    route: int | None = None
    flowing: bool = False


def most_kbps(calls: CallSettings) -> int:
    """Return what one direction of a call may cost, in kbit/s; 0: no limit."""
    limits = [limit for limit in (calls.max_kbps, SAVER_KBPS if calls.data_saver else 0) if limit]
    return min(limits, default=0)


def copies(calls: CallSettings) -> float:
    """Return how many bytes may be sent again on a bad network, for each byte of voice."""
    return min(calls.copies, SAVER_COPIES) if calls.data_saver else calls.copies


class CallMedia:
    """At most one call has media. `feed` tells the call machine what became of the route."""

    def __init__(self, core: Core, feed: Callable[[happened.Event], None], muted: Callable[[], bool]) -> None:
        self._core = core
        self._feed = feed
        self._muted = muted
        self.current: Media | None = None

    @property
    def code(self) -> str:
        """The three numbers of this call that two people can read to each other; empty without a call."""
        return self.current.proven.keys.code if self.current is not None else ""

    def adopt(self, call_id: bytes, proven: Proven) -> None:
        """Make the media keys of a proven handshake ready."""
        if self.current is not None and self.current.proven is proven:
            return
        if self.current is not None and self.current.flowing:
            self._core.emit(audio.StopMedia())
        self.current = Media(call_id, proven)

    def open_route(self) -> None:
        """Ask the server for the way between the two devices."""
        media = self.current
        if media is None:
            return
        record, token = media.proven.record, media.proven.keys.route_token

        def build(number: int) -> OpenRoute:
            return OpenRoute(number, token, media.call_id, record.account, record.device)

        def answered(message: ServerMessage | None) -> None:
            if isinstance(message, RouteOpened):
                self.route_opened(message)
            elif isinstance(message, Denied):
                self._core.warn(f"the server refused the voice route of the call with {record.account}")

        self._core.request(build, answered)

    def route_opened(self, message: RouteOpened) -> None:
        """The server says that both ends are on the route (or only ours, still)."""
        media = self.current
        if media is None or not message.complete:
            return
        if media.route == message.route and media.flowing:
            return
        media.route = message.route
        self._core.emit(do.AttachRoute(message.route, copies(self._core.settings.calls)))
        if not media.flowing:
            media.flowing = True
            calls, sealer, opener = self._core.settings.calls, media.proven.sealer, media.proven.opener
            held = None if calls.step == "auto" else calls.step
            self._core.emit(
                audio.StartMedia(sealer.seal, opener.open, held, most_kbps(calls)),
                audio.SetCapture(not self._muted()),
                *self._core.link.media_flows(True, self._core.now),
            )
        self._feed(happened.RouteReady(media.call_id))

    def route_closed(self, message: RouteClosed) -> None:
        """The server closed the route: the voice has no way until it is open again."""
        media = self.current
        if media is not None and media.route == message.route:
            self.leave_route()
            self._feed(happened.RouteLost(media.call_id))

    def leave_route(self) -> None:
        """The route is left with the session: no voice may go out before the next session has opened it again."""
        if self.current is not None:
            self.current.route = None
            self._core.emit(do.DetachRoute())

    def stop(self) -> None:
        """The call is over: no sample goes anywhere any more."""
        media, self.current = self.current, None
        if media is None:
            return
        self._core.emit(audio.StopMedia(), do.DetachRoute())
        if media.route is not None:
            self._core.say(CloseRoute(media.route))
