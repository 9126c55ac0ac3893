"""Sudden death of server or box at seeded moments of a call: the others end or resume, and no text is lost or doubled.

`CALLBOX_KILLS=200 pytest -m soak tests/real` plays so many seeds; a seed that ever failed stays in REGRESSIONS.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from callbox.base.errors import CallboxError
from real.killing import PHASES, Story, Theatre

SHORT = (3, 6, 13)  # each victim once; make soak has the rest
REGRESSIONS = (1051,)  # server and caller die together while it rings
SOAKED = int(os.environ.get("CALLBOX_KILLS", "200"))


class Theatres:
    """One theatre for many stories; a story that failed leaves a new one to the next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._theatre: Theatre | None = None
        self._made = 0

    def play(self, seed: int) -> None:
        if self._theatre is None:
            self._made += 1
            folder = self._folder / str(self._made)
            folder.mkdir()
            self._theatre = Theatre(folder)
        try:
            self._theatre.play(Story.of(seed))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._theatre is not None:
            self._theatre.close()
            self._theatre = None


@pytest.fixture(scope="module")
def theatres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatres]:
    theatres = Theatres(tmp_path_factory.mktemp("kills"))
    yield theatres
    theatres.close()


@pytest.mark.real
@pytest.mark.parametrize("seed", sorted({*SHORT, *REGRESSIONS}))
def test_a_death_in_a_call(theatres: Theatres, seed: int) -> None:
    theatres.play(seed)


@pytest.mark.soak
def test_many_deaths(theatres: Theatres) -> None:
    failed: dict[int, str] = {}
    for seed in range(1000, 1000 + SOAKED):
        try:
            theatres.play(seed)
        except (AssertionError, CallboxError, OSError) as error:
            failed[seed] = f"{Story.of(seed)}: {error}"
            print(f"seed {seed} failed: {failed[seed]}", flush=True)
    assert not failed, f"{len(failed)} of {SOAKED} seeds failed:\n" + "\n".join(failed.values())


def test_neighbouring_seeds_cover_every_phase_and_victim() -> None:
    assert len({(Story.of(seed).phase, Story.of(seed).victim) for seed in range(3 * len(PHASES))}) == 3 * len(PHASES)
