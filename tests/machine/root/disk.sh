#!/usr/bin/env bash
# Makes the guest's disk: its root, the package under test, the agent and the made-up hardware. Needs root.
#   disk.sh ROOT.tar CALLBOX.deb OUT        OUT gets disk.raw, kernel and initrd
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tar=$1 deb=$2 out=$3

root=$(mktemp -d "$out/root.XXXXXX")
trap 'rm -rf -- "$root"' EXIT
tar -C "$root" -xf "$tar"

# The package as a maker installs it; what it depends on and the root lacks comes from the archive.
cp "$deb" "$root/callbox.deb"
cp /etc/resolv.conf "$root/etc/resolv.conf"
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends /callbox.deb
rm -f "$root/callbox.deb" "$root/etc/resolv.conf"

# A second box on the same machine: the first one's unit under another name.
sed -e 's/User=callbox$/User=callbox-workshop/' -e 's/Directory=callbox$/Directory=callbox-workshop/' \
    -e 's,%S/callbox\b,%S/callbox-workshop,; s,%t/callbox\b,%t/callbox-workshop,' -e '/^LoadCredential/d; /status-light/d' \
    "$root/usr/lib/systemd/system/callbox.service" >"$root/etc/systemd/system/callbox-workshop.service"
cp -r "$root/usr/lib/systemd/system/callbox.service.d" "$root/etc/systemd/system/callbox-workshop.service.d" || true
echo 'u callbox-workshop - "Callbox" /var/lib/callbox-workshop
m callbox-workshop audio
m callbox-workshop gpio' | chroot "$root" systemd-sysusers -
chroot "$root" install -d -m 0700 -o callbox-workshop -g callbox-workshop /var/lib/callbox-workshop

# Each on a network of its own; the boxes told which Raspberry Pi this is, also below a /proc of their own.
drop_in() { mkdir -p "$root/etc/systemd/system/$1.service.d" && cat >"$root/etc/systemd/system/$1.service.d/$2.conf"; }
for unit in callbox:kitchen callbox-workshop:workshop callbox-signaling:server; do
    printf '[Service]\nNetworkNamespacePath=/run/netns/%s\n' "${unit#*:}" | drop_in "${unit%:*}" network
done
for unit in callbox callbox-workshop; do
    printf '[Service]\nBindReadOnlyPaths=/run/guest/cpuinfo:/proc/cpuinfo\n' | drop_in $unit model
done

install -D -t "$root/opt/guest" "$here"/../inside/{agent.py,hardware.sh,join.sh}
install -m 0644 -t "$root/etc/systemd/system" "$here"/../inside/*.service
chroot "$root" systemctl enable --quiet guest-agent.service guest-hardware.service \
    callbox.service callbox-workshop.service callbox-signaling.service
echo guest >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost guest\n::1\tlocalhost\n10.7.0.1\tserver\n' >"$root/etc/hosts"
echo "uninitialized" >"$root/etc/machine-id"
rm -f "$root"/var/cache/apt/archives/*.deb

cp "$root"/boot/vmlinuz-* "$out/kernel"
rm -f "$root"/boot/initrd.img-*

# An initial ramdisk that mounts the root and no more. A Pi's kernel has its drivers inside: here they go without their
# signatures and type information, which cost as long to look at as all the rest.
version=$(basename "$root"/lib/modules/*)
first=$root/run/initrd
mkdir -p "$first/dev" "$first/proc" "$first/root"
cp "$root/usr/bin/busybox" "$first/"
modules=$(chroot "$root" modprobe -S "$version" --show-depends -a virtio_pci virtio_blk ext4 | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
{
    printf '#!/busybox sh\n/busybox mount -t devtmpfs dev /dev\n'
    for module in $modules; do
        name=$(basename "$module" .xz)
        xz -dc "$root/$module" >"$first/$name"
        objcopy --remove-section=.BTF "$first/$name"
        printf '/busybox insmod /%s\n' "$name"
    done
    cat <<'END'
/busybox mount -t ext4 -o ro /dev/vda /root && /busybox umount /dev
/busybox mount -t sysfs sysfs /root/sys
# The Pi's own activity light. No driver here makes LEDs of that name: plain files stand for it.
cd /root/sys/class/leds && /busybox mount -t tmpfs -o mode=755 tmpfs . && cd /root/sys/class/leds && /busybox mkdir ACT
echo 1 >ACT/max_brightness
echo 0 >ACT/brightness
echo 'none default-on [mmc0] timer' >ACT/trigger
cd / && exec /busybox switch_root /root /sbin/init
END
} >"$first/init"
chmod +x "$first/init"
chroot "$root" sh -c 'cd /run/initrd && find . | cpio --quiet -o -H newc' >"$out/initrd"
rm -r "$first"
mke2fs -q -t ext4 -d "$root" "$out/disk.raw" 1600M
