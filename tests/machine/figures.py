"""Figures that the stories measured: kept in a JSON file and shown as a table at the end of the run."""

import json
from pathlib import Path

FILE = Path(__file__).parents[2] / "build" / "machine-figures.json"


class Figures:
    """Collects figures; what an earlier run measured stays until it is measured again."""

    def __init__(self, file: Path = FILE) -> None:
        self._file = file
        self.measured: dict[str, tuple[float, str]] = {}

    def record(self, what: str, value: float, unit: str) -> None:
        """Keep one figure, in the guest's time where it is one."""
        self.measured[what] = (round(value, 3), unit)
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        known[what] = {"value": round(value, 3), "unit": unit}
        self._file.parent.mkdir(exist_ok=True)
        self._file.write_text(json.dumps(known, indent=2, ensure_ascii=False, sort_keys=True) + "\n")

    def table(self) -> list[str]:
        width = max((len(what) for what in self.measured), default=0)
        return [f"{what:<{width}}  {value:>10g} {unit}" for what, (value, unit) in self.measured.items()]
