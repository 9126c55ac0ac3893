#!/bin/bash
# The hardware that a Raspberry Pi has and QEMU's PC has not. Runs early in the boot, once.
# `guest.without=cards,cables` on the kernel's command line leaves sound cards unplugged and cables out.
set -eu
mkdir -p /run/guest
without=$(sed -n 's/.*guest\.without=\([a-z,]*\).*/\1/p' /proc/cmdline)

# The 40-pin header: a simulated GPIO chip with a Pi's label and number of lines.
modprobe -a configfs gpio-sim
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
pi=/sys/kernel/config/gpio-sim/pi
mkdir -p $pi/header
echo 54 >$pi/header/num_lines
echo pinctrl-bcm2835 >$pi/header/label
echo 1 >$pi/live
ln -s "/sys/devices/platform/$(cat $pi/dev_name)/$(cat $pi/header/chip_name)" /run/guest/header

# A Raspberry Pi Zero 2 W, for gpiozero.
{ cat /proc/cpuinfo; printf 'Revision\t: 902120\nModel\t\t: Raspberry Pi Zero 2 W Rev 1.0\n'; } >/run/guest/cpuinfo
mount --bind /run/guest/cpuinfo /proc/cpuinfo

# What udev does with a light that a kernel brings; this one has been there since the initial ramdisk.
chgrp gpio /sys/class/leds/ACT/{brightness,trigger}
chmod g+w /sys/class/leds/ACT/{brightness,trigger}

# One sound card for each box: the box on device 0; what goes in and out there is at the other end, device 1.
[[ $without == *cards* ]] || modprobe snd-aloop enable=1,1 index=0,1 id=kitchen,workshop pcm_substreams=1,1

# A switch with three cables: server 10.7.0.1, kitchen .2, workshop .3. `ip link set kitchen down` pulls a plug.
ip link add lan type bridge
ip link set lan up
address=0
for place in server kitchen workshop; do
    address=$((address + 1))
    ip netns add $place
    ip link add $place type veth peer name eth0 netns $place
    ip link set $place master lan
    [[ $without == *cables* ]] || ip link set $place up
    ip -n $place link set lo up
    ip -n $place address add 10.7.0.$address/24 dev eth0
    ip -n $place link set eth0 up
done
