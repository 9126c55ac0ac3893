"""Link invites that wait to be taken up, in memory only: a restart of the server ends them."""

from dataclasses import dataclass, field

from callbox.base.time import Instant
from callbox.wire.signals import AskLink

LINK_S = 900.0
MOST_LINKS = 256


@dataclass(slots=True)
class Link:
    """One invite of an account's device. `connection`: the new device that came with it."""

    account: str
    device: str
    ends: Instant
    connection: int | None = None
    asked: AskLink | None = None


@dataclass(slots=True)
class Links:
    """By token. One account has one link at a time."""

    _links: dict[str, Link] = field(default_factory=dict)

    def open(self, token: str, account: str, device: str, now: Instant) -> Link | None:
        """Return the link of this token, made if it is new; None if there is no room."""
        self._expire(now)
        known = self._links.get(token)
        if known is not None:
            return known if known.device == device else None
        for older in [older for older, link in self._links.items() if link.account == account]:
            del self._links[older]
        if len(self._links) >= MOST_LINKS:
            return None
        self._links[token] = Link(account, device, now + LINK_S)
        return self._links[token]

    def get(self, token: str, now: Instant) -> Link | None:
        self._expire(now)
        return self._links.get(token)

    def signed(self, record: bytes) -> int | None:
        """The account signed this record: return the connection that waits for it, whose link is used up."""
        for token, link in self._links.items():
            if link.asked is not None and link.asked.record == record:
                del self._links[token]
                return link.connection
        return None

    def drop(self, token: str) -> None:
        self._links.pop(token, None)

    def _expire(self, now: Instant) -> None:
        self._links = {token: link for token, link in self._links.items() if link.ends > now}
