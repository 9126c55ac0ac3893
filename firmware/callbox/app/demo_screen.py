"""What a person sees of `callbox demo`: two panels side by side, drawn anew while the call goes on."""

import shutil
from collections.abc import Mapping
from typing import IO, Any

from callbox.app.commands.shown import DARK, LIT, is_lit, kbit_per_s, voice_line

Facts = Mapping[str, Any]
WIDTH = 50
METER_CELLS = 12
QUIETEST_DB = -60.0
COLOURS = {"live": "97", "mute": "91", "call": "92", "calls": "93", "message": "94", "status": "92"}


class Screen:
    """Draws on a terminal; elsewhere it prints one line per step. `quiet`: only errors."""

    def __init__(self, stream: IO[str], quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet
        self._terminal = stream.isatty() and not quiet
        self._drawn_lines = 0
        self._last = ""

    def say(self, sentence: str) -> None:
        """Tell what happens, in one line."""
        if not self._quiet:
            self._stream.write(sentence + "\n")
            self._stream.flush()
            self._drawn_lines = 0

    def show(self, facts: Mapping[str, Facts]) -> None:
        """Draw both panels in place; without a terminal, print a line when a light or state changed."""
        if self._quiet or not facts:
            return
        panels = [panel(box, self._terminal) for box in facts.values()]
        if not self._terminal:
            line = "   ".join(f"{box['name']}: {box['state']} [{lit(box)}] {_voice(box)[0]}" for box in facts.values())
            if line != self._last:
                self._last = line
                self._stream.write(line + "\n")
            return
        side_by_side = shutil.get_terminal_size().columns >= 2 * WIDTH + 6 and len(panels) == 2
        if side_by_side:
            lines = [f"{left}  {right}" for left, right in zip(*panels, strict=True)]
        else:
            lines = [line for panel_lines in panels for line in panel_lines]
        if self._drawn_lines:
            self._stream.write(f"\x1b[{self._drawn_lines}A")
        self._stream.write("".join(f"\x1b[2K{line}\n" for line in lines))
        self._stream.flush()
        self._drawn_lines = len(lines)

    def report(self, figures: Facts) -> str:
        """Return the figures of the call as a few lines."""
        delay = figures["mouth_to_ear_median_ms"]
        lines = [
            "",
            "The voice arrived." if figures["arrived"] else "The voice did NOT arrive.",
            f"  voice          {figures['voice']}{'' if figures['human'] else ' (synthetic: no recording was found)'}",
            f"  sound          {figures['card']}",
            f"  mouth to ear   {_delays(figures) if delay is not None else 'not measured'}",
            f"  understood     STOI {figures['stoi']} (1 is perfect)",
            f"  format         {figures['step_name']}: {figures['packet_ms']} ms packets, {kbit_per_s(figures)} kbit/s",
            f"  frames         {figures['received']} received, {figures['lost']} lost, {figures['late']} late",
            f"  dial to ring   {figures['dial_to_ring_ms']} ms",
            f"  listen         {figures['said']}  {figures['heard']}",
        ]
        return "\n".join(lines)


def panel(box: Facts, colour: bool) -> list[str]:
    """Return one box's front as lines of equal width: lights, state, voice, meter."""
    title = f" {box['name']} "
    lights = " ".join(_light(name, level, colour) for name, level in box["lights"].items())
    plain = " ".join(f"{name} o" for name in box["lights"])
    call = box.get("call") or {}
    state = box["state"] + (f", {'to' if call['outgoing'] else 'from'} {call['contact']}" if call else "")
    rows = [state, *_voice(box)]
    return [
        "╭" + title.center(WIDTH, "─") + "╮",
        "│ " + lights + " " * max(0, WIDTH - 1 - len(plain)) + "│",
        *("│ " + row.ljust(WIDTH - 1)[: WIDTH - 1] + "│" for row in rows),
        "╰" + "─" * WIDTH + "╯",
    ]


def lit(box: Facts) -> str:
    """Return the names of the lights that are on."""
    return " ".join(name for name, level in box["lights"].items() if is_lit(level))


def meter(level_db: float) -> str:
    """Return a bar for a level in dB of full scale."""
    filled = round(METER_CELLS * max(0.0, 1 - level_db / QUIETEST_DB))
    return "▮" * filled + "▯" * (METER_CELLS - filled)


def _voice(box: Facts) -> list[str]:
    media = box.get("media")
    if not media:
        return ["", ""]
    return [voice_line(media), f"mic {meter(media['level_in_db'])} ear {meter(media['level_out_db'])}"]


def _light(name: str, level: float, colour: bool) -> str:
    on = is_lit(level)
    mark = LIT if on else DARK
    return f"{name} \x1b[{COLOURS.get(name, '97')}m{mark}\x1b[0m" if colour and on else f"{name} {mark}"


def _delays(figures: Facts) -> str:
    return f"{figures['mouth_to_ear_median_ms']:.0f} ms median, {figures['mouth_to_ear_p95_ms']:.0f} ms p95"
