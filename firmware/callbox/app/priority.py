"""Real-time priority: the voice goes before ordinary load, where the system allows it.

Without it, two busy programs on a small machine stop the voice for a tenth of a second now and then. systemd's unit
allows it (`LimitRTPRIO=`); elsewhere, for a user without the right, everything runs as before. The kernel keeps a share
of every second for ordinary programs (sched_rt_runtime_us), so even a fault in here leaves the machine reachable.
"""

import contextlib
import os

AUDIO = 10
LOOP = 5  # network and decisions: after the audio thread, before everything ordinary


def hurry(priority: int, process: int = 0) -> bool:
    """Put a process, or the calling thread (0), before ordinary load; False where that is not allowed.

    What it starts later does not inherit this.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(process, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
        return True
    return False
