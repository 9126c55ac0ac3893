"""The judgement of `callbox doctor` on what hangs on the machine: sound, codec, pins, Wi-Fi, power. Pure."""

from callbox.app.doctor_finding import Finding, held, not_looked, sentence
from callbox.app.doctor_known import (
    CodecFacts,
    Held,
    MixerFacts,
    NotLooked,
    PinFacts,
    PowerFacts,
    SoundFacts,
    SpeechFacts,
    WifiFacts,
)
from callbox.panel.pins import STOP_OR_MOVE

LOW_VOLTAGE, SLOWED = 0x1, 0xE
SINCE_START = 16  # these bits, shifted: it has been so since the Pi started
BUS_NAMES = {"i2c": "I²C", "spi": "SPI", "uart": "the serial port"}
_SUPPLY = "Use the supply made for this Pi and a short, thick cable; a USB device that draws much needs its own supply."


def judge_sound(facts: SoundFacts | Held | NotLooked) -> list[Finding]:
    """Judge microphone and speaker."""
    area = "sound"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    if isinstance(facts, Held):
        return held(area, facts, "The running box has found its microphone and its speaker.")
    both = f"microphone {facts.input!r} and speaker {facts.output!r}"
    if facts.trouble is None:
        if facts.backend == "wav":
            return [Finding(area, "ok", f"WAV files instead of a card: {both}.")]
        return [Finding(area, "ok", f"{sentence(both)[:-1]} open and give sound.")]
    cards = f" The kernel lists: {', '.join(facts.cards)}." if facts.cards and facts.backend != "wav" else ""
    if facts.refused:
        cure = "Run: sudo usermod -aG audio $USER, then log in again (the service is in that group by itself)."
        return [Finding(area, "fault", f"This user may not use the sound cards.{cards}", cure)]
    cure = facts.trouble.cure or "Is it plugged in? `aplay -l` and `arecord -l` list what the kernel sees."
    return [Finding(area, "fault", sentence(facts.trouble.what) + cards, sentence(cure))]


def judge_mixer(facts: MixerFacts) -> list[Finding]:
    """Judge what silences a card although it opens, and names that will mean another card tomorrow."""
    found: list[Finding] = []
    for card, control, capture in facts.muted:
        which, switch = ("microphone", "cap") if capture else ("speaker", "unmute")
        what = f"The {which} of {card} is muted, or turned down to nothing, by the card's control {control!r}."
        cure = f"Run: amixer -c {card} sset '{control}' 80% {switch}; to keep it: sudo alsactl store"
        found.append(Finding("sound", "warning", what, cure))
    for name, socket in facts.twins:
        what = f"Two cards of the same model are plugged in, and {name!r} may be the other one after a start."
        found.append(Finding("sound", "warning", what, f"Name it by its socket in box.toml: {socket!r}"))
    return found


def judge_codec(facts: CodecFacts | NotLooked) -> list[Finding]:
    """Judge the voice codec's library."""
    if isinstance(facts, NotLooked):
        return not_looked("codec", facts)
    if facts.trouble is not None:
        return [Finding("codec", "fault", sentence(facts.trouble.what), sentence(facts.trouble.cure))]
    return [Finding("codec", "ok", "The Opus library is there.")]


def judge_speech(facts: SpeechFacts | NotLooked) -> list[Finding]:
    """Judge the voice that reads messages; without it, lights and tones still tell everything."""
    if isinstance(facts, NotLooked):
        return not_looked("speech", facts)
    if facts.trouble is not None:
        return [Finding("speech", "warning", sentence(facts.trouble.what), sentence(facts.trouble.cure))]
    return [Finding("speech", "ok", "The voice speaks." if facts.wanted else "Switched off in box.toml.")]


def judge_pins(facts: PinFacts | NotLooked) -> list[Finding]:
    """Judge board file, GPIO chip and lines."""
    area = "panel"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    found = [Finding(area, "fault", problem, "Mend the board, or name another one in box.toml: callbox boards list")
             for problem in facts.problems]  # fmt: skip
    if facts.backend == "simulated":
        well = f"Simulated, board {facts.board}: no pins are used, `callbox press` presses."
        return found or [Finding(area, "ok", well)]
    if facts.trouble is not None:
        found.append(Finding(area, "fault", sentence(facts.trouble.what), facts.trouble.cure))
    for line in facts.busy or ():
        what = f"[{line.section}] GPIO{line.pin} is in use by {line.holder}."
        found.append(Finding(area, "fault", what, STOP_OR_MOVE))
    for line in facts.shared:
        bus = BUS_NAMES[line.holder]
        what = f"[{line.section}] GPIO{line.pin} belongs to {bus} too, which is switched on: one disturbs the other."
        cure = f"Switch {bus} off (sudo raspi-config, Interface Options), or give the part another pin in box.toml."
        found.append(Finding(area, "warning", what, cure))
    if facts.activity_light and facts.trouble is None:
        cure = "Let the box's user write there (a udev rule), or give [light.status] a pin and an LED of its own."
        found.append(Finding(area, "warning", f"The Pi's own light cannot be used: {facts.activity_light}.", cure))
    if found:
        return found
    lines = "its pins are held by the running box" if facts.busy is None else "all its pins are free"
    return [Finding(area, "ok", f"The 40-pin header is there; board {facts.board}: {lines}.")]


def judge_wifi(facts: WifiFacts | NotLooked) -> list[Finding]:
    """Judge whether the Wi-Fi chip sleeps between packets."""
    area = "wifi"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    found: list[Finding] = []
    for name, saves in facts.power_save:
        if saves is None:
            found += not_looked(
                area, NotLooked(f"the program `iw` does not say how {name} is set", "sudo apt install iw")
            )
        elif saves:
            what = f"{name} saves power: it sleeps between packets, so calls ring late and voices stutter."
            cure = (
                f"Now: sudo iw dev {name} set power_save off. For good: "
                "sudo nmcli connection modify CONNECTION 802-11-wireless.powersave disable"
            )
            found.append(Finding(area, "warning", what, cure))
        else:
            found.append(Finding(area, "ok", f"{name} does not save power."))
    return found or [Finding(area, "ok", "No Wi-Fi is in use.")]


def judge_power(facts: PowerFacts | NotLooked) -> list[Finding]:
    """Judge the Pi's supply and temperature."""
    area = "power"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    now, before = facts.throttled, facts.throttled >> SINCE_START
    found: list[Finding] = []
    if now & LOW_VOLTAGE:
        found.append(Finding(area, "fault", "The supply is too weak: the voltage is low at this moment.", _SUPPLY))
    elif before & LOW_VOLTAGE:
        found.append(Finding(area, "warning", "The voltage has been too low since the Pi started.", _SUPPLY))
    if (now | before) & SLOWED and not found:  # a low voltage slows the Pi down by itself
        when = "is slowed down" if now & SLOWED else "has been slowed down since it started"
        found.append(Finding(area, "warning", f"The Pi {when}: it is too hot.", "Give it air, or a heat sink."))
    return found or [Finding(area, "ok", "The voltage was never low, and the Pi never too hot.")]
