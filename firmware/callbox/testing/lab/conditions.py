"""What a link does to packets: the rows of the lab's table, and how to write one that is not in it.

25 ms one way, 3 % lost in spells of 30 ms:     Conditions(delay_ms=25, loss=0.03, spell_ms=30)
from the command line:                          --link delay_ms=25,loss=0.03,spell_ms=30
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import msgspec

from callbox.base.errors import WrongUse


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one link, alike in both directions; the directions lose and delay independently of each other.

    `loss` is the share of time or packets that is lost: each packet for itself, or, with `spell_ms`, everything within
    spells of that mean length (Gilbert). `jitter_ms`: the delay of each packet is drawn from delay +- jitter; packets
    stay in order unless `reorder`. `rate_kbps` with at most `queue_ms` waiting, more is dropped; after `halved_after_s`
    it is half of that. Every `dark_every_s`
    nothing passes for `dark_s`; every `spike_every_s` all packets are held for `spike_ms`.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    spell_ms: float = 0.0
    rate_kbps: float = 0.0
    queue_ms: float = 400.0
    halved_after_s: float = 0.0
    dark_every_s: float = 0.0
    dark_s: float = 0.0
    spike_every_s: float = 0.0
    spike_ms: float = 0.0
    reorder: bool = False


CONDITIONS: Mapping[str, Conditions] = {
    "clean": Conditions(),
    "clean-25": Conditions(delay_ms=25),
    "loss-5": Conditions(delay_ms=1, loss=0.05),
    "loss-5-25": Conditions(delay_ms=25, loss=0.05),
    "spells-30": Conditions(delay_ms=25, loss=0.03, spell_ms=30),
    "spells-60": Conditions(delay_ms=50, loss=0.05, spell_ms=60),
    "jitter": Conditions(delay_ms=40, jitter_ms=20),
    "jitter-reorder": Conditions(delay_ms=40, jitter_ms=20, reorder=True),
    "narrow": Conditions(delay_ms=25, rate_kbps=80),
    "halved": Conditions(delay_ms=25, rate_kbps=64, halved_after_s=8),
    "thin": Conditions(delay_ms=25, rate_kbps=25),
    "dark-half": Conditions(delay_ms=25, dark_every_s=10, dark_s=0.5),
    "dark-2": Conditions(delay_ms=25, dark_every_s=12, dark_s=2),
    "dark-5": Conditions(delay_ms=25, dark_every_s=15, dark_s=5),
    "dark-20": Conditions(delay_ms=25, dark_every_s=25, dark_s=20),
    "spikes": Conditions(delay_ms=25, spike_every_s=5, spike_ms=500),
}
"""The rows, by name. Delays are one way."""

QUICK = ("clean-25", "loss-5-25", "spells-30")


def conditions_from(text: str) -> Conditions:
    """Read `name=value,...`. Raises WrongUse."""
    known = {field.name for field in fields(Conditions)}
    given = dict(part.partition("=")[::2] for part in text.split(","))
    for name in given.keys() - known:
        raise WrongUse(f"A link has no {name!r}.", f"It has {', '.join(sorted(known))}.")
    try:
        return msgspec.convert(given, Conditions, strict=False)
    except msgspec.ValidationError as error:
        raise WrongUse(f"{text!r} is no link: {error}.", "Write it as delay_ms=25,loss=0.03") from None
