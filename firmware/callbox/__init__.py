"""Callbox: a Raspberry Pi with a microphone, a speaker, buttons and lights as a phone for direct messages."""

__version__ = "0.1.0"
