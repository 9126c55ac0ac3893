"""The guest by hand: runs lines of bash, and stories, each of these from where every story starts.

python -m machine "systemctl --failed" "@panel latency"        in tests/, as root; without arguments it makes the image
"""

import sys
import tempfile
from pathlib import Path

from machine.guest import READY, Guest
from machine.image import copy_disk, ready_image, started


def main(lines: list[str]) -> int:
    image = ready_image(started(lambda what: print(what, file=sys.stderr, flush=True)))
    rc = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        guest = Guest(image, copy_disk(image, folder), folder)
        try:
            guest.boot(READY)
            for line in lines:
                print(f"# {line}", flush=True)
                story, *words = line[1:].split() if line.startswith("@") else [""]
                if story:
                    guest.restore()
                command = guest.start_story(story, *words) if story else guest.start(line, 120)
                for said in command.lines():
                    print(said, end="", flush=True)
                rc = rc or int(command.last["rc"])
        finally:
            guest.kill()
    return rc


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
