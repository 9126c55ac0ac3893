"""`callbox demo --conversation`: what two people leave each other when they do not talk, watched while it grows.

    text -> sent -> (the other box is switched on) -> delivered -> talk: heard
    call to a box that is off -> its missed call     dial held -> voice message -> talk: played, heard
    quiet hours -> a call that does not ring -> callbox why

A server and two boxes run as processes of their own. Their sound cards are WAV files.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from callbox.app import client
from callbox.app.demo import HEARD_STOI, NAMES, Watched, out_folder, stoi_anywhere
from callbox.app.demo_screen import Screen, Thread
from callbox.app.demo_stage import KITCHEN, WORKSHOP, Stage, box_toml, wait_for
from callbox.audio.devices.wav import read_wav, write_wav
from callbox.testing.voice import find_voice

PACE_S = 2.5
VOICE_S = 4.0
HOLD_S = VOICE_S + 1.5  # the button counts as held after 1 s, then a tone
RINGBACK_S = 1.5
WITHIN_S = 15.0
TEXT = "Supper is ready. Coming over?"

Facts = dict[str, Any]


def conversation(options: argparse.Namespace) -> int:
    """Run the demo; return 0 if everything came as it should, else 1."""
    screen = Screen(sys.stderr, quiet=options.json)
    out = out_folder(options.out)
    voice = find_voice(VOICE_S)
    with tempfile.TemporaryDirectory(prefix="callbox-demo-") as folder:
        microphone, speaker = Path(folder) / "microphone.wav", Path(folder) / "speaker.wav"
        write_wav(microphone, voice.samples)
        with Stage(Path(folder)) as stage:
            play = Play(stage, screen, 0.0 if options.json else PACE_S)
            play.set_up({KITCHEN: box_toml("wav", str(microphone), ""), WORKSHOP: box_toml("wav", "", str(speaker))})
            play.while_it_is_off()
            play.switched_on()
            play.voice_message()
            heard = read_wav(speaker)
            chain = play.quiet_hours()
            play.look()
    said, kept = out / "kitchen-said.wav", out / "workshop-heard.wav"
    write_wav(said, voice.samples)
    write_wav(kept, heard)
    figures = _figures(play.threads[WORKSHOP], chain, stoi_anywhere(voice.samples, heard))
    figures |= {"voice": voice.source, "human": voice.human, "said": str(said), "heard": str(kept)}
    print(json.dumps(figures) if options.json else _report(figures))
    return 0 if figures["arrived"] else 1


class Play:
    """The acts. `pace_s`: how long each step is left on the screen."""

    def __init__(self, stage: Stage, screen: Screen, pace_s: float) -> None:
        self._stage = stage
        self._screen = screen
        self._pace_s = pace_s
        self._watched = Watched()
        self.threads: dict[str, Thread] = {}

    def set_up(self, settings: Mapping[str, str]) -> None:
        """Enrol both boxes, and switch on the first."""
        self._screen.say("starting a signaling server ...")
        self._stage.start_server()
        self._screen.say("making two boxes: kitchen and workshop ...")
        self._stage.enrol(NAMES, settings)
        self._switch_on(KITCHEN)

    def while_it_is_off(self) -> None:
        """A text and a call to a box that is switched off."""
        self._tell("the workshop's box is switched off; kitchen writes to it all the same")
        self._ask(KITCHEN, "message", contact=WORKSHOP, text=TEXT)
        self._until("The text is at the server", lambda: self._newest(KITCHEN, "text").get("state") == "sent")
        self._tell("kitchen calls, nobody answers, and it gives up")
        self._press(KITCHEN, "dial1")
        self.look(RINGBACK_S)
        self._press(KITCHEN, "talk")
        self._until("The call is over", lambda: bool(self._newest(KITCHEN, "call")))

    def switched_on(self) -> None:
        """Both find their way, and are read."""
        self._tell("somebody switches the workshop's box on: text and missed call are there, and its blue light blinks")
        self._switch_on(WORKSHOP)
        self._until("The missed call's notice came", lambda: bool(self._newest(WORKSHOP, "call")))
        self._until("The text is delivered", lambda: self._newest(KITCHEN, "text")["state"] == "delivered")
        self._tell("workshop presses talk twice: once for the text, once for the call")
        self._press(WORKSHOP, "talk")
        self._until("The text is heard", lambda: self._newest(KITCHEN, "text")["state"] == "heard")
        self._press(WORKSHOP, "talk")
        self._until("The missed call is known", lambda: bool(self._newest(WORKSHOP, "call")["heard"]))

    def voice_message(self) -> None:
        """Recorded while a button is held, uploaded, played."""
        self._tell("kitchen holds dial 1 and speaks after the tone, while the live light is on")
        holding = threading.Thread(target=self._press, args=(KITCHEN, "dial1", HOLD_S), daemon=True)
        holding.start()
        while holding.is_alive():
            self.look()
        self._tell("it lets go: the message is sealed, and goes up in parts")
        self._until("The voice is delivered", lambda: self._newest(KITCHEN, "voice").get("state") == "delivered")
        self._tell("workshop presses talk, and hears it")
        self._press(WORKSHOP, "talk")
        self._until("The voice is heard", lambda: self._newest(KITCHEN, "voice")["state"] == "heard")

    def quiet_hours(self) -> list[str]:
        """A call that does not ring, and why; returns the chain of reasons."""
        now = datetime.now()
        span = "-".join((now + timedelta(hours=by)).strftime("%H:%M") for by in (-1, 1))
        self._tell(f"workshop wants quiet, {span}; kitchen calls again, and nothing rings")
        self._ask(WORKSHOP, "quiet hours", span=span)
        self._press(KITCHEN, "dial1")
        self._until("The call is in the thread", lambda: self._newest(WORKSHOP, "call").get("reason") == "quiet")
        chain: list[str] = self._newest(WORKSHOP, "call")["chain"]
        self._tell("workshop$ callbox why")
        told = self._stage.command("why", "--home", str(self._stage.home(WORKSHOP).folder))
        newest, *others = told.split("\n    ")
        self._screen.say("\n      ".join([f"  {newest}", *(line.splitlines()[0] for line in others[: len(chain)])]))
        return chain

    def look(self, seconds: float = 0.1) -> None:
        """Show both boxes and their conversations for a while."""
        end = time.monotonic() + seconds
        while True:
            for name in self._watched.in_order():
                self.threads[name] = self._ask(name, "messages", contact=None, last=20, read=False)["items"]
            self._screen.show(self._watched.in_order(), self.threads)
            if time.monotonic() >= end:
                return
            time.sleep(0.1)

    def _switch_on(self, name: str) -> None:
        self._stage.start_box(name)
        self._watched.follow(name, self._stage)
        wait_for(lambda: self._watched.facts.get(name, {}).get("link") == "connected", WITHIN_S, f"Connecting {name}")

    def _tell(self, sentence: str) -> None:
        self.look(self._pace_s)
        self._screen.say(sentence)

    def _until(self, what: str, happened: Callable[[], bool]) -> None:
        def looked() -> bool:
            self.look()
            return happened()

        wait_for(looked, WITHIN_S, what)

    def _newest(self, name: str, kind: str) -> Facts:
        """Return the newest item of a kind in a box's thread; empty if there is none."""
        return dict(next((item for item in reversed(self.threads.get(name, ())) if item["kind"] == kind), {}))

    def _press(self, name: str, button: str, hold_s: float = 0.0) -> None:
        self._ask(name, "press", button=button, hold_s=hold_s)

    def _ask(self, name: str, what: str, **words: Any) -> Facts:
        return client.ask_once(self._stage.home(name), what, **words)


def _figures(thread: Thread, chain: list[str], stoi: float | None) -> Facts:
    told = [{name: item.get(name) for name in ("kind", "state", "reason", "duration_s")} for item in thread]
    right = [item["state"] or item["reason"] for item in told] == ["heard", "unreachable", "heard", "quiet"]
    return {"arrived": right and stoi is not None and stoi >= HEARD_STOI, "thread": told, "stoi": stoi, "why": chain}


def _report(figures: Facts) -> str:
    lines = [
        "",
        "Everything came as it should." if figures["arrived"] else "NOT everything came as it should.",
        f"  voice          {figures['voice']}{'' if figures['human'] else ' (synthetic: no recording was found)'}",
        f"  understood     STOI {figures['stoi']} (1 is perfect)",
        f"  listen         {figures['said']}  {figures['heard']}",
    ]
    return "\n".join(lines)
