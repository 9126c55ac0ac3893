"""kill -9 while committing: every commit that returned is there and whole, and so is any other that is there.

A child process commits numbered batches and prints each number once its commit has returned; it is killed at a
seeded moment. CALLBOX_KILLS sets how many times.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callbox.conversations.stores import Fields
from callbox.conversations.stores.sqlite import SqliteStore

KILLS = int(os.environ.get("CALLBOX_KILLS", "6"))
ROWS = 4

CHILD = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from conftest import GcmFields
from callbox.conversations.items import TextItem
from callbox.conversations.stores import Delete, Put, PutItem
from callbox.conversations.stores.sqlite import SqliteStore

store = SqliteStore(Path({path!r}), GcmFields(b"a database key"), wait_s=5.0)
number = 1 + max((int(key) for key in store.load("batches")), default=0)
while True:
    size = 100 + number * 977 % 6000  # over page borders, and through the log's checkpoints
    text = TextItem(number.to_bytes(16, "big"), "contact%d" % (number % 3), True, number, "x" * size, "queued")
    writes = [Put("outbox", "%d/%d" % (number, row), bytes([row]) * size) for row in range({rows})]
    store.commit([*writes, PutItem(text), Put("batches", str(number), b""), Delete("outbox", "%d/0" % (number - 5))])
    print(number, flush=True)
    number += 1
"""


@pytest.mark.real
def test_what_was_committed_before_a_kill_is_there_and_whole(store_path: Path, fields: Fields) -> None:
    chance = random.Random("kill the store")
    child = CHILD.format(here=str(Path(__file__).parent), path=str(store_path), rows=ROWS)
    committed = 0
    for _ in range(KILLS):
        committed = max(
            committed, _run_and_kill(child, batches=chance.randrange(1, 120), extra_s=chance.random() / 500)
        )
        present = _check(store_path, fields)
        assert committed <= present <= committed + 1, "a batch that was reported is missing, or one came from nowhere"
        committed = present


def _run_and_kill(child: str, batches: int, extra_s: float) -> int:
    """Kill the child `extra_s` after it has reported `batches` batches; return the last number it reported."""
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(batches)]
        moment = time.perf_counter() + extra_s
        while time.perf_counter() < moment:
            pass
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    return max(int(line) for line in lines if line.endswith("\n") and line.strip())


def _check(path: Path, fields: Fields) -> int:
    """Check that batches 1..n are there, each whole, and nothing of a later one; return n."""
    store = SqliteStore(path, fields)
    numbers = sorted(int(number) for number in store.load("batches"))
    last = numbers[-1]
    assert numbers == list(range(1, last + 1))
    expected = {f"{number}/{row}" for number in numbers for row in range(ROWS) if row or number > last - 5}
    outbox = store.load("outbox")
    assert set(outbox) == expected
    for key, value in outbox.items():
        number, row = map(int, key.split("/"))
        assert value == bytes([row]) * (100 + number * 977 % 6000)
    assert [item.at_ms for item in store.items(limit=last + 10)] == numbers[::-1]
    store.close()
    return last
