"""Buttons and lights: gestures, what a press means, what a state looks like. `pins/` touches the wires.

A press travels `pins` -> `gestures` (debounced, short or held) -> `meaning` (what it asks for in this
state) -> the box. A state travels back through `lights` (which light, which rhythm) -> `pins`.
"""
