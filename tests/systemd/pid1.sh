#!/bin/bash
# A systemd of its own in new namespaces, on a copy of this machine's files that lives in memory. It runs story.sh and
# ends. Started by test_systemd_real_pid1.py, with these in the environment. Exit code 77: not possible here.
#   WORK      empty folder for the copy        STORY     folder with story.sh, story.service and probe.py
#   OUT       gets what the story wrote        PREFIX    folder that holds the interpreter PYTHON
#   PROJECT   all of this project              PACKAGES  site-packages
set -eEuo pipefail

prepare() {
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$WORK"
    mkdir "$WORK"/{upper,work,root}
    root=$WORK/root
    mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/upper,workdir=$WORK/work" "$root"
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,ro,bind "$root/proc/sys"
    mount -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    for place in run tmp dev; do mount -t tmpfs tmpfs "$root/$place"; done
    mknod -m 666 "$root/dev/null" c 1 3
    mknod -m 666 "$root/dev/zero" c 1 5
    mknod -m 666 "$root/dev/full" c 1 7
    mknod -m 666 "$root/dev/random" c 1 8
    mknod -m 666 "$root/dev/urandom" c 1 9
    mknod -m 666 "$root/dev/tty" c 5 0
    mkdir "$root"/dev/{pts,shm}
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mknod -m 666 "$root/dev/sound" c 116 33   # ALSA's number; there need be no card
    mknod -m 666 "$root/dev/other" c 10 237   # some device that the box has no business with
    mkdir -p "$root"/opt/{project,packages,prefix,story,out}
    mount --bind "$PROJECT" "$root/opt/project"
    mount --bind "$PACKAGES" "$root/opt/packages"
    mount --bind "$PREFIX" "$root/opt/prefix"
    mount --bind "$STORY" "$root/opt/story"
    mount --bind "$OUT" "$root/opt/out"
    mount --make-rshared "$root"
    ip link set lo up
}

install_units() {
    local units=$root/etc/systemd/system service
    # Nothing of this machine's own starts.
    rm -rf "$root"/{usr/lib,etc}/systemd/system/{sysinit,basic,multi-user,local-fs,sockets,timers}.target.wants
    cp "$PROJECT"/systemd/*.service "$STORY/story.service" "$units/"
    for service in callbox callbox-signaling; do
        local arguments=run
        [[ $service == callbox ]] || arguments="server run --listen 127.0.0.1:8443"
        mkdir -p "$units/$service.service.d"
        cat >"$units/$service.service.d/here.conf" <<END
[Service]
ExecStart=
ExecStart=$PYTHON -m callbox.app.main $arguments
Environment=PYTHONPATH=/opt/project/firmware:/opt/packages PYTHONHOME=$PYTHONHOME LD_LIBRARY_PATH=$PYTHONHOME/lib
Environment=PYTHONDONTWRITEBYTECODE=1
StandardOutput=append:/run/$service.log
StandardError=append:/run/$service.log
END
    done
    echo "WatchdogSec=2" >>"$units/callbox.service.d/here.conf"
    systemd-sysusers "--root=$root" "$PROJECT/systemd/callbox.sysusers.conf"
    systemd-tmpfiles "--root=$root" --create "$PROJECT/systemd/callbox.tmpfiles.conf"
}

trap 'exit 77' ERR
prepare
trap - ERR
install_units
exec chroot "$root" env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHON="$PYTHON" PYTHONHOME="$PYTHONHOME" \
    /lib/systemd/systemd --system --unit=story.service --log-target=console --show-status=no --log-level=notice
