"""Cards and invites: they survive shells and chat programs, and a broken one is told in a person's words."""

import base64
import re
import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.errors import WrongUse
from callbox.wire.cards import Card, Invite, parse_card, parse_fingerprint, parse_invite

FINGERPRINT = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
CARD = Card("anna", "callbox.example:8443", FINGERPRINT)
INVITE = Invite("192.168.1.20:8443", "kitchen", "tok_en-ABC123456789", "0f" * 32, FINGERPRINT)

servers = st.sampled_from(["a.example", "a-b.example:1", "127.0.0.1:8443", "[::1]:8443", "localhost:65535"])
tokens = st.text("abcXYZ019_-", min_size=8, max_size=64)
fingerprints = st.text("ABCXYZ234567", min_size=32, max_size=32)


@given(servers, tokens, st.binary(min_size=32, max_size=32), fingerprints | st.just(""))
def test_invites_come_back(server: str, token: str, pin: bytes, letters: str) -> None:
    invite = Invite(server, "küche", token, pin.hex(), letters)
    assert parse_invite(str(invite)) == invite
    assert not set(str(invite)) & set("$`!\\\"' \n")


def test_an_invite_survives_double_quotes_in_a_shell() -> None:
    printed = subprocess.run(["sh", "-c", f'printf %s "{INVITE}"'], capture_output=True, text=True, check=True).stdout
    assert parse_invite(printed) == INVITE
    assert shlex.split(str(INVITE)) == [str(INVITE)]


@given(st.data())
def test_an_invite_survives_line_breaks_of_chat_programs(data: st.DataObject) -> None:
    line = str(INVITE)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(line)))
        line = line[:place] + data.draw(st.sampled_from(["\n", "\r\n", " ", "\t", "\u00a0"])) + line[place:]
    assert parse_invite(line) == INVITE
    assert parse_invite(f"“{line}”") == INVITE


@pytest.mark.parametrize("length", range(len(str(INVITE))))
def test_an_invite_cut_short_is_told(length: int) -> None:
    with pytest.raises(WrongUse) as caught:
        parse_invite(str(INVITE)[:length])
    assert "invite" in caught.value.what
    assert "callbox server invite" in caught.value.cure


@given(st.integers(len("callbox-invite:"), len(str(INVITE)) - 1), st.sampled_from("AZaz09_-=$é"))
def test_an_invite_with_a_letter_changed_is_told(place: int, letter: str) -> None:
    line = str(INVITE)
    changed = line[:place] + letter + line[place + 1 :]
    if _bits(changed) == _bits(line):  # the same letter again, or one that differs in the last one's unused bits
        assert parse_invite(changed) == INVITE
    else:
        with pytest.raises(WrongUse, match="Copy the whole line again"):
            parse_invite(changed)


def _bits(invite: str) -> bytes | None:
    text = invite.removeprefix("callbox-invite:").rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
        return None
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@given(st.text(max_size=100))
def test_any_text_is_no_invite(text: str) -> None:
    for line in (text, "callbox-invite:" + text):
        with pytest.raises(WrongUse):
            parse_invite(line)


@pytest.mark.parametrize(
    "invite",
    [
        Invite("not a host", "kitchen", "tok_en-ABC", "0f" * 32),
        Invite("host:8443", "Two Words", "tok_en-ABC", "0f" * 32),
        Invite("host:8443", "kitchen", "short", "0f" * 32),
        Invite("host:8443", "kitchen", "tok_en-ABC", "0f" * 31),
        Invite("host:8443", "kitchen", "tok_en-ABC", "0f" * 32, "fingerprint"),
    ],
)
def test_an_invite_that_no_server_writes_is_refused(invite: Invite) -> None:
    with pytest.raises(WrongUse, match="no server writes"):
        parse_invite(str(invite))


def test_cards_come_back() -> None:
    assert str(CARD) == f"anna@callbox.example:8443#{FINGERPRINT}"
    assert parse_card(str(CARD)) == CARD
    assert parse_card(f" <Anna@callbox.example:8443#\n{FINGERPRINT.lower()}>") == CARD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "anna@host",
        "anna#" + FINGERPRINT,
        f"anna@ho!st#{FINGERPRINT}",
        f"@host#{FINGERPRINT}",
        "anna@host#AB",
        f"an/na@host#{FINGERPRINT}",
        f"anna@host#{FINGERPRINT[:-1]}1",
    ],
)
def test_a_wrong_card_is_told(text: str) -> None:
    with pytest.raises(WrongUse) as caught:
        parse_card(text)
    assert caught.value.cure
    assert caught.value.exit_code == 2


@given(st.text(max_size=80))
def test_any_text_is_no_card(text: str) -> None:
    with pytest.raises(WrongUse):
        parse_card(text)


def test_fingerprints_are_read_as_people_write_them() -> None:
    grouped = "abcd efgh-ijkl mnop qrst uvwx yz23 4567"
    assert parse_fingerprint(grouped) == FINGERPRINT
    with pytest.raises(WrongUse):
        parse_fingerprint(FINGERPRINT + "A")


def test_what_was_pasted_is_shown_short_and_harmless() -> None:
    with pytest.raises(WrongUse) as caught:
        parse_card("\x1b[2J" + "x" * 5000)
    assert "\x1b" not in str(caught.value)
    assert len(caught.value.what) < 100
