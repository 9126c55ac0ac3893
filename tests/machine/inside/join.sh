#!/bin/bash
# Joins the two boxes to the server as their owners would, once, when the image is made.
set -eux
as() { ip netns exec "$1" runuser -u "$2" -- callbox "${@:3}"; }
signaling=/var/lib/callbox-signaling kitchen=/var/lib/callbox workshop=/var/lib/callbox-workshop

# Tests ring more often than people do.
cat >$signaling/server.toml <<END
[server]
listen = "10.7.0.1:8443"

[calls]
burst = 1000
refill_s = 0.001
per_hour = 100000

[prekeys]
claims = 10000
fetches = 10000
END
chown callbox-signaling: $signaling/server.toml
systemctl restart callbox-signaling

to_kitchen=$(as server callbox-signaling server invite kitchen --home $signaling)
to_workshop=$(as server callbox-signaling server invite workshop --home $signaling)
as kitchen callbox join "$to_kitchen" --home $kitchen
as workshop callbox-workshop join "$to_workshop" --home $workshop

# The kitchen is the breadboard as it comes; the workshop hangs on the pins that it leaves. Their cards are cables
# without an echo, and two boxes that look for one on this one core would leave no time for the voice.
cat >$kitchen/box.toml <<END
[sound]
input = "kitchen"
output = "kitchen"
echo = "none"
END
cat >$workshop/box.toml <<END
[panel]
board = "$workshop/board.toml"

[sound]
input = "workshop"
output = "workshop"
echo = "none"
END
cat >$workshop/board.toml <<END
title = "The workshop's board"

[button.talk]
pin = 4
[button.mute]
pin = 14
[button.calls]
pin = 15
[button.dial1]
pin = 18
[light.live]
pin = 7
[light.mute]
pin = 8
[light.call]
pin = 9
[light.calls]
pin = 10
[light.message]
pin = 11
[light.status]
pin = 19
END
chown -R callbox: $kitchen
chown -R callbox-workshop: $workshop
systemctl start callbox callbox-workshop
as kitchen callbox allow workshop --ring --dial 1 --home $kitchen
as workshop callbox-workshop allow kitchen --ring --dial 1 --home $workshop
