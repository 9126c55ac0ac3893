#!/bin/bash
# The Pi's own activity light. No driver here makes LEDs of that name: plain files stand for it, as early as a Pi's kernel
# would have it.
set -eu
leds=/sys/class/leds
mount -t tmpfs -o mode=755 tmpfs $leds
mkdir $leds/ACT
echo 1 >$leds/ACT/max_brightness
echo 0 >$leds/ACT/brightness
echo 'none default-on [mmc0] timer' >$leds/ACT/trigger
chgrp gpio $leds/ACT/{brightness,trigger}
chmod g+w $leds/ACT/{brightness,trigger}
