#!/bin/bash
# Runs under the systemd of pid1.sh. Each fact is one file in /opt/out.
set -eEuo pipefail
trap 'systemctl status --no-pager callbox callbox-signaling || true' ERR
export LD_LIBRARY_PATH=$PYTHONHOME/lib

fact() { cat >"/opt/out/$1"; }
as() { setpriv --reuid "$1" --regid "$1" --clear-groups "$PYTHON" -m callbox.app.main "${@:2}" --home "/var/lib/$1"; }
state() { systemctl show "$1" --property="$2" --value; }
wait_until() { for _ in $(seq 300); do "$@" && return; sleep 0.1; done; false; }
connected() { as callbox status 2>&1 | grep -q connected$; }
restarted() { [[ $(state callbox NRestarts) == 1 && $(state callbox ActiveState) == active ]]; }

systemctl start callbox
state callbox ActiveState | fact before_join

systemctl start callbox-signaling
as callbox join "$(as callbox-signaling server invite kitchen)"
printf '[panel]\nbackend = "simulated"\n[sound]\nbackend = "wav"\ninput = ""\noutput = ""\n' >/var/lib/callbox/box.toml
systemctl start callbox
wait_until connected
as callbox status 2>&1 | fact status
grep -E '^(CapEff|NoNewPrivs|Seccomp):' "/proc/$(state callbox MainPID)/status" | tr -d '\t' | fact process

# What the box may do: the same unit around another program.
sed -e "s#^ExecStart=.*#ExecStart=$PYTHON /opt/story/probe.py#" -e 's/^Type=.*/Type=oneshot/' \
    -e '/^Restart/d; /^Watchdog/d; /^Condition/d' -e 's#-/sys/class/leds/ACT#-/sys/class/net/lo#' \
    /etc/systemd/system/callbox.service >/run/systemd/system/probe.service
mkdir /run/systemd/system/probe.service.d
grep -v -e Exec -e Watchdog -e append /etc/systemd/system/callbox.service.d/here.conf >/run/systemd/system/probe.service.d/here.conf
printf 'StandardOutput=append:/opt/out/probe\nStandardError=append:/opt/out/probe\n' >>/run/systemd/system/probe.service.d/here.conf
systemctl daemon-reload
systemctl start probe

# The key as a credential.
mkdir -p /etc/credstore.encrypted
systemd-creds encrypt --with-key=host --name=callbox-key /var/lib/callbox/key /etc/credstore.encrypted/callbox-key
rm /var/lib/callbox/key
systemctl restart callbox
{ state callbox ActiveState; ls /var/lib/callbox/key 2>&1 || true; } | fact credential

systemctl kill --signal=STOP callbox
wait_until restarted
{ state callbox NRestarts; state callbox ActiveState; } | fact after_hang

systemctl stop callbox callbox-signaling
{ state callbox Result; state callbox-signaling Result; } | fact after_stop
