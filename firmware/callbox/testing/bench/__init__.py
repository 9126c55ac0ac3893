"""`python -m callbox.testing.bench`: what a call costs and how good it is, measured on this machine.

processes   what the kernel counts: CPU, memory, wake-ups, bytes on the wire
floors      what no box could do better: the sound card alone, libopus alone
call        one start: two boxes, one call, everything measured along it
figures     all starts together, each figure beside its goal
report      the table, and where it is written
"""
