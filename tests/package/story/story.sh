#!/bin/bash
# Runs as root in a Debian of its own, started by test_package_story.py. /exchange holds present.deb, the package under test,
# and story/. Each fact is one file in /exchange/facts. EMULATED: on an emulated processor, where a call would come too late.
set -eEuo pipefail
here=/exchange/story facts=/exchange/facts
kitchen=/var/lib/callbox workshop=/var/lib/callbox-workshop server=/var/lib/callbox-signaling
trap 'echo "the story broke off in line $LINENO"; tail -n 5 /exchange/*.log' ERR

fact() { cat >"$facts/$1"; }
exit_code() { local code=0; "$@" || code=$?; echo "$code"; }
files() { find / -xdev \( -path /exchange -o -path /proc -o -path /dev -o -path /tmp -o -path /var/cache -o -path /var/log \
    -o -path /var/lib/dpkg -o -path /var/lib/apt \) -prune -o -printf '%M %u %p -> %l\n' | sort; }
as() { runuser -u "$1" -- callbox "${@:2}"; }
box() { as callbox "${@:2}" --home "$1"; }
apt_install() { apt-get install -q -y --no-install-recommends "$@"; }
running=()
start() { # USER HOME COMMAND...: the process itself, so that it can be stopped
    setpriv --reuid "$1" --regid "$1" --init-groups callbox "${@:3}" --home "$2" >>"/exchange/${2##*/}.log" 2>&1 &
    running+=($!)
}
start_server() { start callbox-signaling "$server" server run --listen 127.0.0.1:8443; }
stop_all() { kill "${running[@]}"; wait "${running[@]}" || true; running=(); }
start_all() {
    start_server
    for home in "$kitchen" "$workshop"; do start callbox "$home" run; done
    for home in "$kitchen" "$workshop"; do wait_until connected "$home"; done
}
wait_until() { for _ in $(seq 120); do "$@" && return; sleep 0.5; done; false; }
connected() { box "$1" status 2>/dev/null | grep -q 'connected$'; }
told() { box "$workshop" messages kitchen 2>/dev/null | grep -q "$1"; }

step() { echo "story: $*"; }

step "an installation by hand is not run over"
mkdir -p /etc/credstore.encrypted
files | fact files_before
cp /etc/passwd /etc/group "$facts/"
mkdir -p /opt/callbox/bin && touch /opt/callbox/bin/pip
{ exit_code dpkg --install /exchange/present.deb; } >"$facts/by_hand" 2>&1
rm -r /opt/callbox
dpkg --purge callbox >/dev/null 2>&1 || true

step "install"
apt_install /exchange/present.deb
callbox --version | fact version
callbox --help | fact help
{ systemctl is-enabled callbox; systemctl is-enabled callbox-signaling || true; } | fact enabled
id callbox | fact user
callbox doctor --json --home "$kitchen" | fact doctor || true
/opt/callbox/bin/python3 "$here/modules.py" | fact modules
systemd-analyze verify callbox.service callbox-signaling.service 2>&1 | fact verify

step "a server and two boxes, a text and a call"
install -d -o callbox -m 0700 "$workshop"
start_server
wait_until grep -q ready "/exchange/${server##*/}.log"
for home in "$kitchen" "$workshop"; do
    name=kitchen
    [[ $home == "$kitchen" ]] || name=workshop
    box "$home" join "$(as callbox-signaling server invite "$name" --home "$server")"
    printf '[panel]\nbackend = "simulated"\n[sound]\nbackend = "wav"\ninput = ""\noutput = ""\n' >"$home/box.toml"
done
box "$kitchen" allow workshop --ring
box "$workshop" allow kitchen --ring
stop_all
start_all
box "$kitchen" message workshop "before the upgrade"
wait_until told "before the upgrade"
box "$workshop" messages kitchen | fact text
if [[ -z ${EMULATED:-} ]]; then
    box "$kitchen" call workshop
    box "$workshop" press talk
    box "$workshop" status --json | fact call
    box "$kitchen" hangup
fi
stop_all

if [[ -z ${EMULATED:-} ]]; then
    step "upgrade, while all of it runs"
    start_all
    /opt/callbox/bin/python3 "$here/newer.py" /exchange/present.deb /exchange/newer.deb
    apt_install /exchange/newer.deb
    callbox --version | fact newer_version
    stop_all
    start_all
    box "$kitchen" message workshop "after the upgrade"
    wait_until told "after the upgrade"
    box "$workshop" messages kitchen | fact newer_messages
    stop_all
    find "$kitchen" -printf '%P %u %m\n' | fact newer_home

    step "the way back"
    apt_install --allow-downgrades /exchange/present.deb
    { exit_code timeout 30 runuser -u callbox -- callbox run --home "$kitchen"; } >"$facts/refusal" 2>&1
    for store in "$kitchen/box.sqlite" "$workshop/box.sqlite" "$server/server.sqlite"; do
        mv "$store".v[0-9]* "$store"
        rm -f "$store-wal" "$store-shm"
    done
    start_all
    wait_until told "before the upgrade"
    box "$kitchen" message workshop "after the way back"
    wait_until told "after the way back"
    box "$workshop" messages kitchen | fact back_messages
    stop_all
fi

step "remove, and purge"
apt-get remove -q -y callbox
{ ls "$kitchen"; ls -d /opt/callbox /usr/bin/callbox 2>&1 || true; } | fact removed
rm -r "$workshop"
mkdir -p /etc/systemd/system/callbox.service.d
touch /etc/credstore.encrypted/callbox-key /etc/systemd/system/callbox.service.d/override.conf
apt-get purge -q -y callbox
files | fact files_after
diff "$facts/passwd" /etc/passwd | fact passwd_diff || true
diff "$facts/group" /etc/group | fact group_diff || true
step "told to the end"
echo yes | fact end
