"""`callbox sound levels` and `callbox test sound`: through the running box, or alone where none runs."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from callbox.app import client
from callbox.app.commands.words import Adder, Options, add_json, home_of, print_facts, progress
from callbox.base.errors import CallboxError

if TYPE_CHECKING:
    from callbox.app.doctor_finding import Finding
    from callbox.audio.sound_test import SoundTest

BAR, QUIETEST_DB = 48, -72.0
MOST_OTHERS = 6


def add(adder: Adder) -> None:
    """Add `callbox test`."""
    test = adder.add("test", "test microphone and speaker by a few chirps", _test, "callbox test sound")
    test.description = "Test microphone and speaker by a few chirps. Ends with 0 if all is well, else with 1."
    test.add_argument("what", choices=("sound",), help="sound: play chirps, and listen for them")
    test.add_argument("--headset", action="store_true", help="the microphone is not meant to hear the speaker")
    add_json(test)


def levels(options: Options) -> int:
    """Show how loud the microphone is, ten times a second."""
    heard: list[dict[str, float]] = []
    shown = sys.stdout.isatty() and not options.json
    try:
        for reply in _listen(options, seconds=options.seconds):
            if "level" in reply:
                heard.append(reply["level"])
                if shown:
                    print(f"\r{bar(**reply['level'])}", end="", flush=True)
    except KeyboardInterrupt:
        pass
    if shown:
        print(flush=True)
    facts = summary(heard)
    print_facts(options, facts, f"loudest {facts['loudest_db']} dB, quietest {facts['quietest_db']} dB of full scale")
    return 0


def bar(mean_db: float, peak_db: float) -> str:
    """Return one line of the meter: how loud, the loudest sample, and a word where it is too loud."""

    def width(db: float) -> int:
        return round(BAR * min(1.0, max(0.0, 1 - db / QUIETEST_DB)))

    line = ("#" * width(mean_db)).ljust(width(peak_db), "-").ljust(BAR)
    return f"[{line}] {mean_db:6.1f} dB{'  too loud' if peak_db > -0.5 else '          '}"


def summary(heard: list[dict[str, float]]) -> dict[str, Any]:
    """Return what `--json` prints of all levels."""
    means = [level["mean_db"] for level in heard] or [-96.0]
    peaks = [level["peak_db"] for level in heard] or [-96.0]
    return {"ok": True, "loudest_db": max(peaks), "quietest_db": min(means), "levels": heard}


def _test(options: Options) -> int:
    from callbox.app.commands.doctor import as_facts, report
    from callbox.app.doctor_finding import is_well
    from callbox.app.sound_verdict import verdict

    sound = home_of(options).settings().sound
    progress("Three chirps: keep quiet for three seconds ...")
    test = _one_test(options)
    findings = verdict(test, sound.input, sound.output, options.headset)
    if not is_well(findings) and (test.mic_dead or not test.heard) and sound.backend == "portaudio":
        findings += _others(options, sound.input, sound.output)
    facts = {**as_facts(findings, is_well(findings)), "test": dataclasses.asdict(test)}
    print_facts(options, facts, report(findings, sys.stdout.isatty()))
    return 0 if is_well(findings) else 1


def _one_test(options: Options, **names: str) -> "SoundTest":
    from callbox.audio.sound_test import SoundTest

    *_, last = _listen(options, seconds=1.0, test=True, **names)
    if "test" not in last:
        raise CallboxError("The test did not come to its end.", "Is somebody calling? Test again.")
    return SoundTest(**last["test"])


def _others(options: Options, microphone: str, speaker: str) -> "list[Finding]":
    """Look whether another card is the one: other microphones with this speaker, then other speakers."""
    from callbox.app.commands.sound import worth_showing
    from callbox.app.doctor_finding import Finding
    from callbox.audio.devices import open_backend

    there = [
        (info.names[0] if info.names else info.name, info) for info in worth_showing(open_backend("portaudio").list())
    ]
    tries = [("input", name, speaker) for name, info in there if info.inputs and name != microphone]
    tries += [("output", microphone, name) for name, info in there if info.outputs and name != speaker]
    for setting, one, other in tries[:MOST_OTHERS]:
        name = one if setting == "input" else other
        progress(f"trying {name} ...")
        try:
            heard = _one_test(options, input=one, output=other).heard
        except CallboxError:
            continue
        if heard:
            what = f"The {'microphone' if setting == 'input' else 'speaker'} {name} is the right one: chirps came back."
            return [Finding("sound", "warning", what, f"In box.toml, under [sound]: {setting} = {json.dumps(name)}")]
    return []


def _listen(options: Options, **words: Any) -> Iterator[dict[str, Any]]:
    """Yield replies as a running box gives them, from it or, where none runs, from this process."""
    home = home_of(options)
    try:
        if home.holds_box:
            for reply in client.ask(home, "listen", patience_s=0.0, **words):
                yield client.checked(reply)
            return
    except client.NotRunning:
        pass
    from callbox.app.sound_alone import listen_alone
    from callbox.audio.facts import Level, Listen

    what = Listen(words["seconds"], words.get("test", False), words.get("input", ""), words.get("output", ""))
    with closing(listen_alone(home.settings(), what)) as facts:
        for fact in facts:
            if isinstance(fact, Level):
                yield {"level": dataclasses.asdict(fact)}
            else:
                yield {"test": dataclasses.asdict(fact.test)} if fact.test is not None else {}
