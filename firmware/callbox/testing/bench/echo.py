"""`make bench-echo`: what each echo canceller makes of each simulated room, as a table.

    python -m callbox.testing.bench.echo [--json] [member ...]

All are run as a box runs them: the delay is found, without an echo they are left out, noise is taken out where there is
any. The quality of a person who is hardly let through while both speak says nothing: there it says muted.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence

import numpy as np

from callbox.audio.cleaning import Cleaning
from callbox.audio.echo import BEST_FIRST, open_canceller
from callbox.base.errors import CallboxError
from callbox.base.frames import Samples
from callbox.testing.echo_scores import SCENES, Scene, Score, act, score
from callbox.testing.voice import find_voice

MEMBERS = ("none", *reversed(BEST_FIRST))
MUTED_DB = 20.0
HEAD = "| room | canceller | echo taken away | 15 dB after | both: PESQ-WB / STOI, weaker by | alone: PESQ-WB | CPU |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m callbox.testing.bench.echo", description="Score echo cancellers.")
    parser.add_argument("member", nargs="*", default=MEMBERS, help=f"which ones (all: {', '.join(MEMBERS)})")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    chosen = parser.parse_args(arguments)
    try:
        far, near = voices()
        rows = [(scene, name, run(scene, name, far, near)) for scene in SCENES for name in chosen.member]
    except CallboxError as error:
        print(f"bench: {error.what}\n       {error.cure}", file=sys.stderr)
        return 1
    if chosen.json:
        print(json.dumps([{"room": one.name, "canceller": name, **dataclasses.asdict(s)} for one, name, s in rows]))
    else:
        print("\n".join([HEAD, "|---|---|--:|--:|---|--:|--:|", *(line(*row) for row in rows)]))
    return 0


def voices() -> tuple[Samples, Samples]:
    """Return two stretches of recorded speech that have nothing in common."""
    voice = find_voice(24.0).samples
    return voice[: len(voice) // 2], np.ascontiguousarray(voice[len(voice) // 2 :])


def run(scene: Scene, name: str, far: Samples, near: Samples) -> Score:
    """Score one canceller in one room."""
    cleaning = Cleaning(open_canceller(name), gain=False)
    try:
        return score(act(cleaning, scene, far, near))
    finally:
        cleaning.close()


def line(scene: Scene, name: str, s: Score) -> str:
    """Return one row of the table."""
    after = "never" if s.converged_s is None else f"{s.converged_s:.2f} s"
    both = f"{s.both_quality:.2f} / {s.both_stoi:.3f}, " if s.both_loss_db < MUTED_DB else "muted: "
    return (
        f"| {scene.name} | {name} | {s.erle_db:.0f} dB | {after} | {both}{s.both_loss_db:.0f} dB"
        f" | {s.alone_quality:.2f} | {1000 * s.cpu:.1f} ms/s |"
    )


if __name__ == "__main__":
    sys.exit(main())
