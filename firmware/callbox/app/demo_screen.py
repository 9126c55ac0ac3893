"""What a person sees of `callbox demo`: two panels side by side, drawn anew while the call goes on."""

import shutil
from collections.abc import Mapping, Sequence
from typing import IO, Any

from callbox.app.commands.shown import DARK, LIT, is_lit, kbit_per_s, thread_line, voice_line

Facts = Mapping[str, Any]
Thread = Sequence[Facts]  # oldest first, as `messages` tells it
WIDTH = 50
THREAD_ROWS = 8
MARKS = {"queued": "waits", "sent": "✓ sent", "delivered": "✓✓ delivered", "heard": "✓✓ heard", "unsent": "not sent"}
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
        self._told: set[str] = set()

    def say(self, sentence: str) -> None:
        """Tell what happens, above the panels."""
        if not self._quiet:
            self._stream.write(f"\x1b[{self._drawn_lines}A\x1b[J" if self._drawn_lines else "")
            self._stream.write(sentence + "\n")
            self._stream.flush()
            self._drawn_lines = 0

    def show(self, facts: Mapping[str, Facts], threads: Mapping[str, Thread] | None = None) -> None:
        """Draw both panels, and their conversation, in place.

        Without a terminal, print a line when a light, a state or something in a conversation changed.
        """
        if self._quiet or not facts:
            return
        threads = threads or {}
        rows = min(THREAD_ROWS, max(map(len, threads.values()), default=0))
        panels = [panel(box, self._terminal, chat(threads.get(name, ()), rows)) for name, box in facts.items()]
        if not self._terminal:
            self._tell_changes(threads)
            told = (
                box["state"] if threads else f"{box['state']} [{lit(box)}] {_voice(box)[0]}" for box in facts.values()
            )
            line = "   ".join(f"{name}: {what}" for name, what in zip(facts, told, strict=True))
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

    def _tell_changes(self, threads: Mapping[str, Thread]) -> None:
        """Print each line of a conversation when it is new or its mark is."""
        for name, items in threads.items():
            for item in items:
                line = f"  {name}'s thread: {thread_line(item)}"
                if line not in self._told:
                    self._told.add(line)
                    self._stream.write(line + "\n")
        self._stream.flush()

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


def panel(box: Facts, colour: bool, thread: Sequence[str] = ()) -> list[str]:
    """Return one box's front as lines of equal width: lights, state, voice, meter; or its conversation below."""
    title = f" {box['name']} "
    lights = " ".join(_light(name, level, colour) for name, level in box["lights"].items())
    plain = " ".join(f"{name} o" for name in box["lights"])
    call = box.get("call") or {}
    state = box["state"] + (f", {'to' if call['outgoing'] else 'from'} {call['contact']}" if call else "")
    rows = [state, *(thread or _voice(box))]
    return [
        "╭" + title.center(WIDTH, "─") + "╮",
        "│ " + lights + " " * max(0, WIDTH - 1 - len(plain)) + "│",
        *("│ " + row.ljust(WIDTH - 1)[: WIDTH - 1] + "│" for row in rows),
        "╰" + "─" * WIDTH + "╯",
    ]


def chat(items: Thread, rows: int) -> list[str]:
    """Return the newest lines of a conversation, ours to the right with their marks."""
    lines = [_chat_line(item) for item in items[-rows:]] if rows else []
    return lines + [""] * (rows - len(lines))


def _chat_line(item: Facts) -> str:
    if item["kind"] == "call":
        what = f"{'call' if item['outgoing'] else 'missed call'}, {str(item['reason']).replace('_', ' ')}"
        mark = "" if item["outgoing"] or item["heard"] else "new"
    else:
        what = str(item["text"]) if item["kind"] == "text" else f"voice message, {item['duration_s']:.0f} s"
        state = str(item["state"])
        mark = MARKS.get(state, state) if item["outgoing"] else {"delivered": "new", "heard": ""}.get(state, state)
    line = f"{what}  {mark}".rstrip()
    return line.rjust(WIDTH - 2) if item["outgoing"] else line


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
