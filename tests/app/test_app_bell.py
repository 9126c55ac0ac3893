"""The bell between the audio thread and the loop."""

import asyncio
import threading

from callbox.app.bell import Bell


async def test_rings_of_another_thread_are_heard_on_the_loop() -> None:
    heard: list[threading.Thread] = []
    rung = asyncio.Event()

    def hear() -> None:
        heard.append(threading.current_thread())
        rung.set()

    bell = Bell(hear)
    ringer = threading.Thread(target=bell.ring)
    ringer.start()
    await asyncio.wait_for(rung.wait(), 5)
    ringer.join()
    assert heard == [threading.main_thread()]
    bell.close()


async def test_what_was_rung_before_it_was_heard_is_heard_once_and_the_bell_rings_again() -> None:
    heard: list[int] = []
    bell = Bell(lambda: heard.append(1))
    for expected in (1, 2):
        for _ in range(5):
            bell.ring()
        while len(heard) < expected:
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)  # that nothing more comes can only be seen by waiting
        assert len(heard) == expected
    bell.close()


async def test_a_closed_bell_is_silent() -> None:
    heard: list[int] = []
    bell = Bell(lambda: heard.append(1))
    bell.ring()
    bell.close()
    bell.ring()
    bell.close()
    await asyncio.sleep(0.001)
    assert heard == []
