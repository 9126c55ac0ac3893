"""The wiring of a board as a Markdown table and as an SVG drawing of the header. Pure: a board in, text out."""

from dataclasses import dataclass
from html import escape

from callbox.panel.header import POSITION_OF_GPIO, POSITIONS, nearest_ground, reserved_for
from callbox.panel.parts import Board, Button, Light, Part, Switch

ROW_HEIGHT = 26
TOP = 64
MIDDLE = 400
WIDTH = 2 * MIDDLE
PIN_OFFSET = 15  # from the middle line to the centre of a pin
WIRE_END = 130  # from the middle line to where a part is drawn

_STYLE = """
    text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1b1f24 }
    .card { fill: #ffffff; stroke: #d0d7de }
    .title { font-size: 16px; font-weight: 600 }
    .part { font-weight: 600 }
    .faint { fill: #6e7781 }
    .header { fill: #2b3036 }
    .wire { stroke: #57606a; stroke-width: 2; fill: none }
    .key { fill: #eaeef2; stroke: #57606a; stroke-width: 1.5 }
    .led { stroke: #57606a; stroke-width: 1.5 }
    .number { font-size: 10px; fill: #1b1f24 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .card { fill: #161b22; stroke: #30363d }
      .faint { fill: #8b949e }
      .header { fill: #0d1117; stroke: #30363d }
      .wire { stroke: #8b949e }
      .key { fill: #30363d; stroke: #8b949e }
      .led { stroke: #8b949e }
      .number { fill: #1b1f24 }
    }
"""
_PIN_COLOURS = {"5V": "#ff8a80", "3V3": "#ffcc80", "GND": "#b0bec5"}
_LED_COLOURS = {"white": "#fffbe6", "red": "#e5484d", "green": "#30a46c", "amber": "#ffb224", "blue": "#3e8ee6"}


@dataclass(frozen=True, slots=True)
class _Wired:
    """A part of a board under its section's name."""

    section: str
    part: Part


def _wired(board: Board) -> list[_Wired]:
    return [
        *(_Wired(f"button.{name}", button) for name, button in board.buttons.items()),
        *(_Wired(f"switch.{name}", switch) for name, switch in board.switches.items()),
        *(_Wired(f"light.{name}", light) for name, light in board.lights.items()),
    ]


def page(board: Board) -> str:
    """Return the Markdown page of a board: drawing, table and notes. The drawing lies beside it as NAME.svg."""
    notes = "".join(f"- {note}\n" for note in board.notes)
    return (
        f"<!-- Made from {board.name}.toml by `callbox boards draw {board.name}`; change that file instead. -->\n\n"
        f"# {board.title or board.name}\n\n"
        f"![The header with every wire]({board.name}.svg)\n\n{table(board)}\n{notes}"
    )


def table(board: Board) -> str:
    """Return the wiring table in Markdown: one row per part, in the order of the board file."""
    rows: list[tuple[str, ...]] = [("Part", "GPIO", "Position", "Other leg to", "How", "Note"), ("---",) * 6]
    rows += [_row(wired) for wired in _wired(board)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _row(wired: _Wired) -> tuple[str, ...]:
    part, name = wired.part, f"`[{wired.section}]`"
    note = part.note
    if isinstance(part, Light) and part.also:
        note = f"also shows {', '.join(part.also)}" + (f"; {note}" if note else "")
    if not isinstance(part.pin, int):
        return name, part.pin, "on the Pi", "", "nothing to wire", note
    return name, str(part.pin), str(POSITION_OF_GPIO[part.pin]), _other_leg(part), _how(part), note


def _other_leg(part: Part) -> str:
    """Say where the wire that is not on the pin goes; the ground pin named is the nearest one."""
    to_ground = (part.active_level == "high") == isinstance(part, Light)
    if isinstance(part, Button | Switch) and part.pull != "none":
        to_ground = part.pull == "up"  # a contact always pulls against the resistor, closed at rest or not
    return f"ground (position {nearest_ground(int(part.pin))})" if to_ground else "3V3 (position 1 or 17)"


def _how(part: Part) -> str:
    if isinstance(part, Light):
        resistor = f"{part.resistor_ohm} Ω in series" if part.resistor_ohm else "resistor on the board"
        dimmed = f", dimmed to {part.brightness:.0%}" if part.brightness < 1 else ""
        return f"{part.colour or 'any'} LED, {resistor}{dimmed}"
    if part.pull == "none":
        return f"own resistor on the board, {part.active_level} when closed"
    closed_at_rest = (part.pull == "up") == (part.active_level == "high")
    contact = "closed at rest" if closed_at_rest else "closes when pressed"
    return f"{contact}, the Pi's own pull-{part.pull}"


def svg(board: Board) -> str:
    """Return the header with every wire as SVG; its colours follow a dark or light surrounding."""
    by_pin: dict[int | str, _Wired] = {wired.part.pin: wired for wired in _wired(board)}
    kept = reserved_for(board.reserve)
    height = TOP + 20 * ROW_HEIGHT + 64
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        '     role="img" aria-labelledby="title">',
        f'  <title id="title">Wiring: {escape(board.title or board.name)}</title>',
        f"  <style>{_STYLE}  </style>",
        f'  <rect class="card" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="10"/>',
        _text(MIDDLE, 30, board.title or board.name, "title", "middle"),
        _text(MIDDLE, 48, "40-pin header, seen from above; position 1 is nearest the card slot", "faint", "middle"),
        f'  <rect class="header" x="{MIDDLE - 30}" y="{TOP}" width="60" height="{20 * ROW_HEIGHT}" rx="4"/>',
    ]
    for position, what in enumerate(POSITIONS, 1):
        lines += _position(position, what, by_pin, kept)
    if "ACT" in by_pin:
        light = by_pin["ACT"].section.removeprefix("light.")
        lines.append(_text(MIDDLE, height - 36, f"light {light}: the Pi's own activity light", "", "middle"))
    foot = "Where the second leg of each part goes is in the table; any ground does as well as the one named."
    return "\n".join([*lines, _text(MIDDLE, height - 16, foot, "faint", "middle"), "</svg>", ""])


def _position(position: int, what: int | str, by_pin: dict[int | str, _Wired], kept: dict[int, str]) -> list[str]:
    """Draw one pin of the header with its label, and the wire and part on it."""
    side = -1 if position % 2 else 1
    x, y = MIDDLE + side * PIN_OFFSET, TOP + (position - 1) // 2 * ROW_HEIGHT + ROW_HEIGHT // 2
    wired = by_pin.get(what)
    colour = _PIN_COLOURS.get(str(what), "#a5d6a7" if wired else "#eceff1")
    lines = [
        f'  <circle cx="{x}" cy="{y}" r="9" fill="{colour}"/>',
        _text(x, y + 3.5, str(position), "number", "middle"),
    ]
    anchor = "end" if side < 0 else "start"
    name = f"GPIO {what}" if isinstance(what, int) else what
    if wired is None:
        if isinstance(what, int):
            name += f" ({kept[what]})" if what in kept else " (free)"
        return [*lines, _text(MIDDLE + side * 40, y + 4.5, name, "faint", anchor)]
    start, end = MIDDLE + side * 100, MIDDLE + side * WIRE_END
    lines += [
        _text(MIDDLE + side * 40, y + 4.5, name, "", anchor),
        f'  <path class="wire" d="M{start} {y}H{end}"/>',
        _symbol(wired.part, end + side * 8, y),
        _text(end + side * 24, y + 4.5, wired.section.replace(".", " "), "part", anchor),
    ]
    if isinstance(wired.part, Light):
        resistor = f"{wired.part.resistor_ohm} Ω" if wired.part.resistor_ohm else ""
        lines.append(_text(end + side * 140, y + 4.5, f"{wired.part.colour} {resistor}".strip(), "faint", anchor))
    return lines


def _symbol(part: Part, x: int, y: int) -> str:
    if isinstance(part, Light):
        return f'  <circle class="led" cx="{x}" cy="{y}" r="8" fill="{_LED_COLOURS.get(part.colour, "#cfd8dc")}"/>'
    corner = 8 if isinstance(part, Switch) else 3
    return f'  <rect class="key" x="{x - 8}" y="{y - 8}" width="16" height="16" rx="{corner}"/>'


def _text(x: float, y: float, text: str, style: str, anchor: str) -> str:
    styled = f' class="{style}"' if style else ""
    return f'  <text{styled} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
