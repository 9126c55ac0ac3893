"""The bench's table: as Markdown between two marks of a file whose words stay, and as JSON."""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import callbox
from callbox.base.errors import CallboxError
from callbox.testing.bench.figures import Figure

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def machine() -> dict[str, str]:
    """Return what the figures were measured on: processor, system, versions."""
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "python": platform.python_version(),
        "callbox": callbox.__version__ + _commit(),
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "websockets")),
        "pesq": "measured" if importlib.util.find_spec("pesq") else "not measured: pip install pesq",
    }


def markdown(about: dict[str, str], figures: Sequence[Figure]) -> str:
    """Return the part of the file that the bench writes."""
    known = [f"- {name}: {value}" for name, value in about.items()]
    rows = ["| " + " | ".join(_cells(figure)) + " |" for figure in figures]
    head = ["| what | step | figure | goal | reached | median of |", "|---|---|--:|--:|---|---|"]
    return "\n".join([*known, "", *head, *rows])


def rewritten(text: str, part: str) -> str:
    """Return `text` with what stands between the two marks replaced. Raises CallboxError without marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CallboxError(f"The file has no place for the figures: {BEGIN} and {END} are missing.", "Put them back.")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def write(file: Path, part: str) -> None:
    """Put the table into `file`; a new file holds nothing else."""
    text = file.read_text(encoding="utf-8") if file.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    file.write_text(rewritten(text, part), encoding="utf-8")


def as_facts(about: dict[str, str], figures: Sequence[Figure]) -> dict[str, Any]:
    """Return the same as plain facts, for `--json`."""
    lines = [
        {
            "what": figure.what,
            "step": figure.step or None,
            "value": None if figure.value is None else round(figure.value, figure.digits + 1),
            "unit": figure.unit,
            "goal": figure.goal.value if figure.goal else None,
            "bound": figure.goal.bound if figure.goal else None,
            "reached": figure.reached,
            "of": figure.of,
        }
        for figure in figures
    ]
    return {"about": about, "figures": lines}


def _cells(figure: Figure) -> tuple[str, ...]:
    return figure.what, figure.step or "-", shown(figure), _goal(figure), _reached(figure), figure.of


def shown(figure: Figure) -> str:
    """Return a figure as it stands in the table."""
    if figure.value is None:
        return "not measured"
    return f"{figure.value:,.{figure.digits}f} {figure.unit}".strip()


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    sign = "≤" if figure.goal.bound == "<=" else "≥"
    return f"{sign} {figure.goal.value:,.{figure.digits}f} {figure.unit}".strip()


def _reached(figure: Figure) -> str:
    return {True: "yes", False: "**no**", None: ""}[figure.reached]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _commit() -> str:
    """Return the commit of the sources, if they are a checkout."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f", commit {done.stdout.strip()}"
