"""What an unproven connection may do, and what happens to the others."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.server.events import Received, Stopping
from callbox.server.settings import ConnectionBounds, ServerSettings
from callbox.wire.codec import encode_message
from callbox.wire.signals import (
    Accepted,
    AskAuthority,
    Authority,
    Challenge,
    ClientMessage,
    Denied,
    DevicesChanged,
    EndRing,
    Enrolled,
    FetchDevices,
    JoinLane,
    LaneJoined,
    Refused,
    SetCalls,
    SetRow,
    Welcome,
)
from server.people import Box
from server.room import AUTHORITY, Room, accepted, denied, media

KITCHEN, WORKSHOP = Box("kitchen"), Box("workshop")


def refused(peer: object) -> str:
    (refusal,) = peer.all(Refused)  # type: ignore[attr-defined]  # a Peer
    assert peer.closed  # type: ignore[attr-defined]
    return str(refusal.why)


def test_a_connection_is_challenged_with_the_servers_id_and_a_fresh_nonce() -> None:
    room = Room()
    challenges = [room.connect().last(Challenge) for _ in range(2)]
    assert challenges[0].server_id == challenges[1].server_id
    assert challenges[0].nonce != challenges[1].nonce


def test_the_authority_is_told_to_anybody() -> None:
    peer = Room().connect()
    peer.say(AskAuthority())
    assert peer.last(Authority).certificate == AUTHORITY
    assert not peer.closed


# --- enrolment ---


def test_an_invite_made_by_another_process_enrols_once() -> None:
    room = Room()
    token = room.invite("kitchen")
    peer = room.connect()
    peer.say(KITCHEN.enrol(token))
    assert peer.last(Enrolled).account == "kitchen"
    peer.say(KITCHEN.login(peer.last(Challenge)))
    assert peer.last(Welcome).prekeys_left == 0
    other = room.connect()
    other.say(Box("kitchen", 2).enrol(token))
    assert refused(other) == "bad-invite"


def test_the_same_enrolment_again_is_answered_again() -> None:
    room = Room()
    token = room.invite("kitchen")
    for _ in range(2):
        peer = room.connect()
        peer.say(KITCHEN.enrol(token))
        assert peer.all(Enrolled)


def test_an_enrolment_survives_the_server() -> None:
    room = Room()
    peer = room.connect()
    peer.say(KITCHEN.enrol(room.invite("kitchen")))
    room.start()
    assert room.login(KITCHEN).all(Welcome)


def test_nobody_is_enrolled_before_the_commit() -> None:
    room = Room()
    peer, token = room.connect(), room.invite("kitchen")
    room.store.failing = True
    peer.say(KITCHEN.enrol(token))
    assert not peer.all(Enrolled)
    assert [denied(answer) for answer in peer.all(Denied)] == ["no-storage"]
    assert peer.closed
    room.store.failing = False
    again = room.connect()
    again.say(KITCHEN.enrol(token))
    assert again.all(Enrolled)


@pytest.mark.parametrize(
    ("name", "days", "waited_s", "why"),
    [
        ("kitchen", 7.0, 7 * 86_400 - 1, None),
        ("kitchen", 7.0, 7 * 86_400, "invite-expired"),
        ("cellar", 7.0, 0, "bad-record"),
        ("workshop", 7.0, 0, "bad-record"),
    ],
)
def test_an_invite_is_for_one_name_and_some_days(name: str, days: float, waited_s: float, why: str | None) -> None:
    room = Room(WORKSHOP)
    token = room.invite(name, days)
    room.pass_time(waited_s)
    peer = room.connect()
    peer.say(KITCHEN.enrol(token))
    assert (refused(peer) if why else None) == why
    assert bool(peer.all(Enrolled)) is (why is None)


def test_after_its_first_use_an_invite_is_good_for_15_minutes() -> None:
    for waited_s, works in ((14 * 60, True), (15 * 60, False)):
        room = Room()
        token = room.invite("kitchen")
        first = room.connect()
        first.say(WORKSHOP.enrol(token))  # the wrong name: a mistake of its person's
        assert refused(first) == "bad-record"
        room.pass_time(waited_s)
        second = room.connect()
        second.say(KITCHEN.enrol(token))
        assert bool(second.all(Enrolled)) is works


def test_a_name_is_taken_once() -> None:
    room = Room(KITCHEN)
    peer = room.connect()
    peer.say(Box("kitchen", 2).enrol(room.invite("kitchen")))
    assert refused(peer) == "name-taken"


def test_two_at_once_with_one_invite_are_one_account() -> None:
    room = Room()
    token = room.invite("kitchen")
    peers = [room.connect(), room.connect()]
    room.held = []
    peers[0].say(KITCHEN.enrol(token))
    peers[1].say(Box("kitchen", 2).enrol(token))
    room.release()
    assert sum(bool(peer.all(Enrolled)) for peer in peers) == 1


@pytest.mark.parametrize("change", ["by_account", "by_device", "record"])
def test_a_record_that_is_not_signed_right_is_refused(change: str) -> None:
    room = Room()
    token = room.invite("kitchen")
    enrol = KITCHEN.enrol(token)
    damaged = {
        "record": enrol.record.record,
        "by_account": enrol.record.by_account,
        "by_device": enrol.record.by_device,
    }
    damaged[change] = bytes([damaged[change][0] ^ 1]) + damaged[change][1:]
    peer = room.connect()
    peer.say(type(enrol)(token, type(enrol.record)(**damaged)))
    assert refused(peer) == "bad-record"


def test_acquaintances_hear_of_a_new_account() -> None:
    room = Room(WORKSHOP)
    workshop = room.login(WORKSHOP)
    room.allow(workshop, KITCHEN, "ring")
    peer = room.connect()
    peer.say(KITCHEN.enrol(room.invite("kitchen")))
    assert workshop.all(DevicesChanged) == [DevicesChanged("kitchen")]


# --- login ---


def test_a_login_needs_the_devices_own_signature_over_this_challenge() -> None:
    room = Room(KITCHEN, WORKSHOP)
    stale = room.connect().last(Challenge)
    for forged in (KITCHEN.login(stale), WORKSHOP.login(stale)):
        peer = room.connect()
        peer.say(forged)
        assert refused(peer) == "bad-signature"
    stranger = room.connect()
    stranger.say(Box("cellar").login(stranger.last(Challenge)))
    assert refused(stranger) == "unknown-device"


def test_a_device_of_another_account_is_unknown() -> None:
    room = Room(KITCHEN, WORKSHOP)
    peer = room.connect()
    login = KITCHEN.login(peer.last(Challenge))
    peer.say(type(login)("workshop", login.device, login.nonce, login.connection_epoch, login.signature))
    assert refused(peer) == "unknown-device"


def test_a_revoked_device_stays_out() -> None:
    revoked = Box("kitchen", revoked=True)
    peer = Room(revoked).login(revoked)
    assert refused(peer) == "revoked"


def test_the_epoch_only_rises_and_is_kept_through_a_restart() -> None:
    room = Room(KITCHEN)
    assert room.login(KITCHEN, epoch=5).all(Welcome)
    room.start()
    for epoch in (4, 5):
        peer = room.login(KITCHEN, epoch=epoch)
        assert refused(peer) == "epoch"
        assert peer.last(Refused).connection_epoch == 5
    assert room.login(KITCHEN, epoch=6).all(Welcome)


def test_the_newest_session_wins_and_the_olds_lanes_die() -> None:
    room = Room(KITCHEN)
    old = room.login(KITCHEN)
    lane = room.lane(old)
    ticket = old.last(Welcome).tickets[1]
    new = room.login(KITCHEN)
    assert refused(old) == "replaced"
    assert lane.closed
    assert new.all(Welcome)
    assert refused(room.lane(new, ticket)) == "bad-ticket"


def test_a_full_disk_keeps_nobody_out() -> None:
    room = Room(KITCHEN)
    room.store.failing = True
    assert room.login(KITCHEN).all(Welcome)


# --- lanes ---


def test_a_ticket_makes_one_lane_and_brings_the_next_ticket() -> None:
    room = Room(KITCHEN)
    session = room.login(KITCHEN)
    ticket = session.last(Welcome).tickets[0]
    lane = room.lane(session, ticket)
    assert lane.last(LaneJoined).lane == 1
    assert refused(room.lane(session, ticket)) == "bad-ticket"
    assert room.lane(session, lane.last(LaneJoined).ticket).last(LaneJoined).lane == 2


def test_a_session_has_at_most_six_lanes_and_a_lost_ones_number_is_free() -> None:
    room = Room(KITCHEN)
    session = room.login(KITCHEN)
    tickets = session.last(Welcome).tickets
    assert len(tickets) == 6
    lanes = [room.lane(session, ticket) for ticket in tickets]
    assert sorted(lane.last(LaneJoined).lane for lane in lanes) == [1, 2, 3, 4, 5, 6]
    extra = lanes[0].last(LaneJoined).ticket
    assert refused(room.lane(session, extra)) == "bad-ticket"
    lanes[2].leave()
    assert room.lane(session, extra).last(LaneJoined).lane == lanes[2].last(LaneJoined).lane


def test_a_lane_takes_media_and_nothing_else() -> None:
    room = Room(KITCHEN)
    session = room.login(KITCHEN)
    lane = room.lane(session)
    lane.say(FetchDevices(1, "kitchen"))
    assert refused(lane) == "malformed"
    assert not session.closed


# --- bounds ---


def test_unproven_connections_are_counted_per_address_and_in_all() -> None:
    bounds = ConnectionBounds(unproven_per_address=2, unproven_on_loopback=3, unproven_in_all=5)
    room = Room(KITCHEN, settings=ServerSettings(connections=bounds))
    addresses = ["192.0.2.1"] * 3 + ["127.0.0.1"] * 4 + ["192.0.2.2"]
    refusals = [bool(room.connect(address).all(Refused)) for address in addresses]
    assert refusals == [False, False, True, False, False, False, True, True]


def test_a_proven_connection_makes_room() -> None:
    room = Room(KITCHEN, settings=ServerSettings(connections=ConnectionBounds(unproven_per_address=1)))
    assert room.login(KITCHEN).all(Welcome)
    assert room.connect().all(Challenge)


def test_who_does_not_prove_itself_in_five_seconds_is_refused() -> None:
    room = Room()
    peer = room.connect()
    room.pass_time(4.99)
    assert not peer.closed
    room.pass_time(0.02)
    assert refused(peer) == "too-slow"


def test_the_other_messages_need_a_session() -> None:
    before: list[ClientMessage] = [FetchDevices(1, "kitchen"), SetCalls(1, False), EndRing(bytes(16))]
    for message in before:
        peer = Room(KITCHEN).connect()
        peer.say(message)
        assert refused(peer) == "malformed"


def test_a_session_cannot_log_in_again() -> None:
    room = Room(KITCHEN)
    peer = room.login(KITCHEN)
    peer.say(KITCHEN.login(peer.last(Challenge), 99))
    assert refused(peer) == "malformed"


def test_stopping_is_told_to_everybody() -> None:
    room = Room(KITCHEN)
    session, unproven = room.login(KITCHEN), room.connect()
    lane = room.lane(session)
    room.give(Stopping())
    assert refused(session) == refused(unproven) == "stopping"
    assert lane.closed


def test_the_audit_log_tells_of_denials_but_not_of_a_flood() -> None:
    room = Room(KITCHEN)
    for _ in range(200):
        peer = room.connect()
        peer.say(Box("cellar").login(peer.last(Challenge)))
    lines = [json.loads(line) for line in room.audited]
    assert {line["why"] for line in lines} == {"unknown-device"}
    assert 10 <= len(lines) <= 60


# --- malformed input, at every state ---

_BYTES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=100).map(lambda tail: b"\x01" + tail),
    st.binary(max_size=100).map(lambda tail: b"\x02" + tail),
    st.integers(1, 3).map(lambda depth: b"\x01" + b"\x91" * depth * 30_000),
)


@settings(max_examples=120)
@given(data=_BYTES, state=st.sampled_from(["unproven", "session", "lane"]))
def test_malformed_input_closes_its_connection_with_one_error_and_no_other(data: bytes, state: str) -> None:
    room = Room(KITCHEN, WORKSHOP)
    workshop, session = room.login(WORKSHOP), room.login(KITCHEN)
    peer = session if state == "session" else room.connect() if state == "unproven" else room.lane(session)
    room.give(Received(peer.number, data))
    if peer.closed:
        assert refused(peer) == "malformed"
    assert accepted(workshop.ask(lambda request: SetRow(request, "kitchen", "message")))
    assert not workshop.closed


def test_random_bytes_are_indeed_malformed() -> None:
    room = Room(KITCHEN)
    chance = SeededChance(1)
    for _ in range(50):
        peer = room.connect("127.0.0.1")
        room.give(Received(peer.number, chance.token(50)))
        assert refused(peer) == "malformed"


def test_media_before_a_proof_is_malformed() -> None:
    room = Room(KITCHEN)
    peer = room.connect()
    room.give(Received(peer.number, media(1)))
    assert refused(peer) == "malformed"


def test_what_comes_after_the_refusal_is_not_heard() -> None:
    room = Room(KITCHEN)
    peer = room.login(KITCHEN)
    room.give(Received(peer.number, b"nonsense"))
    room.give(Received(peer.number, encode_message(SetRow(1, "workshop", "ring"))))
    assert refused(peer) == "malformed"
    assert not peer.all(Accepted)


def test_a_ticket_of_nobody_is_refused() -> None:
    peer = Room().connect()
    peer.say(JoinLane(b"guess"))
    assert refused(peer) == "bad-ticket"
