"""The machine is spoiled, `callbox doctor` is asked as root and as its user, its cure done, and it is asked again.

doctor.py CASE       CASE as JSON: "spoil" and "mend", lines of bash; "cure", the area whose cure is run;
                     "users", who asks: root, user

The cure is run as it is printed: what stands after `Run: ` goes to bash.
"""

import json
import re
import subprocess
import sys
from typing import Any

from machine.inside.hands import callbox, tell


def bash(lines: list[str]) -> None:
    for line in lines:
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"


def examine(as_root: bool) -> dict[str, Any]:
    if as_root:
        command = ["ip", "netns", "exec", "kitchen", "callbox", "doctor", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    else:
        done = callbox("kitchen", "doctor", "--json")
    assert not done.stderr, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["ok"] is (done.returncode == 0)
    return {"ok": told["ok"], "findings": [one for one in told["findings"] if one["level"] in ("fault", "warning")]}


def command_in(cure: str) -> str:
    """Return the command that a cure tells to run; `sudo` is left out, for the guest is root."""
    found = re.search(
        r"(?:Run|Start it|Now|Free some|Set it): (.+?)(?:; or by hand|; then log in|; to keep it|\.? For good|$)", cure
    )
    assert found, cure
    return found[1].replace("sudo ", "")


def main() -> None:
    case = json.loads(sys.argv[1])
    bash(case["spoil"])
    found = {user: examine(user == "root") for user in case["users"]}
    run = ""
    if area := case.get("cure"):
        told = next(one for one in found["root"]["findings"] if one["area"] == area)
        run = command_in(told["cure"])
        bash([run])
    bash(case.get("mend", []))
    tell(found=found, ran=run, after=examine(True))


if __name__ == "__main__":
    main()
