"""Waits until both boxes are connected to the server."""

from machine.inside.hands import tell, wait_connected

tell(took_s=wait_connected())
