"""A whole call made by hand: the documented command lines, typed into a shell, with a sound card and real processes."""

import json
import re
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from callbox.base.errors import CallboxError
from callbox.testing.measure import intelligibility
from callbox.testing.virtual_card import VirtualCard
from callbox.testing.voice import find_voice
from real.processes import COMMAND_S, Place, wait_for

pytestmark = pytest.mark.real

# As the documentation has it, comments included. What stands in columns is typed as lines of their own.
BY_HAND = Path(__file__).with_name("call_by_hand.txt")

PORT = "8443"
SAID_S = 5.0


class Shell:
    """A bash that gets one line at a time, as from a person; every command's failure is noticed."""

    def __init__(self, place: Place) -> None:
        self._errors = place.folder / "shell.err"
        with self._errors.open("wb") as errors:
            self._bash = subprocess.Popen(
                ["bash", "--norc"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=place.environment,
                cwd=place.folder,
            )
        self.type("trap 'echo \"FAILED $? $BASH_COMMAND\"' ERR")

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def type(self, line: str) -> str:
        """Type a line, wait for the prompt; return what was printed. A command that fails, fails the test."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        prompt = f"prompt-{uuid.uuid4().hex}"
        self._bash.stdin.write(f"{line}\necho {prompt}\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        for text in self._bash.stdout:
            if prompt in text:
                break
            printed.append(text)
        out = "".join(printed)
        assert "FAILED" not in out, f"{line}\n{out}\n{self.errors}"
        return out

    def end(self) -> int:
        """Close the shell as by Ctrl-D."""
        self._bash.communicate(timeout=COMMAND_S)
        return self._bash.returncode

    def kill(self) -> None:
        """End what still runs; only after a failure is there anything."""
        if self._bash.poll() is None:
            assert self._bash.stdin is not None
            self._bash.stdin.write("kill -KILL $(jobs -p)\n")
            self._bash.communicate(timeout=COMMAND_S)


def typed(port: int) -> list[str]:
    """Return the lines to type; another port only where somebody has that one."""
    lines = [line for row in BY_HAND.read_text().splitlines() for line in re.split(r" {3,}(?=callbox)", row)]
    return [line.replace(PORT, str(port)) for line in lines]


def settings(card: str) -> str:
    return f'[panel]\nbackend = "simulated"\n\n[sound]\ninput = "{card}"\noutput = "{card}"\n'


def test_the_documented_commands_make_a_call_in_which_a_voice_is_heard(tmp_path: Path) -> None:
    try:
        card = VirtualCard(("kitchen", "workshop"))
        card.__enter__()
    except CallboxError as error:
        pytest.skip(str(error))
    with card, Place(tmp_path, card.environment) as place:
        shell = Shell(place)
        try:
            by_hand(place, shell, card)
        finally:
            shell.kill()
        assert "Traceback" not in shell.errors


def by_hand(place: Place, shell: Shell, card: VirtualCard) -> None:
    port = int(PORT) if port_is_free(int(PORT)) else place.port
    server, invite, join_a, join_b, *rest = typed(port)
    shell.type(server)
    first = invite_line(shell.type(invite))
    second = invite_line(shell.type(invite.replace("kitchen", "workshop")))
    shell.type(join_a.replace("INVITE", first))
    shell.type(join_b.replace("INVITE2", second))
    for home, name in (("A", "kitchen"), ("B", "workshop")):
        (place.folder / home / "box.toml").write_text(settings(name))
    printed = [shell.type(line) for line in rest]
    status = json.loads(printed[-1].strip().splitlines()[-1])
    assert (status["name"], status["state"]) == ("workshop", "talking")
    wait_for(lambda: all(place.status(home)["lights"]["live"] for home in ("A", "B")), "both live lights")
    heard_well(card)
    shell.type("callbox hangup --home A")
    wait_for(lambda: place.state("A") == place.state("B") == "idle", "the end of the call")
    for home in ("A", "B"):
        lights = place.status(home)["lights"]
        assert lights["live"] == lights["call"] == 0.0
        assert "hung up" in shell.type(f"callbox messages --home {home}")
    # Each job's own exit code: `wait -n` would tell of one only.
    shell.type("for job in $(jobs -p); do kill -TERM $job; wait $job; done")
    assert shell.end() == 0


def heard_well(card: VirtualCard) -> None:
    """Speak into kitchen's microphone and compare what workshop's speaker played.

    A machine that is busy with other things tears holes into any recording; so it may be said up to three times.
    """
    voice = find_voice(SAID_S)
    heard: list[float] = []
    for _ in range(3):
        said, came = card.record_microphone("kitchen"), card.record("workshop")
        card.play("kitchen", voice.samples).wait(SAID_S + 15)
        time.sleep(0.5)
        sent, got = said.stop(), came.stop()
        heard.append(intelligibility(sent, got, came.started_at - said.started_at))
        if heard[-1] > 0.9:
            return
    raise AssertionError(f"the voice was not understood: STOI {heard}")


def invite_line(printed: str) -> str:
    """Return the invite among what a shell shows; the server's own line may come in between."""
    found = re.search(r"^callbox-invite:\S+$", printed, re.MULTILINE)
    assert found, printed
    return found[0]


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
