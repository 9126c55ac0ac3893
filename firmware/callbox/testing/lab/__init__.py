"""`python -m callbox.testing.lab`: the voice's frames over a bad network, between real processes. Needs root.

conditions   what a link does to packets, by name
way          one direction of such a link: pure and seeded; the simulation in the tests uses it too
router       the process between two places: every packet goes through its hands
places       two network namespaces and the router between them
box          a box whose sound engine sends and notes frames in place of sound; all else is the real thing
floors       what plain UDP and one TCP connection do over the same link
frames       what became of the frames: late, lost, gaps
call         server and two boxes, one call, one condition after another
"""
