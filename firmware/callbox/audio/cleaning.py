"""What is done to the microphone before its gate: echo, noise and loudness, each only where there is need.

    played --> delay line, as long as the echo is late --+
                                                         v
    captured --> is there an echo, how late? --> canceller (or none) --> comfort noise --> gain --> the gate
             \\-> how loud is the room's noise? ---------^-------------------^

An echo canceller that has no echo to cancel takes from the person instead: so it is left out where the speaker was
heard for a second and no echo of it was found (a headset, a handset), and put in when there is one; a call begins as
the one before ended. Until anything is known it learns unheard, so that it is ready when an echo is found; while the
far end is silent it rests. Noise is taken out where there is noise. In a quiet room with a headset nothing is done at
all. What a canceller takes down below the room's noise is filled up with noise, or the line sounds dead whenever the
far end speaks.
"""

from collections import deque
from enum import Enum

import numpy as np

from callbox.audio.echo import Canceller
from callbox.audio.echo_finding import EchoFinder
from callbox.audio.gain import Gain
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, Samples, silence

HEAD_MS = 12  # the canceller is given this much before the echo comes
NEAR_MS = 60  # an echo later than this after what the canceller is given leaves too little room for the walls' part
TOLD_TOO_MUCH_MS = 30  # what devices say of their delay is an upper bound rather than a measure
SAME_MS = 5.0  # a device that tells so little else is the one before, and so is its true delay
LONGEST_CYCLES = 50
_NOISY, _QUIET = 60.0**2, 45.0**2  # mean squares: -55 and -57 dB of full scale
_FLOOR_CYCLES = 40
_FLOORS, _LEAST_FLOORS = 12, 6  # the quietest moment of two to five seconds is the room's noise
_ECHO_CYCLES = 30  # after something was played, what is captured may be its echo
_FAR_SPEAKS = 40.0**2
_COMFORT_CYCLES = 200
_COMFORT_SEED = 7
_RISE = np.arange(CYCLE_SAMPLES, dtype=np.float32) / np.float32(CYCLE_SAMPLES)


class Way(Enum):
    """What becomes of a cycle. LATE: nothing, but as late as what is cancelled, so that the person is not broken up."""

    AS_IT_IS = "as it is"
    NOISE = "noise"
    LATE = "late"
    ECHO = "echo"


class Cleaning:
    """All of it, for one microphone. `echo`, `noise`, `gain`: what may be done."""

    def __init__(self, canceller: Canceller, echo: bool = True, noise: bool = True, gain: bool = True) -> None:
        self.cancelling = False
        self._learning = echo  # unheard
        self._canceller = canceller
        self._echo, self._noise = echo, noise
        self._gain = Gain() if gain else None
        self._finder = EchoFinder()
        self._line: deque[Samples] = deque()
        self._told_ms: float | None = None
        self._comfort = np.random.default_rng(_COMFORT_SEED).normal(size=(_COMFORT_CYCLES, CYCLE_SAMPLES))
        self._comfort_at = 0
        self._noisy = False
        self._floor = 0.0
        self._floors: deque[float] = deque(maxlen=_FLOORS)
        self._quietest, self._weighed = np.inf, 0
        self._spoke = 0  # for so many cycles yet, what is captured may be an echo
        self._way = Way.AS_IT_IS
        self._warm = False  # the canceller has worked in the cycle before
        self._before = silence()  # the cycle before, as it was captured

    @property
    def late_ms(self) -> int | None:
        """How late the echo is, from the moment that its sound is handed to the device; None: no echo was found."""
        return None if self._finder.lag_ms is None else round(self._finder.lag_ms) + CYCLE_MS

    def begin(self, told_ms: float) -> None:
        """A device was opened that says so of its delay, both directions together."""
        self._finder.begin()
        same = self._told_ms is not None and abs(told_ms - self._told_ms) < SAME_MS
        self._told_ms = told_ms
        self._delay_by(len(self._line) if same else round((told_ms - TOLD_TOO_MUCH_MS - HEAD_MS) / CYCLE_MS))
        self._floors.clear()

    def process(self, captured: Samples, played: Samples) -> Samples:
        """Return one cycle of the person alone. `played`: what was handed to the speaker a cycle ago."""
        if self._echo and self._finder.take(captured, played):
            self._learn()
        self._line.append(played)
        played = self._line.popleft()
        power = _power(captured)
        if self.cancelling:
            self._spoke = _ECHO_CYCLES if _power(played) > _FAR_SPEAKS else max(0, self._spoke - 1)
        if not (self.cancelling and self._spoke):
            self._weigh(power)
        out = self._taken(captured, played)
        self._before = captured
        if self._gain is None:
            return out
        return self._gain.process(out, power, self._floor, learn=not (self.cancelling and self._spoke))

    def close(self) -> None:
        """Free what the canceller holds. Safe to call twice."""
        self._canceller.close()

    def _taken(self, captured: Samples, played: Samples) -> Samples:
        """Return the cycle with echo and noise taken out as they have to be."""
        wanted = self._wanted()
        worked = self._work(wanted, captured, played)
        now = self._made(self._way, captured, worked)
        if wanted is self._way or (wanted is Way.ECHO and not self._warm):
            self._warm = wanted is Way.ECHO
            return now
        # From one to the other within a cycle, without a click.
        then = self._made(wanted, captured, worked)
        self._way = wanted
        return (now * (1 - _RISE) + then * _RISE).astype(np.int16)

    def _wanted(self) -> Way:
        if self.cancelling and (self._spoke or self._noisy):
            return Way.ECHO
        if self.cancelling:
            return Way.LATE
        return Way.NOISE if self._noisy else Way.AS_IT_IS

    def _work(self, wanted: Way, captured: Samples, played: Samples) -> Samples:
        """Let the canceller do what it must for what is heard now and next; it works once a cycle at most."""
        if self._learning or Way.ECHO in (wanted, self._way):
            return self._canceller.process(captured, played, self._noisy)
        if Way.NOISE in (wanted, self._way):
            return self._canceller.process(captured, None, True)
        return captured

    def _made(self, way: Way, captured: Samples, worked: Samples) -> Samples:
        if way is Way.AS_IT_IS:
            return captured
        if way is Way.LATE:
            late = self._canceller.late_samples
            return np.concatenate((self._before[CYCLE_SAMPLES - late :], captured[: CYCLE_SAMPLES - late]))
        return self._comforted(worked) if way is Way.ECHO else worked

    def _learn(self) -> None:
        """Act on what the finder found."""
        lag_ms = self._finder.lag_ms
        if self._finder.absent or lag_ms is not None:
            self.cancelling, self._learning = not self._finder.absent, False
        if lag_ms is not None and not 0 <= lag_ms - CYCLE_MS * len(self._line) <= NEAR_MS:
            self._delay_by(int((lag_ms - HEAD_MS) / CYCLE_MS))

    def _delay_by(self, cycles: int) -> None:
        """Make the delay line so long. The way that the canceller has learnt is no longer one."""
        self._line = deque(silence() for _ in range(max(0, min(cycles, LONGEST_CYCLES))))
        self._canceller.begin()

    def _weigh(self, power: float) -> None:
        """Learn how loud the room's noise is: the least mean square over seconds in which no echo can be heard."""
        self._quietest = min(self._quietest, power)
        self._weighed += 1
        if self._weighed % _FLOOR_CYCLES == 0:
            self._floors.append(self._quietest)
            self._quietest = np.inf
            if len(self._floors) < _LEAST_FLOORS:
                return
            self._floor = min(self._floors)
            self._noisy = self._noise and self._floor > (_QUIET if self._noisy else _NOISY)

    def _comforted(self, out: Samples) -> Samples:
        """Return `out`, no quieter than the room is when nobody speaks."""
        left = 10 ** (-self._canceller.noise_db / 10) if self._noisy else 1.0
        missing = self._floor * left - _power(out)
        if missing <= 1:
            return out
        self._comfort_at = (self._comfort_at + 1) % _COMFORT_CYCLES
        comfort = self._comfort[self._comfort_at] * missing**0.5
        filled: Samples = np.clip(out + comfort, -32768, 32767).astype(np.int16)
        return filled


def _power(samples: Samples) -> float:
    wide = samples.astype(np.float32)
    return float(wide @ wide) / len(wide)
