#!/usr/bin/env bash
# Runs a command inside a fresh copy of a Debian system, as root there. The system is made once per list of packages.
#
#   systemd/package/root.sh SUITE ARCHITECTURES "PACKAGE ..." FOLDER COMMAND...
#   MIRROR=URL      where Debian comes from; without it what apt on this machine uses, else Debian's own
#
# FOLDER is /exchange inside. Needs mmdebstrap and root, or a user with ranges in /etc/subuid and /etc/subgid (uidmap).
# What was made lies in $XDG_CACHE_HOME/callbox, else ~/.cache/callbox: the systems, and what pip fetched.
set -euo pipefail

# ---- second life: in namespaces of its own, so that every mount ends with them

if [[ ${1:-} == --inside ]]; then
    root=$2 folder=$3 cache=$4
    shift 4
    tar -C "$root" -xf - --numeric-owner --exclude='./dev/*'
    mkdir -p "$root/exchange" "$root/root/.cache/pip"
    mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir -m 1777 "$root/dev/shm"
    mkdir "$root/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s fd/0 "$root/dev/stdin" && ln -s fd/1 "$root/dev/stdout" && ln -s fd/2 "$root/dev/stderr"
    mount -t proc proc "$root/proc"
    mount --bind "$folder" "$root/exchange"
    mount --bind "$cache/pip" "$root/root/.cache/pip"
    # The network as this machine has it: names, and where pip looks and whom it trusts.
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
    [[ ! -e /etc/pip.conf ]] || cp /etc/pip.conf "$root/etc/pip.conf"
    trusted=${PIP_CERT:-${SSL_CERT_FILE:-}}
    environment=(HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin PIP_ROOT_USER_ACTION=ignore
        DEBIAN_FRONTEND=noninteractive)
    if [[ -n $trusted && -e $trusted ]]; then
        mkdir -p "$root/etc/ssl/certs"
        cp -L "$trusted" "$root/etc/ssl/certs/of-this-machine.crt"
        environment+=(PIP_CERT=/etc/ssl/certs/of-this-machine.crt)
    fi
    for name in ${!PIP_@} http_proxy https_proxy no_proxy SOURCE_DATE_EPOCH TERM DEB_BUILD_OPTIONS; do
        [[ $name == PIP_CERT || -z ${!name:-} ]] || environment+=("$name=${!name}")
    done
    exec chroot "$root" env -i "${environment[@]}" "$@"
fi

# ---- first life

suite=$1 architectures=$2 packages=$3 folder=$(realpath "$4")
shift 4
cache=${XDG_CACHE_HOME:-$HOME/.cache}/callbox
mkdir -p "$cache/pip"

say() { printf 'callbox: %s\n' "$*" >&2; }

# shellcheck disable=SC2016  # apt-get puts these in
mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'ORIGIN: Debian' 2>/dev/null | grep -v security | head -n 1 || true)}
[[ -z $mirror ]] || mirror="deb $mirror $suite main"
# Programs for another machine run here by way of qemu, once the kernel knows of it.
register_emulator() {
    local emulator=/usr/lib/binfmt.d/qemu-aarch64.conf formats=/proc/sys/fs/binfmt_misc
    [[ ! -e $formats/qemu-aarch64 ]] || return 0
    [[ -e $emulator ]] || { say "programs for arm64 cannot run here: install qemu-user-static"; exit 1; }
    [[ -e $formats/register ]] || mount -t binfmt_misc binfmt_misc "$formats"
    cat "$emulator" >"$formats/register"
}
[[ $architectures != arm64 || $(dpkg --print-architecture) == arm64 ]] || register_emulator

key=$(printf '%s\n' "$suite" "$architectures" "$packages" | sha256sum | head -c 12)
made=$cache/$suite-${architectures//,/-}-$key.tar
if [[ ! -e $made ]]; then
    new=${made%.tar}.new.tar
    say "making a Debian $suite for it, once (a minute or two)"
    # shellcheck disable=SC2086  # no mirror, no argument
    mmdebstrap --quiet --variant=apt --architectures="$architectures" --include="${packages// /,}" \
        --aptopt='APT::Install-Recommends "false"' "$suite" "$new" ${mirror:+"$mirror"} >&2
    mv "$new" "$made"
fi

namespaces=(--mount --pid --fork --kill-child --uts --ipc)
[[ $(id -u) == 0 ]] || namespaces+=(--user --map-root-user --map-auto)
root=$(mktemp -d)
# As it was made: with the owners that only the namespace knows.
trap 'unshare "${namespaces[@]}" rm -rf --one-file-system "$root"' EXIT
unshare "${namespaces[@]}" "$0" --inside "$root" "$folder" "$cache" "$@" <"$made"
