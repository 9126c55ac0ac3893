"""The package's own script ends an upgrade while both boxes talk: it starts box and server anew. The call goes on.

How files are replaced is told in tests/package; to unpack a whole package takes this guest half an hour.
"""

import os
import subprocess
from typing import Any

from machine.inside.deaths import BOXES, Watch, flows, pid_of, talk
from machine.inside.hands import call, kitchen, now, service, status, tell, until, workshop

SCRIPT = ("/var/lib/dpkg/info/callbox.postinst", "configure", "0.0.1")
AS_DPKG_DOES = {**os.environ, "DPKG_MAINTSCRIPT_PACKAGE": "callbox", "DPKG_MAINTSCRIPT_NAME": "postinst"}


def main() -> None:
    call(kitchen, workshop)
    kitchen.press("mute")
    until(lambda: all(map(flows, BOXES)), 10, "voice flows")
    before = {name: pid_of(name) for name in ("kitchen", "server")}
    watch = Watch()
    ran = subprocess.run(SCRIPT, env=AS_DPKG_DOES, capture_output=True, text=True, check=False)
    facts: dict[str, Any] = {"exit": ran.returncode, "said": ran.stderr[-1000:], "script_s": now() - watch.began}
    facts["talking_s"] = watch.until(talk, "both talk again")
    until(lambda: all(map(flows, BOXES)), 20, "voice flows again")
    facts["voice_s"] = now() - watch.began
    facts["restarted"] = [name for name, pid in before.items() if pid_of(name) not in (0, pid)]
    facts["active"] = [service(name, "ActiveState")["ActiveState"] for name in before]
    facts["states"] = watch.states
    facts["muted"] = {name: status(name)["muted"] for name in BOXES}
    tell(**facts)


if __name__ == "__main__":
    main()
