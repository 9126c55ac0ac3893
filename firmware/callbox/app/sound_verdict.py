"""What the sound self-test's figures mean, in words, each with its cure. Pure."""

from callbox.app.doctor_finding import Finding
from callbox.audio.sound_test import CHIRPS, SoundTest

AREA = "sound"
TOO_LOUD_DB, CLIPPED = -0.5, 0.0005
NOISY_DB, FAINT_DB = -42.0, -40.0
LATE_MS, JUMPS_MS = 250.0, 5.0


def verdict(test: SoundTest, microphone: str, speaker: str, headset: bool = False) -> list[Finding]:
    """Judge one test of these two devices. `headset`: the microphone is not meant to hear the speaker."""
    if test.mic_dead:
        what = f"The microphone {microphone} gives nothing at all, not even noise."
        return [Finding(AREA, "fault", what, "It is muted in the mixer (alsamixer, F4), or it is the wrong card.")]
    findings = _heard(test, microphone, speaker, headset)
    if test.clipped > CLIPPED or test.loudest_db > TOO_LOUD_DB:
        what = f"The speaker is too loud for the microphone {microphone}: it reaches its limit."
        findings.append(Finding(AREA, "warning", what, "Turn the microphone down: alsamixer, F4. Or the volume."))
    if test.noise_db > NOISY_DB:
        what = f"The microphone is noisy: {test.noise_db:.0f} dB of full scale while nothing is played."
        findings.append(Finding(AREA, "warning", what, "Turn it down in the mixer (alsamixer, F4); move it from fans."))
    return findings


def _heard(test: SoundTest, microphone: str, speaker: str, headset: bool) -> list[Finding]:
    if test.delay_ms is None or test.echo_db is None:
        if headset:
            return [Finding(AREA, "ok", "The microphone works, and does not hear the speaker.")]
        what = f"The microphone {microphone} works, but does not hear the speaker {speaker}."
        cure = "Is the speaker on, and turned up? Is it the right card? With a headset this is well: --headset"
        return [Finding(AREA, "fault", what, cure)]
    heard = f"The speaker is heard after {test.delay_ms:.0f} ms, {_louder(test.echo_db)} than it was played"
    findings = [Finding(AREA, "ok", f"{heard}; the room's noise is at {test.noise_db:.0f} dB.")]
    if test.heard < CHIRPS or test.spread_ms > JUMPS_MS:
        what = (
            f"The sound breaks off: {test.heard} of {CHIRPS} chirps came back, {test.spread_ms:.0f} ms apart in delay."
        )
        cure = "Is the power supply strong enough? Try another USB socket or cable."
        findings.append(Finding(AREA, "warning", what, cure))
    if test.delay_ms > LATE_MS:
        what = f"The sound is late by {test.delay_ms:.0f} ms."
        findings.append(
            Finding(AREA, "warning", what, "Bluetooth, or a sound server between? Use the card by its name.")
        )
    if test.echo_db < FAINT_DB and not headset:
        what = "The speaker is hardly heard."
        findings.append(Finding(AREA, "warning", what, "Turn up the speaker, or the microphone: alsamixer."))
    return findings


def _louder(echo_db: float) -> str:
    return f"{abs(echo_db):.0f} dB {'louder' if echo_db > 0 else 'weaker'}"
