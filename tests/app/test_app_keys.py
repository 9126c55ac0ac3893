"""The box's keys at the server: refilled in time, on disk before they are offered, and no epoch twice."""

import pytest

from app.desk import MADE_MS, Desk
from callbox.app.effects import Commit
from callbox.app.keys import DAY_MS, FALLBACK_LIVES_MS, LOOK_EVERY_S, PREKEYS, REFILL_BELOW, Keys
from callbox.app.saved import FALLBACK_MADE, Membership, first_writes, keep_fallback_made, load
from callbox.base.chance import SeededChance
from callbox.conversations.stores.memory import MemoryStore
from callbox.crypto.errors import Undecryptable
from callbox.crypto.identity import Identity
from callbox.crypto.sessions import Sessions
from callbox.wire.signals import Accepted, Denied, PublishPrekeys, Welcome


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def keys(desk: Desk) -> Keys:
    store = MemoryStore()
    store.commit(first_writes(desk.core.identity, Membership("here:1", b"", bytes(32)), epoch=4))
    made = Keys(load(store))
    made.join(desk.core)
    return made


def published(desk: Desk) -> list[int]:
    return [len(asked.keys) for asked in desk.link.asked if isinstance(asked, PublishPrekeys)]


def test_enough_keys_need_no_more(desk: Desk, keys: Keys) -> None:
    keys.publish(REFILL_BELOW)
    desk.settle()
    assert published(desk) == []


def test_a_refill_brings_the_server_up_to_its_number_and_leaves_the_fallback_key(desk: Desk, keys: Keys) -> None:
    keys.publish(REFILL_BELOW - 1)
    assert published(desk) == [], "not before our copy is on disk"
    desk.settle()
    assert published(desk) == [PREKEYS - REFILL_BELOW + 1]


def test_one_refill_at_a_time_and_the_next_after_a_refusal(desk: Desk, keys: Keys) -> None:
    keys.publish(0)
    keys.publish(0)
    desk.settle()
    assert len(published(desk)) == 1
    desk.answer(Denied(1, "too-often"))
    keys.publish(0)
    desk.settle()
    assert len(published(desk)) == 2
    desk.answer(Accepted(2))


def test_an_epoch_is_handed_out_once(desk: Desk, keys: Keys) -> None:
    given = []
    for _ in range(3):
        given.append(keys.next_epoch())
        desk.settle()
    assert given == sorted(set(given))


def test_after_a_roll_back_epochs_begin_above_what_the_server_saw(desk: Desk, keys: Keys) -> None:
    keys.rolled_back(90)
    desk.settle()
    assert keys.next_epoch() > 90
    assert any("set back" in line for line in desk.log)


# --- the fallback key, which whoever drains the others gets again and again ------------------------------------------


class Week:
    """A box whose wall clock and steady clock the test moves, each as it likes."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.store = MemoryStore()
        self.store.commit(first_writes(self.desk.core.identity, Membership("here:1", b"", bytes(32)), epoch=4))
        self.restart()

    def restart(self) -> None:
        self.keys = Keys(load(self.store))
        self.keys.join(self.desk.core)
        self.keys._identity = self.desk.core.identity
        self.desk.settle()

    def connect(self, left: int = PREKEYS) -> None:
        self.keys.session_up(Welcome(bytes(16), (), left, 0, True, ()))
        self.settle()

    def pass_time(self, steady_s: float, wall_ms: int | None = None) -> None:
        """Let time pass an hour at a time, each look at the key answered; the wall clock jumps first, if at all."""
        core = self.desk.core
        if wall_ms is not None:
            core.set_wall(wall_ms)
        end = core.now + steady_s
        while core.now < end:
            core.now = min(end, core.now + LOOK_EVERY_S)
            self.keys.tick()
            self.settle()

    def settle(self) -> None:
        asked = len(self.desk.link.asked)
        self._store_all()
        if len(self.desk.link.asked) > asked:
            self.desk.core.replied(len(self.desk.link.asked), Accepted(len(self.desk.link.asked)))
            self._store_all()

    def _store_all(self) -> None:
        while effects := self.desk.core.drain():
            for effect in effects:
                if isinstance(effect, Commit):
                    self.store.commit(effect.writes)
                    self.desk.core.ledger.committed(effect.ticket)

    @property
    def fallbacks(self) -> list[bytes]:
        """Every fallback key that was given to the server."""
        asked = [message for message in self.desk.link.asked if isinstance(message, PublishPrekeys)]
        return [key.key for message in asked for key in message.keys if key.fallback]


def test_the_fallback_key_is_renewed_every_week() -> None:
    week = Week()
    week.connect()
    week.pass_time(6.9 * 86400)
    assert week.fallbacks == []
    week.pass_time(0.2 * 86400)
    assert len(week.fallbacks) == 1
    week.pass_time(21 * 86400)
    assert len(week.fallbacks) == len(set(week.fallbacks)) == 4


def test_its_age_is_kept_over_restarts_and_while_the_box_is_off() -> None:
    week = Week()
    week.connect()
    for _ in range(3):
        week.desk.core.set_wall(week.desk.core.wall_ms + FALLBACK_LIVES_MS // 2)
        week.restart()
        week.connect()
    assert len(week.fallbacks) == 1


def test_refills_however_often_leave_it_alone() -> None:
    week = Week()
    week.connect()
    for _ in range(10):
        week.keys.publish(0)
        week.settle()
    assert week.fallbacks == []


def test_a_renewal_whose_answer_was_lost_offers_the_same_key_again() -> None:
    week = Week()
    week.connect()
    week.desk.core.set_wall(MADE_MS + FALLBACK_LIVES_MS + DAY_MS)
    week.keys.publish(PREKEYS)
    week._store_all()
    assert len(week.fallbacks) == 1
    week.desk.core.replied(len(week.desk.link.asked), None)  # the link was lost first
    week.keys.publish(0)  # a refill comes next, and is taken
    week.settle()
    assert len(week.fallbacks) == 2
    assert len(set(week.fallbacks)) == 1
    week.keys.publish(0)
    week.settle()
    assert len(week.fallbacks) == 2


def test_no_wall_clock_makes_it_spin() -> None:
    week = Week()
    week.connect()
    year_ms = 365 * DAY_MS
    for wall_ms in (0, MADE_MS, MADE_MS + 10 * year_ms, 0, MADE_MS - 10 * year_ms, MADE_MS, MADE_MS + 10 * year_ms) * 3:
        week.pass_time(3600.0, wall_ms)
    assert len(week.fallbacks) <= 1
    week.pass_time(8 * 86400, MADE_MS)
    assert len(week.fallbacks) == 2, "and it goes on when the clock is right again"
    assert int(week.store.load("state")[FALLBACK_MADE]) <= week.desk.core.wall_ms


def test_a_clock_that_was_never_set_dates_nothing() -> None:
    week = Week()
    week.store.commit([keep_fallback_made(MADE_MS)])
    week.desk.core.set_wall(0)
    week.restart()
    week.connect()
    week.pass_time(30 * 86400)
    assert week.fallbacks == []
    assert week.store.load("state")[FALLBACK_MADE] == str(MADE_MS).encode()


def test_letters_under_the_key_before_open_and_under_the_one_before_that_no_more() -> None:
    week, sender = Week(), Identity.create("workshop", SeededChance("sender"), MADE_MS)
    identity = week.desk.core.identity
    identity.new_prekeys(0, True)
    identity.mark_published()
    letters = []
    for _ in range(3):
        fallback = next(key for key in identity.new_prekeys(0, True) if key.fallback)
        identity.mark_published()
        sessions = Sessions(sender, {})
        sessions.start(identity.device_record, "mail", fallback)
        letters.append(sessions.seal(identity.device_record, "mail", b"x"))
    for (kind, ciphertext), opens in zip(letters, (False, True, True), strict=True):
        receiving = Sessions(identity, {})
        if opens:
            assert receiving.open(sender.device_record, "mail", kind, ciphertext, 0.0) == b"x"
        else:
            with pytest.raises(Undecryptable):
                receiving.open(sender.device_record, "mail", kind, ciphertext, 0.0)
