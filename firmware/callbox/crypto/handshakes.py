"""Several handshakes at once: a caller's towards every device of the callee, and those a box has open as callee."""

from collections.abc import Mapping

from callbox.base.time import Instant, earliest
from callbox.crypto.errors import HandshakeRefused
from callbox.crypto.handshake import CalleeHandshake, CallerHandshake
from callbox.wire.bodies import CallAck, CallAnswer, CallOffer, CallReveal, CallRinging

MAX_OPEN_PER_PEER = 3


class CallerHandshakes:
    """One call towards all devices of the callee. The caller alone picks who gets it: the first valid answer."""

    def __init__(self, by_device: Mapping[str, CallerHandshake]) -> None:
        self._by_device = dict(by_device)
        self.winner: str | None = None

    def __getitem__(self, device: str) -> CallerHandshake:
        """Return the handshake towards `device`. Raises HandshakeRefused for a device that got no offer."""
        try:
            return self._by_device[device]
        except KeyError:
            raise HandshakeRefused("this device was not called") from None

    def ringing(self, device: str, ringing: CallRinging) -> CallReveal:
        """Reveal to `device`. Raises HandshakeRefused, also once another device has the call."""
        if self.winner is not None:
            raise HandshakeRefused("the call was answered already")
        return self[device].ringing(ringing)

    def answered(self, device: str, answer: CallAnswer) -> CallAck | None:
        """Return the ack for the winner; None for a valid answer that came too late (tell it: taken).

        Raises HandshakeRefused for a wrong or repeated answer. The losers' secrets are dropped by it.
        """
        ack = self[device].answered(answer)
        if self.winner is not None:
            self[device].forget()
            return None
        self.winner = device
        return ack

    def forget(self) -> None:
        """Drop every secret: the call is over."""
        for handshake in self._by_device.values():
            handshake.forget()


class OpenHandshakes:
    """The callee's book, by peer (one key per peer *account*) , device and call.

    At most three of a peer wait for a reveal; those that waited for 60 s are dropped.
    """

    def __init__(self) -> None:
        self._book: dict[tuple[str, str, bytes], CalleeHandshake] = {}

    def __len__(self) -> int:
        return len(self._book)

    @property
    def deadline(self) -> Instant | None:
        """When the next waiting handshake expires."""
        return earliest(*(handshake.expires for handshake in self._book.values() if handshake.waiting))

    def check(self, peer: str, device: str, offer: CallOffer, now: Instant) -> None:
        """Raise HandshakeRefused if this peer has three open, or this very offer is here already.

        A device may offer its call anew (a server or a box restarted, and the offer with it): a fresh commitment takes
        the place of the older one. Call it before `CalleeHandshake` is made, so that a flood costs no key.
        """
        self.tick(now)
        mine = (peer, device, offer.call_id)
        present = self._book.get(mine)
        if present is not None and present.offer.commitment == offer.commitment:
            raise HandshakeRefused("this call was offered already")
        waiting = sum(key[0] == peer and key != mine and handshake.waiting for key, handshake in self._book.items())
        if waiting >= MAX_OPEN_PER_PEER:
            raise HandshakeRefused("this peer has too many offers open")

    def add(self, peer: str, device: str, handshake: CalleeHandshake, now: Instant) -> None:
        """Keep a new handshake. Raises HandshakeRefused as `check` does.

        A proven one whose place it takes stays good for whoever holds it, until the new one is proven, too.
        """
        self.check(peer, device, handshake.offer, now)
        older = self._book.get((peer, device, handshake.offer.call_id))
        if older is not None and not older.proven:
            older.forget()
        self._book[peer, device, handshake.offer.call_id] = handshake

    def get(self, peer: str, device: str, call_id: bytes) -> CalleeHandshake:
        """Return the handshake that a message of this device is for. Raises HandshakeRefused if there is none."""
        handshake = self._book.get((peer, device, call_id))
        if handshake is None:
            raise HandshakeRefused("no such call is offered")
        return handshake

    def waiting(self, peer: str, device: str) -> list[CalleeHandshake]:
        """Return what this device offered and has not revealed yet."""
        return [one for key, one in self._book.items() if key[:2] == (peer, device) and one.waiting]

    def close(self, peer: str, device: str, call_id: bytes) -> None:
        """Forget one handshake with its secrets; nothing happens if there is none."""
        handshake = self._book.pop((peer, device, call_id), None)
        if handshake is not None:
            handshake.forget()

    def tick(self, now: Instant) -> None:
        """Drop handshakes that can come to nothing any more: expired, or used up by a wrong reveal."""
        for key, handshake in list(self._book.items()):
            if not handshake.proven and (not handshake.waiting or now >= handshake.expires):
                self.close(*key)
