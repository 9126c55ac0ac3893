"""Sound: the audio step, its jitter buffer, rate control, tones and mixer; codecs, devices and echo as families."""
