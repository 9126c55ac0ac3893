"""Exactly once to the person: whoever dies at whichever step, what was written is read once, in order, and marked.

The real boxes, server and cryptography; `kill_cycles` tells how. `make soak-messages` plays 10,000 cycles.
"""

import pytest

from callbox.app.inbox import Inbox
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Envelope
from scenarios.kill_cycles import BOX_STEPS, FEW, SERVER_STEPS, play

CYCLES = 200


def test_sender_server_or_receiver_dies_at_any_step() -> None:
    total, stories = play(CYCLES, FEW)
    assert not stories, "\n".join(stories)
    assert total.cycles == CYCLES
    assert total.arrivals > total.written > 2 * CYCLES
    assert set(total.deaths) == {f"box {step}" for step in BOX_STEPS} | {f"server {step}" for step in SERVER_STEPS}


def test_the_cycles_notice_a_letter_that_is_acknowledged_before_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would prove little."""
    store = Inbox._store

    def too_early(inbox: Inbox, envelope: Envelope, inner: object, record: DeviceRecord) -> None:
        inbox._acknowledge(envelope)
        store(inbox, envelope, inner, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Inbox, "_store", too_early)
    total, stories = play(10)
    assert total.lost
    assert stories
