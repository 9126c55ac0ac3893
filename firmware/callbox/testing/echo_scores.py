"""How good an echo canceller is, in a simulated room: what is left of the echo, and what becomes of the person.

    3 s      nobody
    8 s      the far end speaks     echo taken away (ERLE), time until 15 dB of it are gone
    10 s     both speak             the person: PESQ-WB, STOI, and how much weaker they became
    6 s      the person alone       the person: PESQ-WB
    2 s      nobody                 how loud the line is, against its loudness while the echo was taken away

ERLE after ITU-T G.168: power at the microphone against power after, of echo alone, in the second half of its time.
"""

import time
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from callbox.audio.cleaning import Cleaning
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.testing.measure import PIECE_S, mouth_to_ear
from callbox.testing.room import Room, Surroundings

_PARTS = tuple(seconds * RATE_HZ for seconds in (3, 8, 10, 6, 2))
CONVERGED_DB = 15.0
_WINDOW_S = 0.25
_AUDIBLE = 100.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A room, and how the device is opened in it: `told_ms` is what the device says of its own delay."""

    name: str
    surroundings: Surroundings
    told_ms: float | None = None  # None: it tells the truth


SCENES = (
    Scene("20 ms", Surroundings(delay_ms=20)),
    Scene("60 ms", Surroundings(delay_ms=60)),
    Scene("200 ms, told 20", Surroundings(delay_ms=200), told_ms=20),
    Scene("loud, clipping", Surroundings(echo_db=6, clips_at=0.2)),
    Scene("drift 100 ppm", Surroundings(drift_ppm=100)),
    Scene("far wall, 0.5 s", Surroundings(apart_m=0.8, reverberation_s=0.5)),
    Scene("noise at -45 dB", Surroundings(noise_db=-45)),
    Scene("headset: no echo", Surroundings(echo_db=-120)),
)


@dataclass(frozen=True, slots=True)
class Score:
    """One canceller in one scene. `dead_db`: how much quieter the line is while echo is taken away than in silence."""

    erle_db: float
    converged_s: float | None
    both_quality: float
    both_stoi: float
    both_loss_db: float
    alone_quality: float
    dead_db: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Take:
    """What a scene gave, all equally long: the microphone, the echo in it, the person in it, and what came out."""

    heard: Samples
    echo: Samples
    person: Samples
    out: Samples
    cpu_s: float


def act(cleaning: Cleaning, scene: Scene, far: Samples, near: Samples) -> Take:
    """Play a scene through it as the audio step does: the reference is what was played a cycle before."""
    room = Room(scene.surroundings)
    cleaning.begin(scene.surroundings.delay_ms if scene.told_ms is None else scene.told_ms)
    theirs, mine = script(far, near)
    room.say(mine)
    heard, echo, out = [], [], []
    cpu_s, played = 0.0, silence()
    for at in range(0, len(theirs), CYCLE_SAMPLES):
        heard.append(room.hear())
        echo.append(room.echo)
        before = time.process_time()
        out.append(cleaning.process(heard[-1], played))
        cpu_s += time.process_time() - before
        played = theirs[at : at + CYCLE_SAMPLES]
        room.play(played)
    return Take(np.concatenate(heard), np.concatenate(echo), mine, np.concatenate(out), cpu_s)


def script(far: Samples, near: Samples) -> tuple[Samples, Samples]:
    """Return who says what: the far end and the person, equally long."""
    quiet, first, both, alone, nobody = _PARTS
    theirs = np.concatenate((silence(quiet), np.resize(far, first + both), silence(alone + nobody)))
    mine = np.concatenate((silence(quiet + first), np.resize(near, both + alone), silence(nobody)))
    return theirs, mine


def score(take: Take) -> Score:
    """Judge what a scene gave."""
    begin, met, parted, gone, _ = accumulate(_PARTS)
    settled = slice((begin + met) // 2, met)
    together, apart, nobody = slice(met, parted), slice(parted, gone), slice(gone + RATE_HZ, None)
    late = _delay(take.person[apart], take.out[apart])
    both, alone = (
        _pair(take.person[together], take.out[together], late),
        _pair(take.person[apart], take.out[apart], late),
    )
    return Score(
        erle_db=_ratio_db(take.heard[settled], take.out[settled]),
        converged_s=_converged(take.heard[begin:met], take.out[begin:met]),
        both_quality=_quality(*both),
        both_stoi=_stoi(*both),
        both_loss_db=_loss_db(*both),
        alone_quality=_quality(*alone),
        dead_db=_ratio_db(take.out[nobody], _emptied(take.heard[settled], take.out[settled])),
        cpu=take.cpu_s / (len(take.out) / RATE_HZ),
    )


def _power(samples: Samples) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2)) + 1e-3


def _ratio_db(before: Samples, after: Samples) -> float:
    return 10 * float(np.log10(_power(before) / _power(after)))


def _windows(samples: Samples) -> list[Samples]:
    size = round(_WINDOW_S * RATE_HZ)
    return [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]


def _emptied(heard: Samples, out: Samples) -> Samples:
    """Return the quieter half of those windows of the output in which there was echo to take away."""
    pairs = zip(_windows(heard), _windows(out), strict=True)
    loud = sorted((after for before, after in pairs if _power(before) > _AUDIBLE**2), key=_power)
    return np.concatenate(loud[: max(1, len(loud) // 2)]) if loud else out


def _converged(heard: Samples, out: Samples) -> float | None:
    """Return after how many seconds echo is `CONVERGED_DB` weaker, of the windows in which there is any."""
    for number, (before, after) in enumerate(zip(_windows(heard), _windows(out), strict=True)):
        if _power(before) > _AUDIBLE**2 and _ratio_db(before, after) >= CONVERGED_DB:
            return (number + 1) * _WINDOW_S
    return None


def _delay(person: Samples, out: Samples) -> int:
    """Return by how many samples the canceller delays the person."""
    delay = mouth_to_ear(person, out)
    return 0 if np.isnan(delay.median_ms) else round(delay.median_ms * RATE_HZ / 1000)


def _pair(person: Samples, out: Samples, late: int) -> tuple[Samples, Samples]:
    return person[: len(person) - late], out[late:]


def _quality(clean: Samples, came: Samples) -> float:
    """Return PESQ-WB of the person in what came out; NaN without the package `pesq`."""
    try:
        from pesq import PesqError, pesq
    except ImportError:
        return float("nan")
    from callbox.audio.devices.resample import resampled

    clean, came = (resampled(part, RATE_HZ, 16_000) for part in (clean, came))
    try:
        return float(pesq(16_000, clean, came, "wb"))
    except PesqError:
        return 1.0


def _stoi(clean: Samples, came: Samples) -> float:
    from pystoi import stoi

    return float(stoi(clean.astype(float), came.astype(float), RATE_HZ))


def _loss_db(clean: Samples, came: Samples) -> float:
    """Return how much weaker the person became: by what of them can be found in each piece, in dB."""
    size = round(PIECE_S * RATE_HZ)
    losses = []
    for at in range(0, len(clean) - size, size):
        said, left = (part[at : at + size].astype(np.float64) for part in (clean, came))
        if np.sqrt(np.mean(said**2)) > _AUDIBLE:
            share = abs(float(said @ left)) / float(said @ said)
            losses.append(-20 * np.log10(max(share, 1e-3)))
    return float(np.median(losses)) if losses else float("nan")
