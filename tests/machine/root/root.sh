#!/usr/bin/env bash
# Makes the root of the guest: Debian 13 with the backports kernel, without Callbox. Needs root.
#   root.sh OUT.tar
# What stands in single quotes is for apt's and mmdebstrap's own hands.
# shellcheck disable=SC2016
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
out=$1

# The mirror that this machine itself uses.
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
[[ -n $mirror ]] || { echo "apt knows no Debian mirror here" >&2; exit 1; }
packages=$(grep -v '^#' "$here/packages.txt" | paste -sd,)

# disk.sh makes an initial ramdisk of its own.
mmdebstrap --mode=root --variant=minbase --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --customize-hook='echo "/dev/vda / ext4 noatime,errors=remount-ro 0 1" >"$1/etc/fstab"' \
    --customize-hook='echo "update_initramfs=no" >"$1/etc/initramfs-tools/update-initramfs.conf"' \
    --customize-hook='chroot "$1" apt-get install -y -t trixie-backports linux-image-amd64' \
    trixie "$out" "deb $mirror trixie main" "deb $mirror trixie-backports main"
