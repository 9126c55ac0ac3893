"""Boxes in your own tests: whole worlds of them, in simulated time, on a simulated network, with simulated ears.

plugin         loaded by pytest itself; brings the fixture `world`
world          World: boxes, server, network, and the clock that the test turns
box            SimulatedBox: press, hold, look at lights, listen, ask; kill and start again
server         SimulatedServer: kill, start, invite
network        Network and Conditions: delay, jitter, loss, rate; cut, blackhole, restore
virtual_card   VirtualCard: PulseAudio null sinks for real processes, to be played into and recorded from
voice          find_voice: a recorded human voice, if this machine has one
measure        mouth to ear delay and intelligibility of what was recorded
bench          what calls cost and how good they are, as a table

Kept stable for others: the names that `tests/testing/test_testing_public.py` lists. Nothing is imported here, because
pytest loads this package in every run.
"""
