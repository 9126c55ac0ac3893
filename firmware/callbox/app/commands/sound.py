"""`callbox sound`: microphones and speakers by the names that box.toml takes; how loud the microphone is."""

from typing import TYPE_CHECKING, Any

from callbox.app.commands.words import Adder, Options, add_json, home_of, print_facts
from callbox.base.errors import CallboxError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from callbox.app.settings import SoundSettings
    from callbox.audio.devices import DeviceInfo

WIDTH = 16
SOUND_SERVERS = ("default", "pulse", "pipewire")


def add(adder: Adder) -> None:
    """Add this command."""
    sound = adder.add("sound", "show microphones and speakers, or how loud it is", _sound, "callbox sound list")
    sound.add_argument(
        "what",
        choices=("list", "levels"),
        help="list: names for `input` and `output` under [sound] in box.toml; levels: how loud the microphone is now",
    )
    sound.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how long to show levels (10)")
    add_json(sound)


def _sound(options: Options) -> int:
    if options.what == "levels":
        from callbox.app.commands.sound_tests import levels

        return levels(options)
    from callbox.audio.devices import cards, open_backend

    there = worth_showing(open_backend("portaudio").list())
    now = used(there, home_of(options).settings().sound)
    facts = [as_facts(there, at, now) for at in range(len(there))]
    held = {card: why for card, (why, _) in cards.passed_over({info.card_id for info in there}).items()}
    print_facts(options, {"devices": facts, "not_opened": held}, table(facts, held))
    return 0


def worth_showing(there: "Sequence[DeviceInfo]") -> "list[DeviceInfo]":
    """Leave out what ALSA makes up beside the cards (surround51, dmix ...), if there are cards."""
    shown = [info for info in there if info.card_id]
    return [*shown, *(info for info in there if info.name in SOUND_SERVERS)] if shown else list(there)


def used(there: "Sequence[DeviceInfo]", sound: "SoundSettings") -> tuple[int | None, int | None]:
    """Return which of `there` these settings mean as microphone and as speaker; None: none of them."""
    from callbox.audio.devices.portaudio import choose_here

    def chosen(name: str, capture: bool) -> int | None:
        try:
            return choose_here(there, name, capture)
        except CallboxError:
            return None

    if sound.backend != "portaudio":
        return None, None
    return chosen(sound.input, True), chosen(sound.output, False)


def as_facts(there: "Sequence[DeviceInfo]", at: int, now: tuple[int | None, int | None]) -> dict[str, Any]:
    """Return one device for `--json`; `name` is the one to write into box.toml, `also` are others that it goes by."""
    info = there[at]
    name, *also = info.names or (info.name,)
    return {
        "name": name,
        "also": also,
        "what": info.name,
        "inputs": info.inputs,
        "outputs": info.outputs,
        "rate_hz": info.rate_hz,
        "twin": info.twin,
        "microphone_now": at == now[0],
        "speaker_now": at == now[1],
    }


def table(facts: "Sequence[dict[str, Any]]", held: "Mapping[str, str]") -> str:
    """Return the devices as lines, what this box uses now marked; then the cards that do not open, and why."""
    lines: list[str] = []
    if facts:
        width = max(WIDTH, *(len(one["name"]) for one in facts)) + 2
        lines.append(f"{'name':<{width}}{'microphone':<12}{'speaker':<10}what it is")
        lines += [
            f"{one['name']:<{width}}{_use(one, 'inputs', 'microphone_now'):<12}"
            f"{_use(one, 'outputs', 'speaker_now'):<10}{one['what']}"
            for one in facts
        ]
    if any(one["twin"] for one in facts):
        lines.append("Cards of the same model are named by their sockets: their ids change places between starts.")
    lines += [f"{card} is there too, and not to be had now: {why}." for card, why in held.items()]
    return "\n".join(lines) or "No sound card is there: plug one in."


def _use(one: "Mapping[str, Any]", count: str, now: str) -> str:
    return "used now" if one[now] else "yes" if one[count] else "-"
