"""Opus: constant sizes, run-time rate, the three verbs of the decoder."""

import ctypes

import numpy as np
import pytest

from callbox.audio.codecs import open_codec, opus
from callbox.audio.codecs.opus import packet_samples
from callbox.audio.steps import STEPS, RateStep
from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, silence
from callbox.testing.playout import hum, loudness

NOISE = np.random.default_rng(2).integers(-9000, 9000, RATE_HZ).astype(np.int16)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_packet_of_a_step_has_its_size_whatever_is_said(step: RateStep) -> None:
    encoder = open_codec().encoder(step.bits_per_s, step.packet_ms)
    length = step.packet_samples
    for sound in (hum(1.0), NOISE, silence(RATE_HZ)):
        for at in range(0, RATE_HZ - length, length):
            packet = encoder.encode(sound[at : at + length])
            assert len(packet) == step.packet_bytes
            assert packet_samples(packet) == length


def test_rate_and_frame_length_change_between_packets() -> None:
    codec = open_codec()
    encoder, decoder = codec.encoder(48_000, 10), codec.decoder()
    first = encoder.encode(hum(0.01))
    encoder.set_rate(8_000, 60)
    second = encoder.encode(hum(0.06))
    assert (len(first), len(second)) == (60, 60)
    assert len(decoder.decode(first, decoder.span(first))) == 480
    assert len(decoder.decode(second, decoder.span(second))) == 2880


def test_the_encoder_looks_ahead_as_far_as_is_documented() -> None:
    assert opus.codec().encoder(48_000, 10).lookahead_samples == 120, "2.5 ms (firmware/README.md)"
    assert opus.codec().encoder(24_000, 20).lookahead_samples == 312, "6.5 ms"


def test_the_way_of_working_follows_the_rate_in_mid_call() -> None:
    encoder = opus.codec().encoder(48_000, 10)
    encoder.set_fec(True)
    assert not encoder.carries_copies
    encoder.set_rate(24_000, 20)
    assert (encoder.lookahead_samples, encoder.carries_copies) == (312, True)
    assert encoder.encode(hum(0.02))[0] >> 3 == 9, "SILK, wide band (RFC 6716, table 2)"
    encoder.set_rate(48_000, 10)
    assert (encoder.lookahead_samples, encoder.carries_copies) == (120, False)
    assert encoder.encode(hum(0.01))[0] >> 3 in {22, 26, 30}, "CELT, 10 ms"


def test_a_long_packet_is_three_frames_of_20_ms() -> None:
    encoder = open_codec().encoder(12_000, 60)
    for sound in (hum(0.06), NOISE[:2880], silence(2880)):
        packet = encoder.encode(sound)
        assert (packet[0] >> 3, packet[0] & 3, packet[1] & 0x3F) == (5, 3, 3), "SILK, medium band, 20 ms, code 3"


def test_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="480"):
        open_codec().encoder(24_000, 10).encode(silence(100))


def test_voice_survives() -> None:
    codec = open_codec()
    encoder, decoder = codec.encoder(24_000, 20), codec.decoder()
    voice = hum(1.0)
    heard = np.concatenate([decoder.decode(encoder.encode(voice[at : at + 960]), 960) for at in range(0, 48_000, 960)])
    part = heard[9600:38_400].astype(float)
    alike = [np.corrcoef(voice[9600 - lag : 38_400 - lag].astype(float), part)[0, 1] for lag in range(200, 500, 4)]
    assert max(alike) > 0.9


def _error_of_recovered(fec: bool) -> float:
    """Lose every fifth packet of a changing sound; return how far the spectra of the rebuilt ones are off."""
    codec = open_codec()
    encoder, decoder, reference = codec.encoder(24_000, 20), codec.decoder(), codec.decoder()
    encoder.set_fec(fec)
    encoder.set_packet_loss(20)
    time = np.arange(4 * RATE_HZ) / RATE_HZ
    pitch = np.where((time * 50).astype(int) % 5 == 4, 250, 120)  # the lost packets are the ones that differ
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    voice = (np.sum([np.sin(n * phase) / n for n in range(1, 8)], axis=0) * 5000).astype(np.int16)
    packets = [encoder.encode(voice[at : at + 960]) for at in range(0, len(voice), 960)]
    wrong = total = 0.0
    for k, packet in enumerate(packets[:-1]):
        truth = reference.decode(packet, 960)
        if k % 5 == 4:
            heard = decoder.recover(packets[k + 1], 960)
            there, due = np.abs(np.fft.rfft(heard)), np.abs(np.fft.rfft(truth))
            wrong += float(np.sum((there - due) ** 2))
            total += float(np.sum(due**2))
        else:
            decoder.decode(packet, 960)
    return wrong / total


def test_recovering_from_the_copy_beats_concealing() -> None:
    assert _error_of_recovered(fec=True) < 0.7 * _error_of_recovered(fec=False)


def test_concealment_continues_the_voice_and_then_fades() -> None:
    codec = open_codec()
    encoder, decoder = codec.encoder(24_000, 20), codec.decoder()
    for at in range(0, 24_000, 960):
        decoder.decode(encoder.encode(hum(1.0)[at : at + 960]), 960)
    made = [loudness(decoder.conceal(960)) for _ in range(40)]
    assert made[0] > 1000
    assert made[-1] < 0.1 * made[0]


def test_damaged_packet_is_concealed() -> None:
    decoder = open_codec().decoder()
    assert len(decoder.decode(bytes([0x03, 0xFF, 1, 2, 3]), 960)) == 960
    assert decoder.span(b"") == 0


@pytest.mark.parametrize("first", range(256))
def test_span_agrees_with_libopus(first: int) -> None:
    packet = bytes([first, 0x82, 0, 0])
    library = ctypes.CDLL("libopus.so.0")
    told = library.opus_packet_get_nb_samples(packet, len(packet), RATE_HZ)
    assert packet_samples(packet) == max(0, told)


def test_closing_twice_is_safe() -> None:
    codec = open_codec()
    for half in (codec.encoder(24_000, 20), codec.decoder()):
        half.close()
        half.close()


def test_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(CallboxError, match="libopus0"):
        opus.codec()
